// Package state is the format of what the connector must remember between two
// runs: JSON blobs in the state container, described in docs/format.md.
//
//	jobs/<jobId>.json                    Job
//	owners/<accountId>.json              Owner: which job archives the account
//	accounts/<accountId>.json            Account; leased while being captured
//	reads/<accountId>.json               Reads: what was read of X, as X bills it
//	pages/<accountId>/<key>/…            raw answers of X, until what they hold is archived
//	tasks/open/<jobId>/<taskId>.json     Task; leased while being delivered
//	tasks/ended/<jobId>/<taskId>.json    Task, without its SAS
//	tasks/items/<jobId>/<taskId>/<n>.json    Items: a task's uploaded items
//	tasks/found/<jobId>/<taskId>.json    Found: what capture found of the posts a task asks about
//	delivered/<jobId>.json               Delivered: the windows that tasks have begun to deliver
//	late/<jobId>/<key>.json              Late: a message archived into a delivered window
//	gone/<accountId>.json                Gone: archived posts that X no longer gave
//	audits/<accountId>.json              Audit: which days' posts were looked at again
//	histories/<accountId>.json           History: a read of X's whole archive that somebody asked for
//	mentions/<accountId>.json            Mentions: how far the posts that mention an account are read
//	activity.json                        Activity: how X sends its events
//	activity/open/<accountId>/<e>.json   Event: what X told, until it is worked on
//	activity/seen/<id>.json              SeenEvent: it was worked on
//	changes/<jobId>/<postId>.json        Change: what the Import service is to be told of a post
//	set-aside/…                          what could not be understood, byte for byte
//	signins/<hash>.json                  SignIn
//	signed-out/<hash>.json               SignedOut: a session with the pages that was ended before its time
//	acknowledged/<accountId>/<hash>.json Acknowledgement: a person knows of a loss
//	sweep.json                           Sweep: when leftovers were last removed
//	verify.json                          Round: the daily round through all archives
//	verified/<accountId>.json            Verification: what it found of an account's archive
//	tick.json                            Tick: when the timer last ticked
//	day.json                             Day: items that the Import service was told of today
//
// [New] opens the store. What people and the Compliance Center ask for goes through
// [Store.Job], [Store.UpdateJob], [Store.TakeAccount] and [Store.AddTask]; capture
// works on an [AccountRecord], deliver on a [TaskClaim].
//
// Several instances of the connector share it. Work on an account or a task is
// claimed by blob lease, so that one instance at a time works on it and it comes
// free by itself when an instance dies. Everything else is written under a
// condition: create-only, or by ETag.
//
// Every record says the version of its format in `v`. An older version of the
// connector refuses a record of a newer format ([ErrNewer]) instead of
// overwriting it. Records without `v` come from before the format was versioned, and
// are read; their member names differ only in case. A record that is no JSON of
// its form, or does not hold what its name says, is [ErrDamaged].
//
// No blob holds an access token. A task's SAS is in its blob while the task is
// open: without it the task would not be durable.
package state

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/fault"

	"golang.org/x/sync/errgroup"
)

// Version is the version of the format that this connector writes.
const Version = 1

var (
	// ErrNotFound: there is no such record.
	ErrNotFound = blob.ErrNotFound
	// ErrExists: a record that was to be made is there already.
	ErrExists = blob.ErrExists
	// ErrClaimed: another instance is working on it, or has just changed it.
	ErrClaimed = fault.New(fault.Claimed, "claimed by another instance")
	// ErrLost: the claim ran out or was broken; another instance may have
	// gone on, so nothing more is written.
	ErrLost = blob.ErrLost
	// ErrNewer: a newer version of the connector wrote the record.
	ErrNewer = fault.New(fault.StateNewer, "written by a newer version of the connector")
	// ErrDamaged: the record is not JSON of its form.
	ErrDamaged = fault.New(fault.StateDamaged, "the record cannot be read")
	// ErrTaken: another job archives the account.
	ErrTaken = fault.New(fault.Claimed, "another job archives the account")
)

// Container keeps the blobs; *blob.Container. Its errors are those of package
// blob; a read that fails for another reason than absence must not return
// ErrNotFound.
type Container interface {
	Read(ctx context.Context, name string) ([]byte, blob.Info, error)
	Write(ctx context.Context, name string, data []byte, when blob.Condition) (etag string, err error)
	WriteAs(ctx context.Context, name string, data []byte, about blob.About, when blob.Condition) (etag string, err error)
	Remove(ctx context.Context, name string, when blob.Condition) error
	List(ctx context.Context, prefix string, metadata bool) iter.Seq2[blob.Info, error]
	Lease(ctx context.Context, name, etag string) (*blob.Lease, error)
}

// Store is the state container.
type Store struct {
	blobs     Container
	lastSweep atomic.Pointer[Sweep] // as this process last read or wrote it
	ticks     ticks
	changes   watched
	histories watched
}

// New returns the store in a container. Nothing is sent yet.
func New(c Container) *Store { return &Store{blobs: c} }

// Damaged is a record that cannot be read. Everything else goes on. It is also the
// error of reading that record alone.
type Damaged struct {
	Name string // of the blob
	Raw  []byte // its bytes
	Err  error  // wraps ErrDamaged or ErrNewer
}

