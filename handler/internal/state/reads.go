package state

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"xarchive/handler/internal/blob"
)

// Reads is what was read of X for an account, as X bills it: of the same post or the
// same account one read a UTC day.
type Reads struct {
	V  int    `json:"v"`
	ID string `json:"id"` // of the account

	Months map[string]ReadsFor `json:"months,omitempty"` // by UTC month (2006-01), the newest 13
	Days   map[string]ReadsFor `json:"days,omitempty"`   // by UTC date (2006-01-02), the newest 15

	// Billed is what was read on a UTC date, the newest two: reading it again on that
	// date costs nothing.
	Billed map[string]Billed `json:"billed,omitempty"`

	// Warned is the month (2006-01) for which it was said that the limit on reads is near.
	Warned string `json:"warned,omitempty"`
}

// ReadsFor is how many reads there were, by what for.
type ReadsFor map[string]int

// Billed is what was read on one date.
type Billed struct {
	Posts PostIDs  `json:"posts,omitempty"`
	Users []string `json:"users,omitempty"` // ids of accounts
}

// PostIDs are ids of posts, ascending, each as the difference to the one before, as an
// unsigned LEB128: about six bytes each.
type PostIDs []byte

const (
	monthsKept = 13
	daysKept   = 15
	datesKept  = 2

	// postsKept is how many posts of a date are remembered. More are counted at each
	// read: at most too many.
	postsKept = 20_000
)

// Add counts reads of posts or users (ids) at a time, by X's clock, and returns how
// many of them X bills. counts are reads that have no ids.
func (r *Reads) Add(purpose string, users bool, ids []string, counts int, at time.Time) (billed int) {
	date, month := at.UTC().Format(time.DateOnly), at.UTC().Format("2006-01")
	of := r.Billed[date]
	switch {
	case users:
		for _, id := range ids {
			if !slices.Contains(of.Users, id) {
				of.Users = append(of.Users, id)
				billed++
			}
		}
	default:
		of.Posts, billed = of.Posts.add(ids)
	}
	if billed += counts; billed == 0 {
		return 0
	}
	r.Billed = put(r.Billed, date, of, datesKept)
	for _, by := range []struct {
		reads *map[string]ReadsFor
		key   string
		kept  int
	}{{&r.Months, month, monthsKept}, {&r.Days, date, daysKept}} {
		n := maps.Clone((*by.reads)[by.key])
		if n == nil {
			n = ReadsFor{}
		}
		n[purpose] += billed
		*by.reads = put(*by.reads, by.key, n, by.kept)
	}
	return billed
}

// put returns a copy of a map with one more entry, and only its greatest keys.
func put[T any](m map[string]T, key string, v T, kept int) map[string]T {
	out := maps.Clone(m)
	if out == nil {
		out = map[string]T{}
	}
	out[key] = v
	for len(out) > kept {
		delete(out, slices.Min(slices.Collect(maps.Keys(out))))
	}
	return out
}

// add returns the set with ids, and how many of them are new.
func (p PostIDs) add(ids []string) (PostIDs, int) {
	all := p.numbers()
	added := 0
	var fresh []uint64
	for _, id := range ids {
		n, err := strconv.ParseUint(id, 10, 64)
		if err != nil { // X has no such ids
			added++
			continue
		}
		if _, known := slices.BinarySearch(all, n); !known && !slices.Contains(fresh, n) {
			fresh = append(fresh, n)
			added++
		}
	}
	if len(fresh) == 0 {
		return p, added
	}
	if room := postsKept - len(all); len(fresh) > room {
		fresh = fresh[:max(room, 0)]
	}
	all = append(all, fresh...)
	slices.Sort(all)
	var out PostIDs
	last := uint64(0)
	for _, n := range all {
		out = binary.AppendUvarint(out, n-last)
		last = n
	}
	return out, added
}

func (p PostIDs) numbers() (all []uint64) {
	last := uint64(0)
	for len(p) > 0 {
		n, size := binary.Uvarint(p)
		if size <= 0 {
			return all
		}
		last += n
		all, p = append(all, last), p[size:]
	}
	return all
}

// IDs returns the ids, ascending.
func (p PostIDs) IDs() (ids []string) {
	for _, n := range p.numbers() {
		ids = append(ids, strconv.FormatUint(n, 10))
	}
	return ids
}

func (r *Reads) belongs(name string) bool { return name == readsName(r.ID) }
func (r *Reads) upgrade()                 {}

const readsFolder = "reads/"

func readsName(accountID string) string { return readsFolder + accountID + ".json" }

// ReadsRecord is an account's Reads as one instance has read them.
type ReadsRecord struct {
	Reads Reads

	store *Store
	etag  string
}

// LoadReads reads what was read for an account, to add to it; of one that nothing was
// read for it is empty but for its id. A record that cannot be read is a [Damaged].
func (s *Store) LoadReads(ctx context.Context, accountID string) (*ReadsRecord, error) {
	r := &ReadsRecord{store: s}
	info, err := s.read(ctx, readsName(accountID), &r.Reads)
	r.etag = info.ETag
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	if err != nil {
		r.Reads = Reads{ID: accountID}
		return r, fmt.Errorf("reading what was read of X: %w", err)
	}
	r.Reads.ID = accountID
	return r, nil
}

// Save writes the record as it is now. It returns ErrClaimed if another instance has
// changed it since it was read.
func (r *ReadsRecord) Save(ctx context.Context) error {
	r.Reads.V = Version
	etag, err := r.store.write(ctx, readsName(r.Reads.ID), r.Reads, blob.Condition{ETag: r.etag, Absent: r.etag == ""})
	if errors.Is(err, ErrExists) {
		return ErrClaimed
	}
	if err == nil {
		r.etag = etag
	}
	return err
}

// AllReads returns what was read for each account.
func (s *Store) AllReads(ctx context.Context) ([]Reads, []Damaged, error) {
	return all[Reads](ctx, s, readsFolder)
}
