package twitter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"xarchive/handler/internal/post"
)

// Answer is what X sent to a successful call.
type Answer struct {
	// Raw is the evidence, and what ReadAnswer takes: the body, JSON, byte for byte. Of
	// a page that posts had to be looked up for (see [post.Page.Lacks]) it is a JSON
	// list of bodies, that of the call first, then those of the look-ups.
	Raw []byte
	// Bodies are the bodies that Raw is made of, in its order, each as it came.
	Bodies []Body
	Page   post.Page // Raw, taken apart and checked
	Rate   Rate
	Date   time.Time // X's clock when it answered: UTC, whole seconds; zero if X did not say
	Reads  int       // posts in data of all bodies, which X bills, each once a UTC day
}

// Body is the body of one HTTP answer of X.
type Body struct {
	JSON      []byte // byte for byte
	RequestID string // X's own name of the request, which its support asks for; "" if it gave none
}

// whole is what came over the wire. A name that nobody could write down is none.
func (r record) whole() Body {
	id := r.header.Get("X-Transaction-Id")
	if len(id) > maxRequestID || strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' || c == ',' }) {
		id = ""
	}
	return Body{r.body, id}
}

// maxRequestID bounds X's name of a request, in bytes. It has 16.
const maxRequestID = 100

// ReadAnswer takes the retained Raw of an [Answer] apart again. It makes the same
// checks as the call did: an answer that is not JSON of X's form, that has fewer
// posts than it counts, or that says nothing at all is [ErrIncomplete].
//
// It cannot know which call was made. That a timeline has its meta, without
// which it would pass for a look-up, and that X understood the request, is checked
// when X answers.
func ReadAnswer(raw []byte) (post.Page, error) {
	raw, more := bytes.TrimSpace(raw), [][]byte(nil)
	if bytes.HasPrefix(raw, []byte("[")) {
		var bodies []json.RawMessage
		if err := json.Unmarshal(raw, &bodies); err != nil || len(bodies) == 0 {
			return post.Page{}, fmt.Errorf("%w: it is no list of answers: %w", ErrIncomplete, err)
		}
		raw = bodies[0]
		for _, body := range bodies[1:] {
			more = append(more, body)
		}
	}
	page, err := post.SplitPage(raw, more...)
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

// readTimeline is ReadAnswer for an account's timeline.
func readTimeline(raw []byte, accountID string) (post.Page, error) {
	page, err := ReadAnswer(raw)
	if err != nil {
		return post.Page{}, err
	}
	if page.Count == 0 {
		// For a protected or suspended account X answers with status 200 and
		// errors, as a rule without meta.
		for _, p := range page.Errors {
			if !page.HasMeta || p.ResourceType == "user" && (p.ResourceID == accountID || p.Value == accountID) {
				return post.Page{}, notShown(p)
			}
		}
	}
	if !page.HasMeta {
		return post.Page{}, fmt.Errorf("%w: it does not say where in the timeline it is", ErrIncomplete)
	}
	return page, nil
}
