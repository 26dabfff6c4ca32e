package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/export"
	"xarchive/handler/internal/manifest"
	"xarchive/handler/internal/stamp"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/verify"
)

const verifyUsage = `
  handler verify [--account ID] [--from TIME] [--to TIME] [--tsa-ca FILE]

    reads the whole archive, compares every message and every raw answer of X with the SHA-256
    that it was archived with, and the messages with the manifest that lists them. It names
    everything that is altered, missing, added or not one of the connector's, and changes
    nothing. It needs only the settings of the storage account.

    --account  the account's id on X: the number that the names of its blobs begin with.
               Default: every account of the archive
    --from     RFC 3339 or a date (UTC), of the post. Default: the first one
    --to       the same; a date includes its whole day. Default: the last one

    --tsa-ca   a file with the certificate (PEM) of the root of the time-stamping authority.
               Default: the roots that this machine trusts

    It ends with 1 if anything is wrong, or if it is not known how far the manifest should
    reach.
`

// verifyCommand is `handler verify`.
func verifyCommand(ctx context.Context, args []string) int {
	var o verify.Options
	o.To = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	var roots *x509.CertPool
	flags := newFlags("verify")
	flags.StringVar(&o.Account, "account", "", "")
	timeFlags(flags, &o.From, &o.To)
	flags.Func("tsa-ca", "", func(name string) error {
		pem, err := os.ReadFile(name)
		if err == nil {
			roots, err = stamp.Roots(pem)
		}
		return err
	})
	if _, err := parseFlags(flags, args, 0); err != nil {
		return refused(verifyUsage, err)
	}
	storage, err := openStorage(os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitWrong
	}
	mail := archive.New(storage.archive)
	o.Stamped = stamped(roots)
	o.Archive, o.Manifests = mail, manifest.New(storage.archive)
	accounts := []string{o.Account}
	if o.Account == "" {
		if accounts, err = mail.Accounts(ctx); err != nil {
			fmt.Fprintf(os.Stderr, "The archive cannot be read: %v.\n", err)
			return exitWrong
		}
		if len(accounts) == 0 {
			fmt.Fprintln(os.Stderr, "There is nothing to verify: the archive has no accounts. Check ARCHIVE_CONTAINER.")
			return exitWrong
		}
	}
	exit := exitWell
	for _, account := range accounts {
		o.Account = account
		if !verifyAccount(ctx, o, state.New(storage.state)) {
			exit = exitWrong
		}
		if ctx.Err() != nil {
			break
		}
	}
	return exit
}

// verifyAccount verifies an account and reports whether all is well.
func verifyAccount(ctx context.Context, o verify.Options, states *state.Store) bool {
	record, err := states.LoadAccount(ctx, o.Account)
	endKnown := err == nil && record.Account.V > 0 // one that is not there is empty
	o.Settled, o.Named = time.Now(), 1000
	if err != nil {
		fmt.Fprintf(os.Stderr, "The record of account %s cannot be read: %v\n", o.Account, err)
	} else {
		o.Newest = record.Account.Manifest
		if record.Claimed() || record.Account.Run != nil { // what is archived at this moment is listed in a moment
			o.Settled = record.Account.Settled(o.Settled.Add(-10 * time.Minute))
		}
	}
	show := newProgress(os.Stderr)
	o.Progress = func(r verify.Report) { show.update(export.Status{Messages: r.Messages, Bytes: r.Bytes}) }
	report, err := verify.Account(ctx, o)
	show.end()
	if err != nil {
		if ctx.Err() != nil {
			err = errInterrupted
		}
		fmt.Fprintf(os.Stderr, "The archive of account %s was not read to its end: %v.\n", o.Account, err)
		return false
	}
	return sayVerified(os.Stdout, o.Account, report, endKnown)
}

// sayVerified says what was found, and reports whether all is well. endKnown: the
// account's record says how far the manifest reaches; else nobody can tell whether its
// end was cut off, and the messages of that end with it. Finding nothing to verify is not
// well: nothing is shown by it.
func sayVerified(w io.Writer, account string, r verify.Report, endKnown bool) bool {
	notes := ""
	if r.Notes > 0 {
		notes = " and " + count(r.Notes, "note") + " beside them"
	}
	fmt.Fprintf(w, "Account %s: %s%s and %s of X read (%s), %s of the manifest compared.\n", account,
		count(r.Messages, "message"), notes, count(r.Raw, "raw answer"), size(r.Bytes), count(r.Lines, "line"))
	for _, kind := range r.Faults() {
		for _, fault := range kind.Named {
			fmt.Fprintf(w, "%s: %s\n", strings.ToUpper(kind.What), fault)
		}
		if more := kind.Count - len(kind.Named); more > 0 {
			fmt.Fprintf(w, "%s: and %d more\n", strings.ToUpper(kind.What), more)
		}
	}
	if r.Pending > 0 {
		fmt.Fprintf(w, "%s too new to be in the manifest: verify again later.\n", count(r.Pending, "message"))
	}
	if r.Stamps > 0 {
		fmt.Fprintf(w, "%s of the manifest checked; the newest states that the manifest up to it was there at %s.\n", count(r.Stamps, "time stamp"), r.StampedTo.UTC().Format(time.RFC3339))
	}
	if r.UnlistedNotes > 0 {
		fmt.Fprintf(w, "%s beside messages, of posts that are gone from X or back, from before the manifest listed notes: whoever could write the note could write the hash beside it, too.\n", count(r.UnlistedNotes, "note"))
	}
	if r.Untrusted > 0 {
		fmt.Fprintf(w, "%s by a signer that leads to no root that is trusted here, and so prove nothing: name the authority's root with --tsa-ca.\n", count(r.Untrusted, "time stamp"))
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
	case endKnown && r.Pending == 0:
		fmt.Fprintln(w, "Every message read is as it was archived, and the manifest lists the same messages.")
	default:
		fmt.Fprintln(w, "Every message read is as it was archived, and the manifest that is there lists it.")
	}
	if !endKnown {
		fmt.Fprintln(w, "Whether the manifest was cut off, and messages with it, is not known: there is no record of the account that says how far it should reach. Check ARCHIVE_CONTAINER and STATE_CONTAINER.")
	}
	return endKnown
}