// Error implements error: a single record that cannot be read is returned as
// Damaged.
func (d Damaged) Error() string { return d.Err.Error() }

// Unwrap returns what is wrong with the record.
func (d Damaged) Unwrap() error { return d.Err }

// record is what is kept under a name. belongs reports whether what was read is a
// record of that name: JSON such as null or {} is not. upgrade turns a record from
// before the format was versioned into today's form.
type record interface {
	belongs(name string) bool
	upgrade()
}

// parse reads a record. It returns an error that wraps ErrDamaged or ErrNewer.
func parse(name string, data []byte, into record) error {
	var v struct {
		V int `json:"v"`
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return fmt.Errorf("reading %s: %w: %w", name, ErrDamaged, err)
	}
	if v.V > Version {
		return fmt.Errorf("reading %s: %w (format %d, this one knows %d)", name, ErrNewer, v.V, Version)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("reading %s: %w: %w", name, ErrDamaged, err)
	}
	if !into.belongs(name) {
		return fmt.Errorf("reading %s: %w: it does not hold what its name says", name, ErrDamaged)
	}
	if v.V == 0 {
		into.upgrade()
	}
	return nil
}

// read reads a record and returns the ETag and the lease state it was read with. Its
// error is a Damaged where the record cannot be read.
func (s *Store) read(ctx context.Context, name string, into record) (blob.Info, error) {
	data, info, err := s.blobs.Read(ctx, name)
	if err != nil {
		return blob.Info{}, err
	}
	if err := parse(name, data, into); err != nil {
		return info, Damaged{name, data, err}
	}
	return info, nil
}

// write writes a record. Its errors are those of blob.Container.Write; ErrLeased
// and ErrChanged come out as ErrClaimed.
func (s *Store) write(ctx context.Context, name string, v any, when blob.Condition) (etag string, err error) {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return "", fmt.Errorf("writing %s: %w", name, err)
	}
	etag, err = s.blobs.Write(ctx, name, data, when)
	return etag, claimed(err)
}

// replace writes a record, whatever was there, unless a newer version wrote that:
// then it returns ErrNewer. It returns ErrClaimed if another instance was faster.
func replace[T any, P pointer[T]](ctx context.Context, s *Store, name string, v T) error {
	_, err := s.write(ctx, name, v, blob.Condition{Absent: true})
	if !errors.Is(err, ErrExists) {
		return err
	}
	info, err := s.read(ctx, name, P(new(T)))
	if err != nil && !errors.Is(err, ErrDamaged) {
		return err
	}
	_, err = s.write(ctx, name, v, blob.Condition{ETag: info.ETag})
	return err
}

// remove removes a record; one that is not there is no error.
func (s *Store) remove(ctx context.Context, name string, when blob.Condition) error {
	err := s.blobs.Remove(ctx, name, when)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return claimed(err)
}

// claimed says in this package's words that another instance was there first.
func claimed(err error) error {
	if errors.Is(err, blob.ErrLeased) || errors.Is(err, blob.ErrChanged) {
		return fmt.Errorf("%w: %w", ErrClaimed, err)
	}
	return err
}

// readsAtOnce is how many records are read at the same time.
const readsAtOnce = 16

// names lists the blobs below a prefix, in the order of their names.
func (s *Store) names(ctx context.Context, prefix string) ([]string, error) {
	var out []string
	for info, err := range s.blobs.List(ctx, prefix, false) {
		if err != nil {
			return nil, err
		}
		out = append(out, info.Name)
	}
	return out, nil
}

// pointer is a pointer to a record.
type pointer[T any] interface {
	*T
	record
}

// all reads every record below a prefix, in the order of the names. One that is
// removed meanwhile is left out.
func all[T any, P pointer[T]](ctx context.Context, s *Store, prefix string) ([]T, []Damaged, error) {
	names, err := s.names(ctx, prefix)
	if err != nil {
		return nil, nil, err
	}
	return some[T, P](ctx, s, names)
}

// some reads the records of those names, several at once.
func some[T any, P pointer[T]](ctx context.Context, s *Store, names []string) ([]T, []Damaged, error) {
	found := make([]*T, len(names))
	var (
		mu      sync.Mutex
		damaged []Damaged
	)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readsAtOnce)
	for i, name := range names {
		if !strings.HasSuffix(name, ".json") {
			continue
		}
		group.Go(func() error {
			data, _, err := s.blobs.Read(ctx, name)
			if errors.Is(err, ErrNotFound) {
				return nil
			}
			if err != nil {
				return err
			}
			v := new(T)
			if err := parse(name, data, P(v)); err != nil {
				mu.Lock()
				defer mu.Unlock()
				damaged = append(damaged, Damaged{name, data, err})
				return nil
			}
			if large, ok := any(v).(interface{ lighten() }); ok {
				large.lighten()
			}
			found[i] = v
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	out := make([]T, 0, len(found))
	for _, v := range found {
		if v != nil {
			out = append(out, *v)
		}
	}
	slices.SortFunc(damaged, func(a, b Damaged) int { return cmp.Compare(a.Name, b.Name) })
	return out, damaged, nil
}
