package twitter

import (
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
// the answer is billed. X counts posts towards a page that it then leaves out:
// a page may be short or empty and not be the last.
//
// An account that X does not show at all (protected, suspended, gone) is
// [ErrForbidden], never an empty page. An answer that is not whole is
// [ErrIncomplete]. A page token that X no longer takes, and a Size that it does
// not allow, are [ErrInvalid].
func (c *Client) Timeline(ctx context.Context, accountID string, q Query) (Answer, error) {
	what := "reading the timeline of account " + accountID
	opts := gotwitter.UserTweetTimelineOpts{
		Expansions: expansions, TweetFields: tweetFields, UserFields: userFields,
		MediaFields: mediaFields, PollFields: pollFields, PlaceFields: placeFields,
		MaxResults: q.Size, SinceID: q.SinceID, UntilID: q.UntilID,
		EndTime: q.EndTime.UTC(), PaginationToken: q.PageFrom,
	}
	if q.Size == 0 {
		opts.MaxResults = PageSize
	}
	rec, err := call(ctx, what, func(ctx context.Context) error {
		_, err := c.api.UserTweetTimeline(ctx, accountID, opts)
		return err
	})
	if err != nil {
		return Answer{}, err
	}
	return rec.answer(what, readTimeline)
}

// Lookup reads posts by id, [MaxLookup] at most. Every post in the answer is
// billed. One that is gone, protected or withheld is among the page's errors, by
// its id. The caller must check that each id is in the page or its errors: X may
// leave one out without a word, or answer 404 without saying for which.
// Errors are those of Timeline.
func (c *Client) Lookup(ctx context.Context, ids []string) (Answer, error) {
	what := fmt.Sprintf("looking up %d posts", len(ids))
	rec, err := call(ctx, what, func(ctx context.Context) error {
		_, err := c.api.TweetLookup(ctx, ids, gotwitter.TweetLookupOpts{
			Expansions: expansions, TweetFields: tweetFields, UserFields: userFields,
			MediaFields: mediaFields, PollFields: pollFields, PlaceFields: placeFields,
		})
		return err
	})
	if rec.status == http.StatusNotFound && errors.Is(err, ErrNotFound) {
		// X answers 200 for a post that it does not have, with errors. The same
		// body with 404 is as good. That of a single post is an answer even if
		// it names no post: it is about no other, but proves nothing either.
		if answer, bad := rec.answer(what, ReadAnswer); bad == nil && (len(ids) == 1 || explains(answer.Page, ids)) {
			return answer, nil
		}
	}
	if err != nil {
		return Answer{}, err
	}
	return rec.answer(what, ReadAnswer)
}

// explains reports whether a page's errors name every id.
func explains(page post.Page, ids []string) bool {
	return !slices.ContainsFunc(ids, func(id string) bool {
		return !slices.ContainsFunc(page.Errors, func(p post.Problem) bool { return p.ResourceID == id || p.Value == id })
	})
}
