package state

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"xarchive/handler/internal/blob"
)

// Activity is how X sends the connector its events: the webhook, and for which accounts.
type Activity struct {
	V         int       `json:"v"`
	URL       string    `json:"url"`       // of the webhook
	WebhookID string    `json:"webhookId"` // X's name of it
	Accounts  []string  `json:"accounts"`  // ids on X of those that X sends events of
	CheckedAt time.Time `json:"checkedAt"` // UTC; when X last said that all of it is so
	Until     time.Time `json:"until,omitzero"`
	LastEvent time.Time `json:"lastEvent,omitzero"` // UTC; when an event was last worked on
	Problem   *Problem  `json:"lastError,omitempty"`

	etag string
}

const (
	activityName = "activity.json"
	activityOpen = "activity/open/"
	activitySeen = "activity/seen/"
)

func (a *Activity) belongs(string) bool { return a.URL != "" || a.Problem != nil }
func (a *Activity) upgrade()            {}

// Activity returns the record. It returns ErrNotFound if X was never told to send events.
func (s *Store) Activity(ctx context.Context) (Activity, error) {
	var a Activity
	info, err := s.read(ctx, activityName, &a)
	a.etag = info.ETag
	return a, err
}

// SaveActivity writes the record. It returns ErrClaimed if another instance has written it
// since it was read.
func (s *Store) SaveActivity(ctx context.Context, a *Activity) error {
	a.V = Version
	etag, err := s.write(ctx, activityName, a, blob.Condition{ETag: a.etag, Absent: a.etag == ""})
	if errors.Is(err, ErrExists) {
		return ErrClaimed
	}
	if err == nil {
		a.etag = etag
	}
	return err
}

// RemoveActivity removes the record.
func (s *Store) RemoveActivity(ctx context.Context, a Activity) error {
	return s.remove(ctx, activityName, blob.Condition{ETag: a.etag})
}

// Event is what X says happened with a post of an account, until it is worked on.
type Event struct {
	V         int       `json:"v"`
	ID        string    `json:"id"` // X's name of the event
	AccountID string    `json:"accountId"`
	What      string    `json:"what"` // EventCreated or EventDeleted
	PostID    string    `json:"postId"`
	At        time.Time `json:"at"`            // UTC; when it came
	Next      time.Time `json:"next,omitzero"` // UTC; not worked on before
}

// What X tells of.
const (
	EventCreated = "created"
	EventDeleted = "deleted"
)

func eventName(e Event) string {
	return fmt.Sprintf("%s%s/%s-%s.json", activityOpen, e.AccountID, e.What, e.ID)
}

func seenName(id string) string { return activitySeen + id + ".json" }

func (e *Event) belongs(name string) bool { return e.ID != "" && name == eventName(*e) }
func (e *Event) upgrade()                 {}

// AddEvent keeps an event until it is worked on. One that came before is added no second
// time, for a week after it was worked on.
func (s *Store) AddEvent(ctx context.Context, e Event) (added bool, err error) {
	fresh, err := s.absent(ctx, seenName(e.ID))
	if err != nil || !fresh {
		return false, err
	}
	e.V = Version
	_, err = s.write(ctx, eventName(e), e, blob.Condition{Absent: true})
	if errors.Is(err, ErrExists) {
		return false, nil
	}
	return err == nil, err
}

// Events returns those that are to be worked on, in the order of accounts, and apart from
// them those that cannot be read.
func (s *Store) Events(ctx context.Context) ([]Event, []Damaged, error) {
	return all[Event](ctx, s, activityOpen)
}

// EventAccounts returns the accounts that X says have posted.
func (s *Store) EventAccounts(ctx context.Context) (map[string]bool, error) {
	names, err := s.names(ctx, activityOpen)
	accounts := map[string]bool{}
	for _, name := range names {
		if strings.HasPrefix(path.Base(name), EventCreated+"-") {
			accounts[path.Base(path.Dir(name))] = true
		}
	}
	return accounts, err
}

// PostponeEvent has an event worked on again later.
func (s *Store) PostponeEvent(ctx context.Context, e Event) error {
	e.V = Version
	return replace(ctx, s, eventName(e), e)
}

// EndEvent notes that an event was worked on: seen is written first, so that it does not
// come in again.
func (s *Store) EndEvent(ctx context.Context, e Event) error {
	_, err := s.write(ctx, seenName(e.ID), SeenEvent{Version, e.ID}, blob.Condition{Absent: true})
	if err != nil && !errors.Is(err, ErrExists) {
		return err
	}
	return s.remove(ctx, eventName(e), blob.Condition{})
}

// SeenEvent says that an event was worked on.
type SeenEvent struct {
	V  int    `json:"v"`
	ID string `json:"id"`
}

func (e *SeenEvent) belongs(name string) bool { return e.ID != "" && name == seenName(e.ID) }
func (e *SeenEvent) upgrade()                 {}
