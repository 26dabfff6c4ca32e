package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/backfill"
	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/capture"
	"xarchive/handler/internal/config"
	"xarchive/handler/internal/dataexport"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/gone"
	"xarchive/handler/internal/manifest"
	"xarchive/handler/internal/message"
	"xarchive/handler/internal/reads"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

const importUsage = `
  handler import [--look-up N] FILE

    takes an account's posts out of X's own data export into the archive: what was posted
    before the connector, or beyond the 3,200 posts that X's timeline gives, also posts that
    were deleted lately. FILE is the zip file as X gives it to the account's owner,
    twitter-<date>-….zip; an export in several files is imported file by file. Its direct
    messages and whatever else is in it are not read. Without --look-up it asks X nothing and
    costs nothing.

    The account must be one that the connector archives. A post that is archived already is
    left as it is. Interrupted, the same command goes on where it stopped.

    It needs the settings of the storage account, with the right to write to it, and the
    connector's own TENANT_ID, ARCHIVE_MAILBOX and AUTHOR_MAILBOXES, by which messages are
    addressed.

    --look-up  asks X's API for so many of the imported posts afterwards, for what an export
               lacks: descriptions of pictures, names, what a post quotes or answers. What X
               gives is archived beside them. Each costs 0.005 US dollars, and each post that
               it quotes or answers as much; without the flag it is said how many there are.
               It needs all settings of the connector, as handler check does
`

// importCommand is `handler import`.
func importCommand(ctx context.Context, args []string) int {
	lookUp := 0
	flags := newFlags("import")
	flags.IntVar(&lookUp, "look-up", 0, "")
	files, err := parseFlags(flags, args, 1)
	switch {
	case err != nil:
	case len(files) == 0:
		err = errors.New("FILE is missing: say which data export")
	case lookUp < 0:
		err = errors.New("--look-up is not a number of posts")
	}
	if err != nil {
		return refused(importUsage, err)
	}
	cfg, err := config.LoadMail(os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitWrong
	}
	kept, err := openStorage(os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitWrong
	}
	show := newProgress(os.Stderr)
	failed := func(what string, err error) int {
		show.end()
		if ctx.Err() != nil {
			err = errInterrupted
		}
		fmt.Fprintf(os.Stderr, "The %s is not complete: %v.\n%s\n", what, err, importAdvice(err))
		return exitWrong
	}
	report, err := importExport(ctx, files[0], cfg, kept, show)
	if err != nil {
		return failed("import", err)
	}
	show.end()
	exit := exitWell
	if !sayImported(os.Stdout, report) {
		exit = exitWrong
	}
	if lookUp == 0 {
		sayLacking(os.Stdout, report.Lacking)
		return exit
	}
	looked, err := lookUpImported(ctx, report.Job, lookUp, kept, show)
	show.end()
	fmt.Printf("X was asked for %s: it gives %d, whose messages now have another one beside them, and has %d no longer. %d may still be looked up.\n", count(looked.Asked, "post"), looked.Given, looked.Gone, looked.Left)
	if err != nil {
		return failed("look-up", err)
	}
	return exit
}

// sayLacking says what may be looked up, and what that costs.
func sayLacking(w io.Writer, posts int) {
	if posts > 0 {
		fmt.Fprintf(w, "X's API may have more of %s. To look them up, add --look-up %d: that costs up to %.2f US dollars, and as much again at most for what they quote or answer.\n",
			count(posts, "post"), posts, float64(posts)*reads.Price(string(twitter.LookUps)))
	}
}

