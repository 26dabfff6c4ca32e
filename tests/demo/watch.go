package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"xarchive/tests/sandbox"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// watch shows progress until every job's task has ended, and lets longer histories
// appear stage by stage.
func watch(ctx context.Context, s *sandbox.Sandbox, jobs map[string]string, out io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := make(chan error, 1)
	go func() {
		for _, job := range jobs {
			if _, err := s.Import.WaitEvent(ctx, job, taskID); err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	w := &watcher{s: s, jobs: jobs, out: out, bar: newBar(s, out), shown: map[string]int{}, asked: map[string]bool{}, changed: time.Now()}
	for account := range jobs {
		w.shown[account] = stage
	}
	tick := time.NewTicker(time.Second) // a look lists the archive
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			if err == nil {
				err = w.look(ctx)
			}
			_ = w.bar.Exit() // only ends its line
			fmt.Fprintln(out)
			return err
		case <-tick.C:
			if err := w.look(ctx); err != nil {
				return err
			}
			if time.Since(w.changed) > patience {
				return fmt.Errorf("nothing was archived or delivered in %s", patience)
			}
		}
	}
}

// newBar is drawn on a terminal; elsewhere a line is printed now and then.
func newBar(s *sandbox.Sandbox, out io.Writer) *progressbar.ProgressBar {
	total := 0
	for _, account := range s.Corpus.Accounts() {
		total += len(s.Corpus.All(account))
	}
	return progressbar.NewOptions(max(total, 1),
		progressbar.OptionSetDescription("Archiving posts"),
		progressbar.OptionSetWriter(out),
		progressbar.OptionSetVisibility(isTerminal(out)),
		progressbar.OptionShowCount(), progressbar.OptionSetWidth(40), progressbar.OptionSetPredictTime(false))
}

// isTerminal tells whether a bar can be drawn on out.
func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

type watcher struct {
	out     io.Writer
	s       *sandbox.Sandbox
	jobs    map[string]string // by account
	bar     *progressbar.ProgressBar
	shown   map[string]int  // how many posts X shows, by account
	asked   map[string]bool // accounts with a long history that was asked for
	total   int
	items   int
	changed time.Time // when something last happened
	printed time.Time
}

// look counts what is archived.
func (w *watcher) look(ctx context.Context) error {
	total := 0
	for account, shown := range w.shown {
		n, err := countPosts(ctx, w.s, account+"/")
		if err != nil {
			return err
		}
		total += n
		posts := len(w.s.Corpus.Posts(account))
		switch {
		case posts <= stage || w.asked[account] || n < min(shown, posts):
		case shown < posts:
			w.shown[account] = shown + stage
			hideNewer(w.s, account, shown+stage)
		default:
			w.asked[account] = true
			if err := ask(ctx, w.s, account, w.jobs[account]); err != nil {
				return err
			}
		}
	}
	if total != w.total {
		w.total, w.changed = total, time.Now()
	} else {
		items, err := w.s.Import.CountItems(ctx)
		if err != nil {
			return err
		}
		if items != w.items {
			w.items, w.changed = items, time.Now()
		}
	}
	if !isTerminal(w.out) && time.Since(w.printed) > 3*time.Second {
		w.printed = time.Now()
		if w.items > 0 {
			fmt.Fprintf(w.out, "  %d posts archived, %d items delivered\n", total, w.items)
		} else {
			fmt.Fprintf(w.out, "  %d posts archived\n", total)
		}
	}
	return w.bar.Set(min(total, w.bar.GetMax()))
}

// countPosts counts the archived posts below a prefix.
func countPosts(ctx context.Context, s *sandbox.Sandbox, prefix string) (int, error) {
	c, err := archiveContainer(s)
	if err != nil {
		return 0, err
	}
	n := 0
	pager := c.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &prefix})
	for pager.More() {
		page, err := pager.NextPage(ctx)
		if bloberror.HasCode(err, bloberror.ContainerNotFound) {
			return 0, nil
		}
		if err != nil {
			return 0, fmt.Errorf("counting what is archived: %w", err)
		}
		for _, b := range page.Segment.BlobItems {
			if key, ok := messageKey(*b.Name); ok && !strings.Contains(key, ".") {
				n++
			}
		}
	}
	return n, nil
}

// messageKey returns the key of the message that a blob of the archive is: a post's
// id, or of a second message about a post its id, a dot and more. ok is false for a
// blob that is no message.
func messageKey(blob string) (key string, ok bool) {
	return strings.CutSuffix(path.Base(blob), ".eml")
}

func archiveContainer(s *sandbox.Sandbox) (*container.Client, error) {
	return container.NewClientFromConnectionString(s.Blobs.ConnectionString(""), "archive", nil)
}
