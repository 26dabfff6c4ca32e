package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/export"
	"xarchive/handler/internal/fault"
)

const exportUsage = `
  handler export --account ID --format FORMAT [--from TIME] [--to TIME] [--kind KIND] [--text TEXT] DEST

    takes an account's messages out of the archive, byte for byte, and compares each with
    its SHA-256 before and after writing. It needs only the settings of the storage account
    (STORAGE_ACCOUNT_URL or STORAGE_CONNECTION_STRING, ARCHIVE_CONTAINER) and changes nothing
    in it. Interrupted, the same command goes on where it stopped.

    --account  the account's id on X: the number that the names of its blobs begin with
    --format   maildir, mbox, eml (a folder of files), zip, or review-set (a folder for
               Purview's "import external data")
    --from     RFC 3339 or a date (UTC), of the post. Default: the first one
    --to       the same; a date includes its whole day. Default: the last one
    --kind     Tweet, Reply, Retweet, Quote, or several with commas. Default: all
    --text     only posts that have this text, in capitals or not
    --mailbox  of a review set: the custodian of messages whose author has no mailbox
    DEST       what is made: a folder, or for mbox and zip a file. The manifest is beside it
               (DEST.manifest.csv, .jsonl; in a zip inside)

    A message that is altered or foreign is left out and named; the exit code is then 1.
`

// exportCommand is `handler export`.
func exportCommand(ctx context.Context, args []string) int {
	q, dest, err := exportArguments(args)
	if err != nil {
		return refused(exportUsage, err)
	}
	kept, err := openStorage(os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitWrong
	}
	build, err := build()
	if err != nil {
		build = "unknown" // it is only noted in the manifest
	}
	show := newProgress(os.Stderr)
	var leftOut []export.LeftOut
	status, err := export.Run(ctx, export.Options{
		Archive: archive.New(kept.archive), Query: q, Dest: dest, Now: time.Now, Version: build,
		Progress: show.update,
		LeftOut: func(l export.LeftOut) {
			show.line(fmt.Sprintf("left out: %s – %s", l.Source, l.Reason))
			if len(leftOut) < namedInSummary {
				leftOut = append(leftOut, l)
			}
		},
	})
	show.end()
	if err != nil {
		if ctx.Err() != nil {
			err = errInterrupted
		}
		fmt.Fprintf(os.Stderr, "The export is not complete: %v.\n%s\n", err, exportAdvice(err))
		return exitWrong
	}
	summarize(os.Stdout, q, dest, status, leftOut)
	if status.LeftOut > 0 {
		return exitWrong
	}
	return exitWell
}

// exportArguments reads the arguments.
func exportArguments(args []string) (q export.Query, dest string, err error) {
	flags := newFlags("export")
	flags.StringVar(&q.Account, "account", "", "")
	flags.StringVar((*string)(&q.Format), "format", "", "")
	flags.StringVar(&q.Text, "text", "", "")
	flags.StringVar(&q.Mailbox, "mailbox", "", "")
	timeFlags(flags, &q.From, &q.To)
	flags.Func("kind", "", func(s string) (err error) { q.Kinds, err = export.ParseKinds(s); return err })
	rest, err := parseFlags(flags, args, 1)
	if err != nil {
		return q, "", err
	}
	dest = strings.Join(rest, "")
	switch {
	case dest == "":
		return q, "", errors.New("DEST is missing: say where to export to")
	case q.Account == "":
		return q, "", errors.New("--account is missing: say whose messages")
	case q.Format == "":
		return q, "", errors.New("--format is missing: choose one of maildir, mbox, eml, zip, review-set")
	}
	return q, dest, q.Check()
}

var errInterrupted = errors.New("it was interrupted")

// exportAdvice says what to do about an error.
func exportAdvice(err error) string {
	const again = "run the same command again: it goes on where it stopped."
	switch {
	case errors.Is(err, export.ErrNoAccount):
		return "Check --account, which is the account's number on X and not its handle, and ARCHIVE_CONTAINER."
	case errors.Is(err, export.ErrOccupied):
		return "Nothing was changed."
	case errors.Is(err, export.ErrWriting):
		return "Do not use what was written. Check the disk, then " + again
	case errors.Is(err, blob.ErrNoContainer):
		return "Check ARCHIVE_CONTAINER and the storage account's name."
	case errors.Is(err, errInterrupted):
		return "To go on, " + again
	}
	switch fault.CauseOf(err) {
	case fault.StorageAccess:
		return "Give yourself the role Storage Blob Data Reader on the storage account and let its network rules admit this machine. A new role takes some minutes. Then " + again
	case fault.Storage:
		return "Check the network between this machine and the storage account, then " + again
	}
	return "Put right what the message names, then " + again
}

// namedInSummary bounds how many messages the summary names; the manifest names all.
const namedInSummary = 20

// summarize says what is in DEST and what is not.
func summarize(w io.Writer, q export.Query, dest string, s export.Status, leftOut []export.LeftOut) {
	switch {
	case s.Messages > 0:
		fmt.Fprintf(w, "%s of account %s in %s, %s. Each has the SHA-256 that it was archived with.\n",
			count(s.Messages, "message"), q.Account, dest, size(s.Bytes))
	case s.Looked == 0:
		fmt.Fprintf(w, "No message in %s: the archive has messages of account %s, but none of this time and kind.\n", dest, q.Account)
	default:
		fmt.Fprintf(w, "No message in %s: of %s looked at, none was to be written.\n", dest, count(s.Looked, "message"))
	}
	if s.Kept > 0 {
		fmt.Fprintf(w, "Of these %d had been written before.\n", s.Kept)
	}
	if q.Format == export.Zip {
		fmt.Fprintln(w, "The manifest is inside: manifest.csv and manifest.jsonl.")
	} else {
		fmt.Fprintf(w, "The manifest: %s.manifest.csv and .jsonl.\n", filepath.Clean(dest))
	}
	if q.Format == export.ReviewSet {
		warnOfNobody(w, dest)
	}
	if s.LeftOut == 0 {
		return
	}
	fmt.Fprintf(w, "%s LEFT OUT:\n", strings.ToUpper(count(s.LeftOut, "message")))
	for _, l := range leftOut {
		fmt.Fprintf(w, "  %s\n    %s\n", l.Source, l.Reason)
	}
	if more := s.LeftOut - len(leftOut); more > 0 {
		fmt.Fprintf(w, "  and %d more; the manifest names all.\n", more)
	}
	fmt.Fprintln(w, "What to do about an altered message is in docs/operations.md.")
}

// warnOfNobody names the folders of a review set that are nobody's.
func warnOfNobody(w io.Writer, dest string) {
	folders, err := os.ReadDir(dest)
	if err != nil {
		return
	}
	for _, f := range folders {
		if export.Nobody(f.Name()) {
			fmt.Fprintf(w, "The folder %s is of an author without a mailbox. Rename it to the custodian's address before the upload, or export with --mailbox.\n", f.Name())
		}
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// size is a number of bytes for people.
func size(n int64) string {
	units := []string{"bytes", "KB", "MB", "GB", "TB"}
	value, i := float64(n), 0
	for value >= 1000 && i < len(units)-1 {
		value, i = value/1000, i+1
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", value), ".0") + " " + units[i]
}
