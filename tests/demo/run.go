package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/importservice"
)

const (
	// taskID names the one task of each job.
	taskID = "everything"

	// stage is how many posts of an account appear at once. X's timelines reach back
	// 3,200 posts; a longer history appears in stages, as it came about.
	stage = 3000

	// patience is how long nothing may happen before the demo gives up.
	patience = 2 * time.Minute
)

// beginning is before anything was posted.
var beginning = time.Date(2006, 3, 1, 0, 0, 0, 0, time.UTC)

// demo is one run.
type demo struct {
	app   string // folder of the staged app
	host  string // "" for the stand-in of the Functions host, "func" for Core Tools, or an address
	posts *corpus.Corpus
	dir   string    // where everything that it leaves goes
	keep  bool      // stay up in the end
	out   io.Writer // what people are to read
}

// run does the job, shows it, and checks that nothing is missing.
func (d *demo) run(ctx context.Context) (err error) {
	started := time.Now()
	if err := os.RemoveAll(d.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(d.dir, "handler.log"))
	if err != nil {
		return err
	}
	defer log.Close()

	options := sandbox.Options{Dir: filepath.Join(d.dir, "sandbox"), Corpus: d.posts, Schedule: "*/2 * * * * *", Stderr: log}
	host, err := d.otherHost(ctx)
	if err != nil {
		return err
	}
	if host == nil {
		options.App = d.app
	} else {
		options.HostURL = host.url
	}
	fmt.Fprintln(d.out, "Starting stand-ins for X, Entra, Key Vault, storage and the Import service …")
	s, err := sandbox.Start(ctx, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	fmt.Fprintf(d.out, "Key Vault is %s.\n", s.Vault.Kind())
	if host != nil {
		if err := host.start(ctx, d, s.Settings(options), s.Blobs.URL(""), log); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, host.stop()) }()
	}

	jobs, err := d.request(ctx, s)
	if err != nil {
		return err
	}
	if err := watch(ctx, s, jobs, d.out); err != nil {
		return fmt.Errorf("%w; the connector's log is %s", err, log.Name())
	}
	r, err := collect(ctx, s, jobs, d.dir)
	if err != nil {
		return err
	}
	r.print(d.out, d.dir, time.Since(started))
	if err := r.complete(s, jobs); err != nil {
		return fmt.Errorf("%w; the connector's log is %s", err, log.Name())
	}
	if d.keep {
		d.stay(ctx, s)
		return nil
	}
	fmt.Fprintf(d.out, "\n  Now look at it: make demo KEEP=1\n")
	return nil
}

// request has every account sign in, and asks for everything it posted.
func (d *demo) request(ctx context.Context, s *sandbox.Sandbox) (jobs map[string]string, err error) {
	if err := s.Import.Validate(ctx); err != nil {
		return nil, fmt.Errorf("validating the connector: %w", err)
	}
	jobs = map[string]string{} // by account
	for i, account := range s.Corpus.Accounts() {
		job := fmt.Sprintf("job-%d", i+1)
		jobs[account] = job
		hideNewer(s, account, stage)
		if err := s.Connect(ctx, job, account); err != nil {
			return nil, err
		}
		fmt.Fprintf(d.out, "Account %s has signed in; %s is set up.\n", account, job)
		if len(s.Corpus.Posts(account)) > stage {
			fmt.Fprintf(d.out, "Its history is longer than X's timelines reach back; it appears in stages, and is asked for in the end.\n")
			continue
		}
		if err := ask(ctx, s, account, job); err != nil {
			return nil, err
		}
	}
	fmt.Fprintln(d.out, "The Compliance Center has asked for everything. The timer does the rest.")
	return jobs, nil
}

// ask asks for everything that an account posted.
func ask(ctx context.Context, s *sandbox.Sandbox, account, job string) error {
	end := beginning
	for _, p := range s.Corpus.All(account) {
		if p.CreatedAt.After(end) {
			end = p.CreatedAt
		}
	}
	status, answer, err := s.Import.Request(ctx, importservice.Task{JobID: job, TaskID: taskID, Start: beginning, End: end})
	if err == nil && status != 200 {
		err = fmt.Errorf("the connector answers %d %s", status, answer)
	}
	if err != nil {
		return fmt.Errorf("asking for the posts of %s: %w", job, err)
	}
	return nil
}

// hideNewer lets X show the oldest n posts of an account only.
func hideNewer(s *sandbox.Sandbox, account string, n int) {
	posts := s.Corpus.Posts(account) // newest first
	if n >= len(posts) {
		s.X.Until(account, "")
		return
	}
	s.X.Until(account, posts[len(posts)-n].ID)
}

// stay prints where everything is and waits for Ctrl-C.
func (d *demo) stay(ctx context.Context, s *sandbox.Sandbox) {
	fmt.Fprintf(d.out, `
Everything stays up until Ctrl-C.
  Connector        %s/Configure   (tenant id %s, APISecretKey %s)
  Status           %s/Status
  A new job        %s/preview/OnJobCreating?jobId=job-new&tenantId=%s
  X                %s
  Storage          %s
`, s.HostURL, sandbox.TenantID, sandbox.APISecretKey, s.HostURL, s.HostURL, sandbox.TenantID, s.XURL, s.Blobs.ConnectionString(""))
	<-ctx.Done()
}
