// Package gone records which archived posts X no longer gives, and which of them it
// gives again. What is archived stays as it is; beside a message of which X says that
// it has no such post there is then a note,
//
//	<accountId>/<yyyy>/<mm>/<dd>/<postId>.gone.json    X no longer gives the post
//	<accountId>/<yyyy>/<mm>/<dd>/<postId>.back.json    X gives it again
//	<accountId>/<yyyy>/<mm>/<dd>/<postId>.gone.2.json  … and does not a second time
//
// each written once. [Register.Note] is called by whoever has asked X for posts by
// their ids: the audit, the look-ups of tasks, the timeline's check of known posts. It
// asks X nothing.
package gone

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/manifest"
	"xarchive/handler/internal/message"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
)

// Version is the version of the notes' format.
const Version = 1

// Note is what is kept beside a message.
type Note struct {
	V       int    `json:"v"`
	Account string `json:"account"`
	PostID  string `json:"postId"`
	Message string `json:"message"` // its path in the archive container
	SHA256  string `json:"sha256"`  // of the message's bytes (hex)
	Is      string `json:"is"`      // "gone" or "back"

	Noticed  time.Time `json:"noticed"`           // UTC; of a gone post: when X first did not give it; of one that is back: when X gave it again
	LastSeen time.Time `json:"lastSeen,omitzero"` // UTC; of a gone post: when X is last known to have given it
	Since    time.Time `json:"since,omitzero"`    // UTC; of one that is back: when it was noticed to be gone
	By       string    `json:"by"`                // who asked X: "audit", "task" or "timeline"; "export" where its data export says so
	Why      string    `json:"why,omitempty"`     // of a gone post: X's reason in words

	Answer string `json:"answer,omitempty"` // of a gone post: X's own object, byte for byte
}

// What a look-up was made for.
const (
	ByAudit    = "audit"
	ByTask     = "task"
	ByTimeline = "timeline"
	ByActivity = "activity" // X told of its own accord, and said so when it was asked
	ByExport   = "export"   // nobody asked X: its data export lists the post among the deleted ones
)

// Look is what X said of one archived post.
type Look struct {
	Entry    archive.Entry // of the post's own message
	Problem  *post.Problem // why X does not give it; nil: X gave it
	LastSeen time.Time     // when X is last known to have given it; zero: when it was archived
}

// Register keeps the notes. Every member is required.
type Register struct {
	State   *state.Store
	Archive *archive.Archive
	Now     func() time.Time
	Log     *slog.Logger
}

// Note takes what X said of an account's archived posts. What is new is kept beside the
// message, listed in the account's record, and noted to be told to the Import service.
// Repeating it is harmless. It returns how many posts are newly gone and how many are back.
//
// listNow must have the lines in the account's manifest when it returns: the account's record
// names a post as gone only when the note about it is listed.
func (r *Register) Note(ctx context.Context, jobID, accountID, by string, looks []Look, listNow func(context.Context, []manifest.Line) error) (gone, back int, err error) {
	if len(looks) == 0 {
		return 0, 0, nil
	}
	list, err := r.State.Gone(ctx, accountID)
	if err != nil {
		return 0, 0, fmt.Errorf("reading which posts of account %s are gone: %w", accountID, err)
	}
	var changed []state.GonePost
	var lines []manifest.Line
	for _, l := range looks {
		known := list.Find(l.Entry.PostID)
		missing := known != nil && known.Back.IsZero()
		if missing == (l.Problem != nil) {
			continue
		}
		var p state.GonePost
		var line manifest.Line
		if l.Problem != nil {
			p, line, err = r.gone(ctx, jobID, accountID, by, l, known)
			gone++
		} else {
			p, line, err = r.back(ctx, jobID, accountID, by, l, *known)
			back++
		}
		if err != nil {
			return gone, back, err
		}
		if known == nil && list.Dropped(p) { // it is noted and was told, and the list has no place for it
			gone--
			continue
		}
		what := "gone"
		if !p.Back.IsZero() {
			what = "back"
		}
		// Before the post is listed: an event may be sent twice, never not at all.
		err = r.State.PutChange(ctx, jobID, state.Change{AccountID: accountID, PostID: p.PostID, At: r.Now().UTC(), What: what})
		if err != nil {
			return gone, back, err
		}
		changed, lines = append(changed, p), append(lines, line)
	}
	if len(changed) == 0 {
		return gone, back, nil
	}
	if err := listNow(ctx, lines); err != nil {
		return gone, back, fmt.Errorf("listing notes in the manifest: %w", err)
	}
	return gone, back, r.State.AddGone(ctx, accountID, changed...)
}