// lookUpImported asks X for posts that were imported.
func lookUpImported(ctx context.Context, job state.Job, most int, kept kept, show *progress) (backfill.LookedUp, error) {
	made, err := withoutHost(os.Getenv, slog.New(slog.NewTextHandler(lines{show}, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return backfill.LookedUp{}, err
	}
	return backfill.LookUps{State: state.New(kept.state), Manifest: manifest.New(kept.archive), Capture: made.capture, Budget: made.reads,
		Show: func(done, all int) {
			show.show(done, func() string { return fmt.Sprintf("%d of %s looked up", done, count(all, "post")) })
		}}.Run(ctx, job, most)
}

// importExport imports the data export in a file.
func importExport(ctx context.Context, file string, cfg config.Config, kept kept, show *progress) (backfill.Report, error) {
	build, err := build()
	if err != nil {
		build = "unknown" // it is only noted beside the messages
	}
	x, err := dataexport.Open(file)
	if err != nil {
		return backfill.Report{}, err
	}
	defer x.Close()
	store, mail, lists := state.New(kept.state), archive.New(kept.archive), manifest.New(kept.archive)
	if _, err := backfill.Job(ctx, store, x.Account); err != nil { // before the whole file is read
		return backfill.Report{}, err
	}
	sum, err := x.SHA256(ctx)
	if err != nil {
		return backfill.Report{}, err
	}
	show.line(fmt.Sprintf("The data export of @%s, %s, SHA-256 %s.", x.Account.Username, size(x.Size), sum))
	log := slog.New(slog.NewTextHandler(lines{show}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	return backfill.Run(ctx, backfill.Options{State: store, Manifest: lists, Export: x, SHA256: sum,
		Capture: capture.New(capture.Options{State: store, Archive: mail, Manifest: lists, Media: backfill.Media{Export: x}, Now: time.Now, Log: log, Version: build,
			Gone:   &gone.Register{State: store, Archive: mail, Now: time.Now, Log: log},
			Format: message.Format{To: cfg.ArchiveMailbox, Mailboxes: cfg.AuthorMailboxes}}),
		Show: func(step string, s dataexport.Status) {
			show.show(s.Posts, func() string {
				return fmt.Sprintf("%3d %% %s, %s", 100*s.Read/max(s.All, 1), step, count(s.Posts, "post"))
			})
		}})
}

// lines writes lines of a log above the progress.
type lines struct{ show *progress }

func (l lines) Write(p []byte) (int, error) {
	l.show.line(string(p[:max(0, len(p)-1)]))
	return len(p), nil
}

// importAdvice says what to do about an error.
func importAdvice(err error) string {
	const again = "run the same command again: it goes on where it stopped."
	switch {
	case errors.Is(err, errInterrupted):
		return "To go on, " + again
	case errors.Is(err, fs.ErrNotExist):
		return "Check the file's name. Nothing was changed."
	case errors.Is(err, dataexport.ErrNotExport):
		return "FILE is the zip file that X offers under Settings, Your account, Download an archive of your data; not a folder, and not a file of it. Nothing was changed."
	case errors.Is(err, dataexport.ErrHostile):
		return "Take the file from X itself, not from a mail or a copy. Nothing was changed."
	case errors.Is(err, dataexport.ErrMalformed):
		return "Download the export once more. If it is the same again, X has changed its form: tell who maintains the connector. What is archived stays."
	case errors.Is(err, backfill.ErrNoJob):
		return "The account must sign in with the connector first (docs/setup.md), or this is another account's export. Nothing was changed."
	case errors.Is(err, backfill.ErrNotRead):
		return "Wait until the status page shows the account as read, then run the same command again. Nothing was changed."
	case errors.Is(err, blob.ErrNoContainer):
		return "Check ARCHIVE_CONTAINER, STATE_CONTAINER and the storage account's name."
	}
	switch fault.CauseOf(err) {
	case fault.StorageAccess:
		return "Give yourself the role Storage Blob Data Contributor on both containers, and let the network rules admit this machine. A new role takes some minutes. Then " + again
	case fault.Storage:
		return "Check the network between this machine and the storage account, then " + again
	}
	return "Put right what the message names, then " + again
}

// sayImported says what became of the export's posts, and reports whether all of them are
// kept.
func sayImported(w io.Writer, r backfill.Report) bool {
	fmt.Fprintf(w, "%s in the data export:\n", count(r.Posts, "post"))
	row := func(n int, what string) {
		if n > 0 {
			fmt.Fprintf(w, "%8d  %s\n", n, what)
		}
	}
	row(r.Taken, "are in the archive from this export, by the account's manifest")
	row(r.Others, "were archived before, and are left as they are")
	row(r.Fuller, "  of them have a text in the export that the archive had not: it is archived beside them")
	row(r.Aside, "could not be made into messages; they are kept under set-aside in the state container")
	fmt.Fprintln(w, "What the export has of them:")
	row(r.Deleted, "were deleted on X; each message says so, and a note is beside it")
	row(r.Reposts, "are reposts, or begin like one: the export has only the beginning of each, and the message says so")
	row(r.NotesJoined, "have their long text whole")
	row(r.NotesOpen, "may have a longer text, and which one is not certain: the message says so")
	row(r.Notes-r.NotesJoined, "long texts belong to no post for certain, and are not archived")
	row(r.ArticlesFound, "publish an article")
	row(r.Articles-r.ArticlesFound-r.Drafts, "articles belong to no post of the export, and are not archived")
	row(r.Drafts, "drafts of articles, which were never published, are not archived")
	row(r.Media, "files of posts")
	row(r.MediaMissing, "photos and films are named by posts and not in the export; each message says so")
	row(r.Twice, "posts are listed more than once, and archived once")
	for _, short := range r.Short {
		fmt.Fprintf(w, "INCOMPLETE: %s.\n", short)
	}
	if !r.Whole() {
		fmt.Fprintf(w, "NOT ALL of them are archived: %s and %s without an id are in the export. Run the same command again.\n", count(r.Posts, "post"), count(r.Unusable, "element"))
		return false
	}
	fmt.Fprintln(w, "Descriptions of pictures, names of others, polls, and the posts that these answer or quote are not in X's data exports.")
	fmt.Fprintln(w, "It closes no gap: that an export has all posts of a time is X's word, and nothing proves it. The next task over their time delivers them.")
	return len(r.Short) == 0
}
