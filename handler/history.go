package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/reads"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

const historyUsage = `
  handler history --job ID [--from TIME] [--to TIME] [--max-reads N]

    has an account's posts read from X's whole archive, by search: what the timeline, which
    reaches back 3,200 posts, has left behind. The connector does it itself, in its timer's
    ticks, behind new posts; this command asks for it and says how far it is. It needs only the
    settings of the storage account, and asks X nothing.

    Without --max-reads the posts are counted, and nothing is read. X bills 0.01 US dollars for
    each month that it counts, and as much for the account. Look at the estimate with the same
    command, some minutes later.

    --job        the job of the Compliance Center
    --from       RFC 3339 or a date (UTC). Default: when the account was made
    --to         the same; a date includes its whole day. Default: now
    --max-reads  begins to read: so many posts at most, each 0.005 US dollars, and each
                 post that they quote or answer as much
`

// historyCommand is `handler history`.
func historyCommand(ctx context.Context, args []string) int {
	var (
		jobID    string
		from, to time.Time
		maxReads int
	)
	flags := newFlags("history")
	flags.StringVar(&jobID, "job", "", "")
	timeFlags(flags, &from, &to)
	flags.IntVar(&maxReads, "max-reads", 0, "")
	_, err := parseFlags(flags, args, 0)
	switch {
	case err != nil:
	case jobID == "":
		err = errors.New("--job is missing: say whose history")
	case maxReads < 0:
		err = errors.New("--max-reads is not a number of posts")
	case !from.IsZero() && !to.IsZero() && !from.Before(to):
		err = errors.New("--from is not before --to")
	}
	if err != nil {
		return refused(historyUsage, err)
	}
	kept, err := openStorage(os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitWrong
	}
	if !to.IsZero() {
		to = to.Add(time.Second).Truncate(time.Second) // ParseTo gives the last moment of a day
	}
	if err := askHistory(ctx, os.Stdout, state.New(kept.state), jobID, from, to, maxReads, time.Now()); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n", err)
		return exitWrong
	}
	return exitWell
}

// askHistory asks for a history, or for more of it, and says how far it is.
func askHistory(ctx context.Context, w io.Writer, store *state.Store, jobID string, from, to time.Time, maxReads int, now time.Time) error {
	job, err := store.Job(ctx, jobID)
	switch {
	case errors.Is(err, state.ErrNotFound):
		return fmt.Errorf("there is no job %s: check --job and STATE_CONTAINER", jobID)
	case err != nil:
		return fmt.Errorf("reading the job: %w", err)
	case job.AccountID == "":
		return fmt.Errorf("job %s has no account yet: it must sign in first", jobID)
	}
	h, err := store.History(ctx, job.AccountID)
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return fmt.Errorf("reading the history: %w", err)
	}
	known := err == nil && h.JobID == jobID && h.Same(from, to)
	if !known || maxReads > 0 && maxReads != h.MaxReads {
		err := store.ChangeHistory(ctx, job.AccountID, func(h *state.History) error {
			h.Ask(job, from, to, maxReads, now)
			return nil
		})
		if errors.Is(err, state.ErrClaimed) {
			return errors.New("the connector is just working on it: run the same command again")
		}
		if err != nil {
			return fmt.Errorf("asking for the history: %w", err)
		}
		if h, err = store.History(ctx, job.AccountID); err != nil {
			return fmt.Errorf("reading the history: %w", err)
		}
	}
	describeHistory(w, h)
	return nil
}

// describeHistory says how far a history is.
func describeHistory(w io.Writer, h state.History) {
	posts, whole := h.Estimated()
	found, added := 0, 0
	for _, m := range h.Months {
		found, added = found+m.Found, added+m.New
	}
	switch {
	case len(h.Months) == 0:
		fmt.Fprintln(w, "Asked for. The connector's next ticks count the posts; run the same command again in some minutes.")
	case !whole:
		fmt.Fprintf(w, "X is being asked for its counts: %d posts in the months so far. Run the same command again in some minutes.\n", posts)
	default:
		fmt.Fprintf(w, "X counts %d posts from %s to %s; reading all of them costs up to %.2f US dollars, and what they quote or answer comes on top.\n", posts,
			h.Months[len(h.Months)-1].From.Format(time.DateOnly), h.Months[0].To.Format(time.DateOnly), float64(posts)*reads.Price(string(twitter.History)))
	}
	if whole && h.MaxReads == 0 {
		fmt.Fprintln(w, "Nothing is read. To read them, add --max-reads with as many as may be read.")
	}
	if h.MaxReads > 0 && h.Ended.IsZero() {
		fmt.Fprintf(w, "Under way, %d posts read of at most %d.\n", h.Reads, h.MaxReads)
	}
	if h.MaxReads > 0 && len(h.Months) > 0 {
		fmt.Fprintf(w, "\n%-10s %8s %8s %8s\n", "month", "counted", "given", "new")
		for _, m := range h.Months {
			mark := ""
			switch {
			case m.Done && !m.Complete():
				mark = "  fewer than X counts"
			case !m.Done:
				mark = "  not read to its end"
			}
			fmt.Fprintf(w, "%-10s %8d %8d %8d%s\n", m.From.Format("2006-01"), max(0, m.Counted), m.Found, m.New, mark)
		}
		fmt.Fprintf(w, "%-10s %8d %8d %8d\n", "all", posts, found, added)
	}
	if !h.Ended.IsZero() {
		fmt.Fprintf(w, "\nEnded %s. %s\n", h.Ended.Format(time.RFC3339), h.Stopped)
		fmt.Fprintf(w, "The account has %d posts by X's own number, reposts among them. X's search may lack reposts, and has nothing that was deleted.\n", h.Stated)
	}
	if h.Problem != nil {
		m := fault.Cause(h.Problem.Cause).Meaning()
		fmt.Fprintf(w, "\nIt waits until %s: %s\n", h.Until.Format(time.RFC3339), m.Words())
	}
}
