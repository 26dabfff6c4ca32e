package twitter

import (
	"context"
	"encoding/json"
	"time"

	"xarchive/handler/internal/post"
)

// Purpose says what posts are read for. The words are those of docs/format.md, Reads.
type Purpose string

// What X bills reads for. A read of posts has the purpose that [For] gave its context;
// without one it is Posts or LookUps.
const (
	Posts    Purpose = "posts"    // timelines: what is new
	LookUps  Purpose = "lookUps"  // posts by id: earlier versions, what others refer to, what tasks ask about
	History  Purpose = "history"  // what was posted before the connector was there
	Audits   Purpose = "audits"   // is it still there?
	Mentions Purpose = "mentions" // posts of others
	Users    Purpose = "users"    // accounts
	Counts   Purpose = "counts"   // requests for a number of posts
)

// Reads is what one answer of X had in it that X bills.
type Reads struct {
	Purpose Purpose
	IDs     []string  // of the posts, or of the accounts; empty for Counts
	At      time.Time // X's clock: of the same resource X bills one read a UTC day
}

// Counter takes note of what was read, before the answer is used: after an error it is
// not used, and X is asked again. It is called by several goroutines.
type Counter func(context.Context, Reads) error

// Counting returns a client like c that reports what it reads, answers included that
// are of no use: X bills what it sends.
func (c *Client) Counting(count Counter) *Client {
	counting := *c
	counting.count = count
	return &counting
}

type purposeKey struct{}

// For returns a context under which posts are read for a purpose.
func For(ctx context.Context, p Purpose) context.Context {
	return context.WithValue(ctx, purposeKey{}, p)
}

// countedPosts reports the posts in an answer's data. page is the answer where it could
// be read: it need not be read once more then. standard is their purpose unless the
// context has one.
func (c *Client) countedPosts(ctx context.Context, rec record, page post.Page, standard Purpose) error {
	if c.count == nil {
		return nil
	}
	var ids []string
	for _, d := range page.Posts {
		if !d.Earlier {
			ids = append(ids, d.ID)
		}
	}
	if len(ids) < page.Count || page.Count == 0 {
		ids = dataIDs(rec.body)
	}
	if p, ok := ctx.Value(purposeKey{}).(Purpose); ok {
		standard = p
	}
	return c.counted(ctx, rec, standard, ids)
}

// counted reports what an answer has that X bills.
func (c *Client) counted(ctx context.Context, rec record, p Purpose, ids []string) error {
	if c.count == nil || len(ids) == 0 && p != Counts {
		return nil
	}
	r := Reads{Purpose: p, IDs: ids, At: date(rec.header)}
	if r.At.IsZero() {
		r.At = time.Now().UTC()
	}
	ctx, end := seenThrough(ctx)
	defer end()
	return c.count(ctx, r)
}

// dataIDs returns the ids of the objects in an answer's data, one or a list, however
// faulty they are otherwise.
func dataIDs(body []byte) (ids []string) {
	type object struct {
		ID string `json:"id"`
	}
	var list struct {
		Data []object `json:"data"`
	}
	var one struct {
		Data object `json:"data"`
	}
	if json.Unmarshal(body, &list) != nil {
		list.Data = nil
		if json.Unmarshal(body, &one) == nil {
			list.Data = []object{one.Data}
		}
	}
	for _, o := range list.Data {
		if o.ID != "" {
			ids = append(ids, o.ID)
		}
	}
	return ids
}
