package twitter

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	gotwitter "github.com/g8rswimmer/go-twitter/v2"

	"xarchive/handler/internal/post"
)

const (
	// Reach is how many posts back X's timelines reach, counted from the newest
	// post at the time of the call. Beyond it X answers with success and no posts.
	Reach = 3200

	// PageSize is how many posts X gives in one page of a timeline, at most.
	PageSize = 100

	// MaxLookup is how many posts can be looked up in one call.
	MaxLookup = 100
)

// Query says which part of a timeline is wanted.
type Query struct {
	SinceID  string    // newer than this post; "" for no bound
	UntilID  string    // older than this post; "" for no bound
	EndTime  time.Time // posted before; whole seconds, at least 10 seconds ago; zero for no bound
	PageFrom string    // X's token of the page; "" for the first
	Size     int       // posts in a page at most, 5 to 100; 0 for PageSize
}

// Timeline reads one page of an account's posts, newest first. Every post in
// the answer is billed. X first fills a page and then takes out what it does not
// show, so that a page may be short or empty and not be the last: the last has no
// NextToken.
//
// An account that X does not show is [ErrProtected], [ErrSuspended], [ErrGone], or
// where X does not say which [ErrForbidden], never an empty page. An answer that is not
// whole is [ErrIncomplete], one that X gives in words of its own [ErrChanged]. A page
// token that X no longer takes, and a Size that it does not allow, are [ErrInvalid].
func (c *Client) Timeline(ctx context.Context, accountID string, q Query) (Answer, error) {
	return c.timeline(ctx, "reading the timeline of account "+accountID, Posts, accountID, func(ctx context.Context, a asking) error {
		opts := gotwitter.UserTweetTimelineOpts{
			Expansions: a.expansions, TweetFields: a.postFields, UserFields: a.userFields,
			MediaFields: mediaFields, PollFields: pollFields, PlaceFields: placeFields,
			MaxResults: cmp.Or(q.Size, PageSize), SinceID: q.SinceID, UntilID: q.UntilID,
			EndTime: q.EndTime.UTC(), PaginationToken: q.PageFrom,
		}
		_, err := c.api.UserTweetTimeline(ctx, accountID, opts)
		return err
	})
}

// MentionsReach is how many posts back X gives those that mention an account, counted from
// the newest at the time of the call, as [Reach] is.
const MentionsReach = 800

// Mentions reads one page of the posts that mention an account, its own among them,
// newest first. What holds of [Client.Timeline] holds of it; what is read is counted as
// [Mentions].
func (c *Client) Mentions(ctx context.Context, accountID string, q Query) (Answer, error) {
	return c.timeline(For(ctx, Mentions), "reading the mentions of account "+accountID, Mentions, accountID, func(ctx context.Context, a asking) error {
		opts := gotwitter.UserMentionTimelineOpts{
			Expansions: a.expansions, TweetFields: a.postFields, UserFields: a.userFields,
			MediaFields: mediaFields, PollFields: pollFields, PlaceFields: placeFields,
			MaxResults: cmp.Or(q.Size, PageSize), SinceID: q.SinceID, UntilID: q.UntilID,
			EndTime: q.EndTime.UTC(), PaginationToken: q.PageFrom,
		}
		_, err := c.api.UserMentionTimeline(ctx, accountID, opts)
		return err
	})
}

// timeline reads one page of a timeline of an account.
func (c *Client) timeline(ctx context.Context, what string, purpose Purpose, accountID string, send func(context.Context, asking) error) (Answer, error) {
	rec, page, err := c.ask(ctx, what, purpose, send, func(rec record, err error) (post.Page, error) {
		if err != nil {
			return post.Page{}, err
		}
		page, err := readTimeline(rec.body, accountID)
		if err != nil {
			return post.Page{}, fmt.Errorf("%s: %w", what, err)
		}
		return page, nil
	})
	if err != nil {
		return Answer{}, err
	}
	return c.complete(ctx, rec, page)
}

