// Package audit is the log of who changed what (settings, jobs, sign-ins), who
// acknowledged a loss, and who took messages out by a page. It is kept in
// the archive container, where nothing is overwritten and immutability may forbid that
// anything is removed.
//
// Each record is a blob of its own, audit/<nnnnnnnn>.json, made create-only, with the
// SHA-256 of the one before: a record that is altered or missing shows in the one after
// it. A change is written down before it is made ([Log.Begin]), so that none is made that
// is not; that it failed is written down afterwards. No record holds a secret.
package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"sync"
	"time"

	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/fault"
)

// Version is that of the records' format.
const Version = 1

// What was changed. The words are stored: none changes its meaning.
const (
	SettingsSaved   = "settings_saved"
	SignedInWithX   = "signed_in_with_x" // an account's token was kept for a job
	TokenDeleted    = "token_deleted"
	JobSaved        = "job_saved"
	JobDeleted      = "job_deleted"
	SignInRequired  = "sign_in_required" // a job's account must sign in with X again
	SessionBegun    = "session_begun"    // a person signed in to the pages
	SessionEnded    = "session_ended"
	Acknowledged    = "acknowledged"    // a person knows of a loss
	Exported        = "exported"        // messages were taken out of the archive by a page
	HistoryCounted  = "history_counted" // X is asked how many older posts an account has
	HistoryRead     = "history_read"    // older posts of an account may be read, for money
	HistoryStopped  = "history_stopped"
	ChangeHasFailed = "failed" // the change that Of names
)

// Record is one change.
type Record struct {
	V        int       `json:"v"`
	N        int       `json:"n"`                  // its number, from 1
	Previous string    `json:"previous,omitempty"` // SHA-256 (hex) of the bytes of record N-1; "" for the first
	At       time.Time `json:"at"`                 // UTC
	What     string    `json:"what"`
	Of       int       `json:"of,omitempty"` // of a failure: the number of what failed
	Actor
	JobID   string `json:"jobId,omitempty"`
	Account string `json:"account,omitempty"` // id on X
	Detail  string `json:"detail,omitempty"`  // in words, without secrets
}

// Actor is who makes a change, as far as is known.
type Actor struct {
	Who     string `json:"who"`               // of somebody who signed in with Entra the user principal name, else by what the caller was let in
	Door    string `json:"door"`              // "call" or "page"
	From    string `json:"from,omitempty"`    // address, as Azure's front end gives it
	Session string `json:"session,omitempty"` // names a session with the pages, without giving it away

	// Of somebody who signed in with Entra: what the person is called, the id in the directory,
	// and the role, "Administrator" or "Reader".
	Name     string `json:"name,omitempty"`
	ObjectID string `json:"objectId,omitempty"`
	Role     string `json:"role,omitempty"`
}

// By what callers are let in.
const (
	SharedSecret  = "shared secret"
	ImportService = "Office 365 Import service"
	Nobody        = "nobody who has signed in"
)

type actorKey struct{}

// By returns a context in which changes are made by somebody.
func By(ctx context.Context, a Actor) context.Context { return context.WithValue(ctx, actorKey{}, a) }

func by(ctx context.Context) Actor {
	a, ok := ctx.Value(actorKey{}).(Actor)
	if !ok {
		return Actor{Who: "unknown", Door: "unknown"}
	}
	return a
}

// SessionName names a session by its id, which must not be known.
func SessionName(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:4])
}

// ErrBroken: a record is missing, cannot be read, or does not follow the one before it.
var ErrBroken = fault.New(fault.ArchiveAltered, "the log of changes is broken")

// Container keeps the blobs; *blob.Container.
type Container interface {
	Read(ctx context.Context, name string) ([]byte, blob.Info, error)
	Write(ctx context.Context, name string, data []byte, when blob.Condition) (etag string, err error)
	List(ctx context.Context, prefix string, metadata bool) iter.Seq2[blob.Info, error]
}

// Log is the log of a container. Its methods may be called at once, by several instances.
type Log struct {
	blobs Container
	now   func() time.Time

	mu   sync.Mutex
	last link // as far as this process knows
}

// link is a record's number and the hash of its bytes.
type link struct {
	n   int
	sum string
}

