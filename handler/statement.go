package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/manifest"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/statement"
)

const statementUsage = `
  handler statement --month YYYY-MM [--account ID] [DEST]

    states of a month (UTC) what the archive holds of each account: posts by kind, what is
    gone from X, what is missing, up to when it is verified and delivered. It reads listings
    and the manifest, and changes nothing. It needs only the settings of the storage account.

    --month    such as 2026-10
    --account  the account's id on X. Default: every account
    DEST       DEST.csv and DEST.html are written, if neither is there. Default:
               statement-<month> in this folder
`

// statementCommand is `handler statement`.
func statementCommand(ctx context.Context, args []string) int {
	var month statement.Month
	var account string
	flags := newFlags("statement")
	flags.StringVar(&account, "account", "", "")
	flags.Func("month", "", func(s string) (err error) { month, err = statement.ParseMonth(s); return err })
	rest, err := parseFlags(flags, args, 1)
	if err == nil && month.IsZero() {
		err = errors.New("--month is missing: say of which month")
	}
	if err != nil {
		return refused(statementUsage, err)
	}
	storage, err := openStorage(os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitWrong
	}
	dest := "statement-" + month.String()
	if len(rest) > 0 {
		dest = rest[0]
	}
	m := statement.Maker{State: state.New(storage.state), Archive: archive.New(storage.archive), Manifests: manifest.New(storage.archive), Now: time.Now}
	s, err := m.Make(ctx, month, account)
	if err == nil && len(s.Accounts) == 0 {
		err = errors.New("there is no account: check STATE_CONTAINER")
	}
	if err == nil {
		err = errors.Join(writeNew(dest+".csv", s.CSV), writeNew(dest+".html", s.HTML))
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "The statement could not be made: %v.\n", err)
		return exitWrong
	}
	fmt.Printf("%s.csv and %s.html: %s.\n", dest, dest, count(len(s.Accounts), "account"))
	return exitWell
}

// writeNew writes a file that is not there yet.
func writeNew(name string, write func(io.Writer) error) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
