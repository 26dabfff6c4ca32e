package state

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"xarchive/handler/internal/blob"
)

// Gone lists an account's archived posts that X no longer gave, those that it gives
// again among them. The evidence is in the archive, beside each message; this is for
// who wants to know without listing the archive.
type Gone struct {
	V         int        `json:"v"`
	AccountID string     `json:"accountId"`
	Posts     []GonePost `json:"posts"`          // the oldest notice first; the newest goneKept
	More      int        `json:"more,omitempty"` // older ones that are no longer listed
}

// GonePost is an archived post that X no longer gave.
type GonePost struct {
	PostID   string    `json:"postId"`
	Name     string    `json:"name"`              // of its message in the archive
	Noticed  time.Time `json:"noticed"`           // UTC; when X first did not give it, this time
	LastSeen time.Time `json:"lastSeen,omitzero"` // UTC; when X is last known to have given it
	Why      string    `json:"why"`               // what X said
	Times    int       `json:"times"`             // how often it was gone, this time included
	Back     time.Time `json:"back,omitzero"`     // UTC; when X gave it again
	First    string    `json:"first,omitempty"`   // of a later version of an edited post: the id of the first
	Others   bool      `json:"others,omitempty"`  // it is another account's, which mentions this one
}

// goneKept is how many posts are listed.
const goneKept = 2000

func goneName(accountID string) string { return "gone/" + accountID + ".json" }

func (g *Gone) belongs(name string) bool { return name == goneName(g.AccountID) }
func (g *Gone) upgrade()                 {}

// Find returns what is listed of a post; nil if nothing is.
func (g *Gone) Find(postID string) *GonePost {
	for i := range g.Posts {
		if g.Posts[i].PostID == postID {
			return &g.Posts[i]
		}
	}
	return nil
}

// Dropped reports whether a post that is not listed was, and is one of those in More.
func (g *Gone) Dropped(p GonePost) bool {
	return g.More > 0 && len(g.Posts) > 0 && g.Find(p.PostID) == nil && p.Noticed.Before(g.Posts[0].Noticed)
}

// Now returns how many of the listed posts X does not give now.
func (g *Gone) Now() (n int) {
	for _, p := range g.Posts {
		if p.Back.IsZero() {
			n++
		}
	}
	return n
}

// Posted returns how many posts X does not give now as X counts posts: all versions of
// an edited one are one, and posts of others none. Those that are no longer listed are
// among them.
func (g *Gone) Posted() int {
	posts := map[string]bool{}
	for _, p := range g.Posts {
		if p.Back.IsZero() && !p.Others {
			posts[cmp.Or(p.First, p.PostID)] = true
		}
	}
	return len(posts) + g.More
}

// Put lists posts, each in place of what was listed of it.
func (g *Gone) Put(posts ...GonePost) {
	for _, p := range posts {
		g.Posts = append(slices.DeleteFunc(g.Posts, func(old GonePost) bool { return old.PostID == p.PostID }), p)
	}
	slices.SortStableFunc(g.Posts, func(a, b GonePost) int { return a.Noticed.Compare(b.Noticed) })
	if over := len(g.Posts) - goneKept; over > 0 {
		g.Posts, g.More = g.Posts[over:], g.More+over
	}
}

// Gone returns the list of an account; an empty one if there is none.
func (s *Store) Gone(ctx context.Context, accountID string) (Gone, error) {
	g := Gone{AccountID: accountID}
	_, err := s.read(ctx, goneName(accountID), &g)
	if errors.Is(err, ErrNotFound) {
		return Gone{AccountID: accountID}, nil
	}
	return g, err
}

// AddGone lists posts of an account.
func (s *Store) AddGone(ctx context.Context, accountID string, posts ...GonePost) error {
	return update(ctx, s, goneName(accountID), func(g *Gone) error {
		g.V, g.AccountID = Version, accountID
		g.Put(posts...)
		return nil
	})
}

// Change is something that the Import service is to be told of an archived post,
// outside of any task.
type Change struct {
	V         int       `json:"v"`
	AccountID string    `json:"accountId"`
	PostID    string    `json:"postId"`
	At        time.Time `json:"at"`            // UTC; when it was noticed
	What      string    `json:"what"`          // "gone" or "back"
	Tries     int       `json:"tries"`         // failed ones
	Next      time.Time `json:"next,omitzero"` // UTC; not told before

	etag string // as it was read
}

const changesFolder = "changes/"

func changeName(jobID, postID string) string {
	return fmt.Sprintf("%s%s/%s.json", changesFolder, jobID, postID)
}

func (c *Change) belongs(name string) bool {
	return c.PostID != "" && path.Base(name) == c.PostID+".json"
}
func (c *Change) upgrade() {}

// PutChange notes a change to be told. It takes the place of one of the same post that
// is not told yet.
func (s *Store) PutChange(ctx context.Context, jobID string, c Change) error {
	c.V = Version
	s.changes.note(true)
	return replace(ctx, s, changeName(jobID, c.PostID), c)
}

// changesEvery is how often changes are listed of which this process knows nothing: a
// listing at each tick would be a third of what a tick costs that finds nothing to do.
const changesEvery = 30 * time.Minute

// ChangesDue reports whether there may be changes to be told: this process has noted
// some, or has not looked for half an hour.
func (s *Store) ChangesDue(now time.Time) bool {
	return s.changes.due(now, changesEvery)
}

// ChangesListed says that all changes are told, or that only some are left that must
// wait: then they are looked for again at the next tick.
func (s *Store) ChangesListed(now time.Time, left bool) {
	s.changes.found(now, left)
}

// Changes returns the changes that are to be told, by job, at most some hundred of them.
func (s *Store) Changes(ctx context.Context) (byJob map[string][]Change, damaged []Damaged, err error) {
	const atMost = 500
	byJob = map[string][]Change{}
	for info, err := range s.blobs.List(ctx, changesFolder, false) {
		if err != nil {
			return nil, nil, err
		}
		var c Change
		got, err := s.read(ctx, info.Name, &c)
		var unreadable Damaged
		switch {
		case errors.Is(err, ErrNotFound):
			continue
		case errors.As(err, &unreadable):
			damaged = append(damaged, unreadable)
			continue
		case err != nil:
			return nil, nil, err
		}
		c.etag = got.ETag
		job := path.Base(path.Dir(info.Name))
		byJob[job] = append(byJob[job], c)
		if len(byJob[job]) >= atMost {
			break
		}
	}
	return byJob, damaged, nil
}

// RemoveChange forgets a change that was told, unless there is a newer one of the post.
func (s *Store) RemoveChange(ctx context.Context, jobID string, c Change) error {
	err := s.remove(ctx, changeName(jobID, c.PostID), blob.Condition{ETag: c.etag})
	if errors.Is(err, ErrClaimed) {
		return nil
	}
	return err
}

// KeepChange writes down that a change could not be told, unless there is a newer one
// of the post.
func (s *Store) KeepChange(ctx context.Context, jobID string, c Change) error {
	_, err := s.write(ctx, changeName(jobID, c.PostID), c, blob.Condition{ETag: c.etag})
	if errors.Is(err, ErrClaimed) || errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}
