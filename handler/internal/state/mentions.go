package state

import (
	"context"
	"errors"
	"slices"
	"time"

	"xarchive/handler/internal/blob"
)

// Mentions is how far the posts that mention an account are read and archived. It stands
// beside the [Account], whose own posts never wait for it.
type Mentions struct {
	V         int    `json:"v"`
	AccountID string `json:"accountId"`

	Cursor string `json:"cursor,omitempty"` // id of the newest post of the runs that are through
	// Recent are posts that X has given, oldest first: those of the last minutes, which each
	// run reads again, and some older ones, which show how far a run reached.
	Recent []Seen `json:"recent,omitempty"`

	// Covered are the times in which every post is archived that X gave. No gap is in them.
	Covered Ranges       `json:"covered,omitempty"`
	Gaps    []Gap        `json:"gaps,omitempty"` // times of which posts may be missing for good, oldest first
	Run     *MentionsRun `json:"run,omitempty"`  // a read that is not through

	Archived int       `json:"archived"`          // posts of others
	LastRun  time.Time `json:"lastRun,omitzero"`  // UTC; when they were last brought up to date
	LastTurn time.Time `json:"lastTurn,omitzero"` // UTC; when X was last asked
	Until    time.Time `json:"until,omitzero"`    // UTC; X is not asked before
	Problem  *Problem  `json:"lastError,omitempty"`

	etag string
}

// MentionsRun is one read of what mentions an account, newest post first, from the present
// back to SinceID. Each page is archived before the next one is asked for.
type MentionsRun struct {
	SinceID  string    `json:"sinceId,omitempty"` // exclusive; "" reads back as far as X goes
	Began    time.Time `json:"began"`             // UTC, X's clock; when X gave the first page
	LastPage time.Time `json:"last"`              // UTC, X's clock; when X gave the last page so far
	CoverTo  time.Time `json:"coverTo"`           // UTC; up to where the run covers once it is through
	Asked    int       `json:"asked"`             // posts that X was asked for, whatever it gave
	Posts    int       `json:"posts"`             // posts that X gave
	NewestID string    `json:"newestId,omitempty"`
	OldestID string    `json:"oldestId,omitempty"` // the next page ends before it
	Oldest   time.Time `json:"oldest,omitzero"`    // UTC; when it was posted
	Back     bool      `json:"back,omitempty"`     // X gave a post that is not newer than the cursor
}

func mentionsName(accountID string) string { return "mentions/" + accountID + ".json" }

func (m *Mentions) belongs(name string) bool { return name == mentionsName(m.AccountID) }
func (m *Mentions) upgrade()                 {}

// Mentions returns an account's. Where nobody ever asked for them it is empty but for the
// account's id.
func (s *Store) Mentions(ctx context.Context, accountID string) (Mentions, error) {
	var m Mentions
	info, err := s.read(ctx, mentionsName(accountID), &m)
	if errors.Is(err, ErrNotFound) {
		return Mentions{AccountID: accountID}, nil
	}
	m.etag = info.ETag
	return m, err
}

// SaveMentions writes an account's. It returns ErrClaimed if another instance has written
// them since they were read.
func (s *Store) SaveMentions(ctx context.Context, m *Mentions) error {
	m.V = Version
	etag, err := s.write(ctx, mentionsName(m.AccountID), m, blob.Condition{ETag: m.etag, Absent: m.etag == ""})
	if errors.Is(err, ErrExists) {
		return ErrClaimed
	}
	if err == nil {
		m.etag = etag
	}
	return err
}

// Decided returns the end of the time of which it is known whether it is covered.
func (m *Mentions) Decided() time.Time { return decided(m.Covered, m.Gaps) }

// AddGap records a time of which posts may be missing, and which is not covered for that. It
// reports whether that is new.
func (m *Mentions) AddGap(g Gap) bool { return addGap(&m.Gaps, &m.Covered, g) }

// Find returns what is known of a post; nil if X has not given it lately.
func (m *Mentions) Find(id string) *Seen {
	i := slices.IndexFunc(m.Recent, func(s Seen) bool { return s.ID == id })
	if i < 0 {
		return nil
	}
	return &m.Recent[i]
}