// Lookup reads posts by id, [MaxLookup] at most. Every post in the answer is
// billed. One that is gone, protected or withheld is among the page's errors, by
// its id. The caller must check that each id is in the page or its errors: X may
// leave one out without a word, or answer 404 without saying for which.
// Errors are those of Timeline.
func (c *Client) Lookup(ctx context.Context, ids []string) (Answer, error) {
	rec, page, err := c.lookup(ctx, ids)
	if err != nil {
		return Answer{}, err
	}
	return c.complete(ctx, rec, page)
}

// Look is Lookup for posts of which only they themselves matter: what they refer to may
// be missing, and nothing is read for it.
func (c *Client) Look(ctx context.Context, ids []string) (Answer, error) {
	rec, page, err := c.lookup(ctx, ids)
	if err != nil {
		return Answer{}, err
	}
	return Answer{Raw: rec.body, Bodies: []Body{rec.whole()}, Page: page, Rate: readRate(rec.header, time.Now()), Date: date(rec.header), Reads: page.Count}, nil
}

// lookup is Lookup without what the answer lacks.
func (c *Client) lookup(ctx context.Context, ids []string) (record, post.Page, error) {
	what := fmt.Sprintf("looking up %d posts", len(ids))
	return c.ask(ctx, what, LookUps, func(ctx context.Context, a asking) error {
		_, err := c.api.TweetLookup(ctx, ids, gotwitter.TweetLookupOpts{
			Expansions: a.expansions, TweetFields: a.postFields, UserFields: a.userFields,
			MediaFields: mediaFields, PollFields: pollFields, PlaceFields: placeFields,
		})
		return err
	}, func(rec record, err error) (post.Page, error) {
		if rec.status == http.StatusNotFound && errors.Is(err, ErrNotFound) {
			// X answers 200 for a post that it does not have, with errors. The same
			// body with 404 is as good. That of a single post is an answer even if
			// it names no post: it is about no other, but proves nothing either.
			if page, bad := ReadAnswer(rec.body); bad == nil && (len(ids) == 1 || explains(page, ids)) {
				return page, nil
			}
		}
		if err != nil {
			return post.Page{}, err
		}
		page, err := ReadAnswer(rec.body)
		if err != nil {
			return post.Page{}, fmt.Errorf("%s: %w", what, err)
		}
		return page, nil
	})
}

// complete makes an Answer. In the newer words X sends the posts that posts refer to
// without author and media: they are looked up by id, each once. In the older words
// X sends all of it, or says why not.
func (c *Client) complete(ctx context.Context, rec record, page post.Page) (Answer, error) {
	answer := Answer{Raw: rec.body, Bodies: []Body{rec.whole()}, Page: page, Rate: readRate(rec.header, time.Now()), Date: date(rec.header), Reads: page.Count}
	if page.Vocabulary != post.PostWords || len(page.Lacks) == 0 {
		return answer, nil
	}
	bodies := [][]byte{rec.body}
	for ids := range slices.Chunk(page.Lacks, MaxLookup) {
		more, found, err := c.lookup(ctx, ids)
		if err != nil {
			return Answer{}, fmt.Errorf("completing the posts that a page refers to: %w", err)
		}
		bodies, answer.Bodies = append(bodies, more.body), append(answer.Bodies, more.whole())
		answer.Reads += found.Count
	}
	answer.Raw = fmt.Appendf(nil, "[%s]", bytes.Join(bodies, []byte(",")))
	var err error
	if answer.Page, err = ReadAnswer(answer.Raw); err != nil {
		return Answer{}, fmt.Errorf("completing the posts that a page refers to: %w", err)
	}
	return answer, nil
}

// explains reports whether a page's errors name every id.
func explains(page post.Page, ids []string) bool {
	return !slices.ContainsFunc(ids, func(id string) bool {
		return !slices.ContainsFunc(page.Errors, func(p post.Problem) bool { return p.ResourceID == id || p.Value == id })
	})
}