// numbered is the name of the n-th note of its kind.
func numbered(kind string, n int) string {
	if n > 1 {
		return fmt.Sprintf("%s.%d", kind, n)
	}
	return kind
}

// gone keeps that X no longer gives a post.
func (r *Register) gone(ctx context.Context, jobID, accountID, by string, l Look, known *state.GonePost) (state.GonePost, manifest.Line, error) {
	times := 1
	if known != nil {
		times = known.Times + 1
	}
	seen := l.LastSeen
	for _, at := range []time.Time{l.Entry.Stored, lastBack(known)} {
		if at.After(seen) {
			seen = at
		}
	}
	note := Note{V: Version, Account: accountID, PostID: l.Entry.PostID, Message: l.Entry.Name, SHA256: l.Entry.SHA256, Is: "gone",
		Noticed: r.Now().UTC(), LastSeen: seen.UTC(), By: by, Why: l.Problem.Title + ": " + l.Problem.Detail, Answer: l.Problem.Raw}
	note, line, added, err := r.keep(ctx, l.Entry, note, numbered("gone", times))
	if err != nil {
		return state.GonePost{}, line, err
	}
	if added {
		r.Log.WarnContext(ctx, "X no longer gives an archived post; its message stands, a note is beside it", "job", jobID, "account", accountID, "post", note.PostID, "reason", note.Why)
	}
	p := state.GonePost{PostID: note.PostID, Name: note.Message, Noticed: note.Noticed, LastSeen: note.LastSeen, Why: note.Why, Times: times, Others: l.Entry.Kind == post.Mentioning}
	if p.First, err = r.first(ctx, l.Entry); err != nil {
		return state.GonePost{}, line, err
	}
	return p, line, nil
}

// first returns the id of the first version of an edited post's later one; "" of every
// other message, also of one that is no message of ours any more, which others report.
func (r *Register) first(ctx context.Context, e archive.Entry) (string, error) {
	body, err := r.Archive.Open(ctx, e)
	switch {
	case errors.Is(err, archive.ErrNotFound):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("reading which version of a post %s is: %w", e.Name, err)
	}
	defer body.Close()
	first, err := message.FirstVersion(body)
	if err != nil && ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	return first, nil
}

func lastBack(known *state.GonePost) time.Time {
	if known == nil {
		return time.Time{}
	}
	return known.Back
}

// back keeps that X gives a post again.
func (r *Register) back(ctx context.Context, jobID, accountID, by string, l Look, known state.GonePost) (state.GonePost, manifest.Line, error) {
	note := Note{V: Version, Account: accountID, PostID: known.PostID, Message: l.Entry.Name, SHA256: l.Entry.SHA256, Is: "back",
		Noticed: r.Now().UTC(), Since: known.Noticed, By: by}
	note, line, added, err := r.keep(ctx, l.Entry, note, numbered("back", known.Times))
	if err != nil {
		return state.GonePost{}, line, err
	}
	if added {
		r.Log.WarnContext(ctx, "X gives a post again that was gone", "job", jobID, "account", accountID, "post", known.PostID, "goneSince", known.Noticed)
	}
	known.Back = note.Noticed
	return known, line, nil
}

// keep writes a note about the message of an entry, and returns the one that is kept, with
// its line for the manifest: a process that was killed may have written it before.
func (r *Register) keep(ctx context.Context, e archive.Entry, note Note, what string) (Note, manifest.Line, bool, error) {
	doing := fmt.Sprintf("noting that post %s is %s", note.PostID, note.Is)
	text, err := json.MarshalIndent(note, "", "  ")
	if err != nil {
		return note, manifest.Line{}, false, fmt.Errorf("%s: %w", doing, err)
	}
	kept, added, err := r.Archive.PutBeside(ctx, note.Message, what, text)
	if err != nil {
		return note, manifest.Line{}, false, fmt.Errorf("%s: %w", doing, err)
	}
	there := note
	if !added {
		there = Note{}
		if json.Unmarshal(kept, &there) != nil || there.PostID != note.PostID || there.Noticed.IsZero() {
			return note, manifest.Line{}, false, fmt.Errorf("%s: %s is there and is no such note: %w", doing, archive.Beside(note.Message, what), archive.ErrForeign)
		}
	}
	sum := sha256.Sum256(kept)
	line := manifest.Line{Event: manifest.Event(note.Is), Key: note.PostID + "." + what, PostID: note.PostID, Path: archive.Beside(note.Message, what),
		SHA256: hex.EncodeToString(sum[:]), Kind: string(e.Kind), Posted: e.Created, Captured: there.Noticed}
	return there, line, added, nil
}
