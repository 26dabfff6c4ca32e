package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
	"xarchive/handler/internal/audit"

	"xarchive/handler/internal/state"
)

const (
	maxName   = 100  // characters of who acknowledges a loss
	maxReason = 1000 // and of why
)

// Acknowledge keeps that a person knows of losses that nobody can undo. Losses that
// somebody has acknowledged before stay with that person.
func (j *Jobs) Acknowledge(ctx context.Context, a state.Acknowledgement) error {
	a.By, a.Reason = strings.TrimSpace(a.By), strings.TrimSpace(a.Reason)
	for _, field := range []struct {
		name, text string
		most       int
	}{{"Your name", a.By, maxName}, {"The reason", a.Reason, maxReason}} {
		switch {
		case field.text == "":
			return bad(field.name + " is missing. It is kept with the acknowledgement.")
		case !utf8.ValidString(field.text) || utf8.RuneCountInString(field.text) > field.most:
			return bad(fmt.Sprintf("%s is longer than %d characters.", field.name, field.most))
		case strings.ContainsFunc(field.text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' }):
			return bad(field.name + " has a control character in it.")
		}
	}
	a.At = j.opt.Now().UTC()
	known := false
	err := j.change(ctx, audit.Change{What: audit.Acknowledged, Account: a.AccountID, Detail: a.What + " " + a.By + ": " + a.Reason}, func() error {
		err := j.opt.State.Acknowledge(ctx, a)
		known = errors.Is(err, state.ErrExists)
		if known {
			return nil
		}
		return err
	})
	if err == nil && !known {
		j.opt.Log.InfoContext(ctx, "a loss is acknowledged", "account", a.AccountID, "losses", len(a.Losses), "what", a.What)
	}
	return err
}
