package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/export"
	"xarchive/handler/internal/manifest"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/verify"
)

const verifyUsage = `
    reads an account's whole archive, compares every message with the SHA-256 that it was
    archived with, and the messages with the manifest that lists them. It names every message
    that is altered, missing, added or not one of the connector's, and changes nothing. It
    needs only the settings of the storage account.

    --account  the account's id on X: the number that the names of its blobs begin with
    --from     RFC 3339 or a date (UTC), of the post. Standard: the first one
    --to       the same; a date includes its whole day. Standard: the last one

    It ends with 1 if anything is wrong, or if it is not known how far the manifest should
    reach.
`

// verifyCommand is `handler verify`.
func verifyCommand(ctx context.Context, args []string) int {
	var o verify.Options
	o.To = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	flags := flag.NewFlagSet("verify", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.Account, "account", "", "")
	flags.Func("from", "", func(s string) (err error) { o.From, err = export.ParseFrom(s); return err })
	flags.Func("to", "", func(s string) (err error) { o.To, err = export.ParseTo(s); return err })
	err := flags.Parse(args)
	switch {
	case err == nil && flags.NArg() > 0:
		err = fmt.Errorf("%q is one argument too many", flags.Arg(0))
	case err == nil && o.Account == "":
		err = errors.New("--account is missing: say whose messages")
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%v\n\n%s", err, usage)
		return exitUsage
	}
	storage, err := openStorage(os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitWrong
	}
	record, err := state.New(storage.state).Account(ctx, o.Account)
	if err != nil {
		fmt.Fprintf(os.Stderr, "The account's record cannot be read: %v\n", err)
	}
	endKnown := err == nil && record.V > 0 // one that is not there is empty
	o.Archive, o.Manifests, o.Newest = archive.New(storage.archive), manifest.New(storage.archive), record.Manifest
	show := newProgress(os.Stderr)
	o.Progress = func(r verify.Report) { show.update(export.Status{Messages: r.Messages, Bytes: r.Bytes}) }
	report, err := verify.Account(ctx, o)
	show.end()
	if err != nil {
		if ctx.Err() != nil {
			err = errInterrupted
		}
		fmt.Fprintf(os.Stderr, "The archive was not read to its end: %v.\n", err)
		return exitWrong
	}
	if sayVerified(os.Stdout, o.Account, report, endKnown) {
		return exitWell
	}
	return exitWrong
}

// sayVerified says what was found, and reports whether all is well. endKnown: the
// account's record says how far the manifest reaches; else nobody can tell whether its
// end was cut off, and the messages of that end with it. Finding nothing to verify is not
// well: nothing is shown by it.
func sayVerified(w io.Writer, account string, r verify.Report, endKnown bool) bool {
	fmt.Fprintf(w, "Account %s: %s read (%s), %s of the manifest compared.\n", account, count(r.Messages, "message"), size(r.Bytes), count(r.Lines, "line"))
	for _, kind := range []struct {
		what string
		list []string
	}{{"ALTERED", r.Altered}, {"MISSING", r.Missing}, {"ADDED", r.Extra}, {"NOT THE CONNECTOR'S", r.Foreign}, {"THE MANIFEST IS BROKEN", r.Broken}} {
		for _, fault := range kind.list {
			fmt.Fprintf(w, "%s: %s\n", kind.what, fault)
		}
	}
	switch {
	case !r.Sound():
		fmt.Fprintln(w, "The archive is NOT as it was written. docs/operations.md says what to do.")
		return false
	case r.Messages == 0 && r.Lines == 0:
		fmt.Fprintln(w, "There is nothing to verify: check --account, --from and --to.")
		return false
	case r.Unlisted > 0:
		are := "are"
		if r.Unlisted == 1 {
			are = "is"
		}
		fmt.Fprintf(w, "Every message read has the hash that is kept beside it. %s of them %s in no manifest, because there was none yet: whoever could write the message could write that hash, too, and whether more of them were there is not known. The manifest lists the others.\n",
			count(r.Unlisted, "message"), are)
	case endKnown:
		fmt.Fprintln(w, "Every message read is as it was archived, and the manifest lists the same messages.")
	default:
		fmt.Fprintln(w, "Every message read is as it was archived, and the manifest that is there lists it.")
	}
	if !endKnown {
		fmt.Fprintln(w, "Whether the manifest was cut off, and messages with it, is not known: there is no record of the account that says how far it should reach. Check ARCHIVE_CONTAINER and STATE_CONTAINER.")
	}
	return endKnown
}
