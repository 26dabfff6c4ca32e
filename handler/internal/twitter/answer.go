package twitter

import (
	"fmt"
	"time"

	"xarchive/handler/internal/post"
)

// Answer is what X sent to a successful call.
type Answer struct {
	Raw  []byte    // the body, JSON: the evidence, and what ReadAnswer takes
	Page post.Page // Raw, taken apart and checked
	Rate Rate
	Date time.Time // X's clock when it answered: UTC, whole seconds; zero if X did not say
}

// ReadAnswer takes the retained Raw of an [Answer] apart again. It makes the same
// checks as the call did: an answer that is not JSON of X's form, that has fewer
// posts than it counts, or that says nothing at all is [ErrIncomplete].
//
// It cannot know which call was made. That a timeline has its meta, without
// which it would pass for a look-up, is checked when X answers.
func ReadAnswer(raw []byte) (post.Page, error) {
	page, err := post.SplitPage(raw)
	switch {
	case err != nil:
		return post.Page{}, fmt.Errorf("%w: %w", ErrIncomplete, err)
	case page.Meta.ResultCount > page.Count:
		return post.Page{}, fmt.Errorf("%w: it counts %d posts and has %d", ErrIncomplete, page.Meta.ResultCount, page.Count)
	case !page.HasMeta && page.Count == 0 && len(page.Errors) == 0:
		return post.Page{}, fmt.Errorf("%w: it has neither posts nor a reason why not", ErrIncomplete)
	}
	return page, nil
}

// readTimeline is ReadAnswer for the answer of a timeline.
func readTimeline(raw []byte) (post.Page, error) {
	page, err := ReadAnswer(raw)
	switch {
	case err != nil || page.HasMeta:
		return page, err
	case page.Count == 0:
		// A protected or suspended account: status 200, and errors alone.
		return post.Page{}, fmt.Errorf("%w: %s: %s", ErrForbidden, page.Errors[0].Title, page.Errors[0].Detail)
	}
	return post.Page{}, fmt.Errorf("%w: it does not say where in the timeline it is", ErrIncomplete)
}
