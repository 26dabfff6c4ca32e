package state

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Account is what the connector knows of an account's timeline: how far it has
// read, and which times are archived without a gap.
type Account struct {
	ID     string
	Cursor string // id of the newest post stored; X is asked for newer ones

	// Covered are the times in which every post that X still had is in the archive.
	Covered Ranges
	// Unreachable are times that X no longer reaches (its timelines go back
	// 3,200 posts). What was captured of them is in the archive; more cannot be had.
	Unreachable Ranges

	Run        *Run            `json:",omitempty"` // a read that has not been stored to its end
	RateReset  time.Time       // UTC; until then X does not answer for this account
	Held       map[string]Held `json:",omitempty"` // by post id
	Rate       Rate            // X's answer to the last call
	LastRun    time.Time       // UTC; end of the last run that brought the account up to date
	LastError  string
	PostsTotal int            // posts archived
	Daily      map[string]int `json:",omitempty"` // posts archived by their own date (UTC, 2006-01-02), the newest days
}

// Rate is X's rate budget for the account's timeline.
type Rate struct {
	Limit     int       // calls in a window
	Remaining int       // calls left in the window
	Reset     time.Time // UTC; when the next window begins
}

// dailyKept is how many days Daily goes back.
const dailyKept = 90

// CountPost adds an archived post to the account's figures.
func (a *Account) CountPost(created time.Time) {
	a.PostsTotal++
	if a.Daily == nil {
		a.Daily = map[string]int{}
	}
	a.Daily[created.UTC().Format(time.DateOnly)]++
	if len(a.Daily) > dailyKept {
		delete(a.Daily, slices.Min(slices.Collect(maps.Keys(a.Daily))))
	}
}

// Run is one read of the timeline, newest post first, from EndTime back to
// SinceID. Its raw pages stay in the store until their posts are in the archive.
type Run struct {
	Key       string    // names the run's pages
	SinceID   string    // exclusive; "" reads back as far as X goes
	UntilID   string    // exclusive; set when X no longer takes a page token
	EndTime   time.Time // UTC, exclusive
	NextToken string    // X's token of the page after the last kept one
	Pages     int       // pages kept so far
	Posts     int       // posts read so far
	OldestID  string    // the oldest post read so far
	Oldest    time.Time // UTC; when it was posted

	Complete bool      // every page is kept; storing goes from the oldest page to the newest
	From     time.Time // UTC; once complete: the time from which on nothing is missing
	Stored   int       // pages stored, counted from the oldest
}

// Held is a post whose media X's servers fail to give. Capture waits for it a
// bounded number of ticks.
type Held struct {
	Tries int
	Why   string
	Media []string // keys of the media that failed
}

func accountName(id string) string { return "accounts/" + id + ".json" }

// Account reads an account; one never seen is empty but for its id.
func (s *Store) Account(ctx context.Context, id string) (Account, error) {
	a := Account{ID: id}
	err := s.readJSON(ctx, accountName(id), &a)
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return a, err
}

// AccountClaim is an account that this instance alone works on.
type AccountClaim struct {
	Account
	store *Store
	claim *claim
}

// ClaimAccount claims an account, making its record if there is none.
// ErrClaimed if another instance has it.
func (s *Store) ClaimAccount(ctx context.Context, id string) (*AccountClaim, error) {
	name := accountName(id)
	err := s.writeJSON(ctx, name, Account{ID: id}, condition{absent: true})
	if err != nil && !errors.Is(err, errExists) && !errors.Is(err, ErrClaimed) {
		return nil, err
	}
	c, err := s.claim(ctx, name)
	if err != nil {
		return nil, err
	}
	a, err := s.Account(c.ctx, id)
	if err != nil {
		c.release()
		return nil, err
	}
	return &AccountClaim{a, s, c}, nil
}

// Context ends, with cause ErrLost, when the claim is lost.
func (c *AccountClaim) Context() context.Context { return c.claim.ctx }

// Save writes the account as it is now.
func (c *AccountClaim) Save(ctx context.Context) error {
	return c.store.writeJSON(ctx, accountName(c.ID), c.Account, condition{lease: c.claim.id})
}

// Release gives the claim back.
func (c *AccountClaim) Release() { c.claim.release() }

func pageName(accountID, key string, n int) string {
	return fmt.Sprintf("pages/%s/%s/%05d.json", accountID, key, n)
}

// PutPage keeps X's raw answer as page n of a run. ErrLost if it is kept already:
// another instance goes on with the run, and what it has kept must stand.
func (s *Store) PutPage(ctx context.Context, accountID, key string, n int, raw []byte) error {
	err := s.write(ctx, pageName(accountID, key, n), raw, condition{absent: true})
	if errors.Is(err, errExists) {
		return fmt.Errorf("keeping page %d: %w", n, ErrLost)
	}
	return err
}

// Page returns page n of a run; ErrNotFound if it was not kept.
func (s *Store) Page(ctx context.Context, accountID, key string, n int) ([]byte, error) {
	return s.read(ctx, pageName(accountID, key, n))
}

// RemovePages forgets a run's pages.
func (s *Store) RemovePages(ctx context.Context, accountID, key string) error {
	names, err := s.names(ctx, fmt.Sprintf("pages/%s/%s/", accountID, key))
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := s.remove(ctx, name, ""); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return nil
}
