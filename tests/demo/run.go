package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/importservice"
)

// dir is where everything that the demo leaves goes.
const dir = "build/demo"

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

// run does the job, shows it, and checks that nothing is missing.
func run(ctx context.Context, app string, posts *corpus.Corpus, keep bool) (err error) {
	started := time.Now()
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(dir, "handler.log"))
	if err != nil {
		return err
	}
	defer log.Close()

	fmt.Println("Starting stand-ins for X, Entra, Key Vault, storage and the Import service …")
	s, err := sandbox.Start(ctx, sandbox.Options{
		Dir: filepath.Join(dir, "sandbox"), App: app, Corpus: posts, Schedule: "*/2 * * * * *", Stderr: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	fmt.Printf("Key Vault is %s.\n", s.Vault.Kind())

	jobs, err := request(ctx, s)
	if err != nil {
		return err
	}
	if err := watch(ctx, s, jobs); err != nil {
		return fmt.Errorf("%w; the connector's log is %s", err, log.Name())
	}
	r, err := collect(ctx, s, jobs, dir)
	if err != nil {
		return err
	}
	r.print(os.Stdout, time.Since(started))
	if err := r.complete(s, jobs); err != nil {
		return fmt.Errorf("%w; the connector's log is %s", err, log.Name())
	}
	if keep {
		stay(ctx, s)
	}
	return nil
}

// request has every account sign in, and asks for everything it posted.
func request(ctx context.Context, s *sandbox.Sandbox) (jobs map[string]string, err error) {
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
		fmt.Printf("Account %s has signed in; %s is set up.\n", account, job)
		if len(s.Corpus.Posts(account)) > stage {
			fmt.Printf("Its history is longer than X's timelines reach back; it appears in stages, and is asked for in the end.\n")
			continue
		}
		if err := ask(ctx, s, account, job); err != nil {
			return nil, err
		}
	}
	fmt.Println("The Compliance Center has asked for everything. The timer does the rest.")
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
func stay(ctx context.Context, s *sandbox.Sandbox) {
	fmt.Printf(`
Everything stays up until Ctrl-C.
  Connector        %s/Configure   (tenant id %s, APISecretKey %s)
  Status           %s/Status
  A new job        %s/preview/OnJobCreating?jobId=job-new&tenantId=%s
  X                %s
  Storage          %s
`, s.HostURL, sandbox.TenantID, sandbox.APISecretKey, s.HostURL, s.HostURL, sandbox.TenantID, s.XURL, s.Blobs.ConnectionString(""))
	<-ctx.Done()
}