// New returns the log of a container. Nothing is sent yet.
func New(c Container, now func() time.Time) *Log { return &Log{blobs: c, now: now} }

const folder = "audit/"

func name(n int) string { return fmt.Sprintf("%s%08d.json", folder, n) }

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Change is what is about to be done.
type Change struct{ What, JobID, Account, Detail string }

// Begin writes a change down that is about to be made by whom the context says. It must
// not be made if this fails. failed is to be called with the change's error; nil is
// none.
func (l *Log) Begin(ctx context.Context, c Change) (failed func(error) error, err error) {
	r := Record{What: c.What, Actor: by(ctx), JobID: c.JobID, Account: c.Account, Detail: c.Detail}
	n, err := l.append(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("writing down who changes what: %w", err)
	}
	return func(cause error) error {
		if cause == nil {
			return nil
		}
		r.What, r.Of, r.Detail = ChangeHasFailed, n, string(fault.CauseOf(cause))
		// Also when the caller has gone: what is written down must be true.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_, err := l.append(ctx, r)
		return errors.Join(cause, err)
	}, nil
}

// append adds a record and returns its number.
func (l *Log) append(ctx context.Context, r Record) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last.n == 0 {
		if err := l.findLast(ctx); err != nil {
			return 0, err
		}
	}
	for {
		r.V, r.N, r.Previous, r.At = Version, l.last.n+1, l.last.sum, l.now().UTC()
		data, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return 0, err
		}
		_, err = l.blobs.Write(ctx, name(r.N), data, blob.Condition{Absent: true})
		if err == nil {
			l.last = link{r.N, digest(data)}
			return r.N, nil
		}
		if !errors.Is(err, blob.ErrExists) {
			return 0, err
		}
		there, _, err := l.blobs.Read(ctx, name(r.N)) // another instance's, which comes first
		if err != nil {
			return 0, err
		}
		l.last = link{r.N, digest(there)}
	}
}

// findLast looks for the last record.
func (l *Log) findLast(ctx context.Context) error {
	last := 0
	for info, err := range l.blobs.List(ctx, folder, false) {
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(info.Name, folder), ".json"))
		if err == nil && n > last && info.Name == name(n) {
			last = n
		}
	}
	if last == 0 {
		return nil
	}
	data, _, err := l.blobs.Read(ctx, name(last))
	if err != nil {
		return err
	}
	l.last = link{last, digest(data)}
	return nil
}

// Newest returns the n records before a number, the newest first; 0 begins with the last.
// broken are what is wrong with them, in words: records that are missing, cannot be read
// or do not follow those before.
func (l *Log) Newest(ctx context.Context, before, n int) (list []Record, broken []error, err error) {
	l.mu.Lock()
	err = l.findNewer(ctx)
	last := l.last.n
	l.mu.Unlock()
	if err != nil {
		return nil, nil, err
	}
	if before > 0 {
		last = min(last, before-1)
	}
	follows := "" // what the record after says of this one's bytes
	for i := last; i > max(0, last-n); i-- {
		data, _, err := l.blobs.Read(ctx, name(i))
		if errors.Is(err, blob.ErrNotFound) {
			broken, follows = append(broken, fmt.Errorf("record %d is missing: %w", i, ErrBroken)), ""
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		var r Record
		if err := json.Unmarshal(data, &r); err != nil || r.N != i || r.What == "" {
			broken, follows = append(broken, fmt.Errorf("record %d cannot be read: %w", i, ErrBroken)), ""
			continue
		}
		if follows != "" && follows != digest(data) {
			broken = append(broken, fmt.Errorf("record %d was altered, or another stands in its place: %w", i, ErrBroken))
		}
		follows = r.Previous
		list = append(list, r)
	}
	return list, broken, nil
}

// findNewer finds records that other instances have made.
func (l *Log) findNewer(ctx context.Context) error {
	if l.last.n == 0 {
		return l.findLast(ctx)
	}
	for {
		data, _, err := l.blobs.Read(ctx, name(l.last.n+1))
		if errors.Is(err, blob.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		l.last = link{l.last.n + 1, digest(data)}
	}
}
