package post

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"xarchive/handler/internal/fault"
)

// Errors of a single post. Neither says anything about the posts next to it.
var (
	// ErrNoTime: the post has no created_at, and an id from before November
	// 2010, which holds no time. It cannot be given a place in time.
	ErrNoTime = fault.New(fault.SetAside, "the post has no time: X sent no created_at, and its id holds none")

	// ErrUnreadable: an element of data is no post that could be told apart
	// from others: no JSON object, no usable id, or a second post of the same
	// id with other content.
	ErrUnreadable = fault.New(fault.SetAside, "X sent something that is not a post")
)

// Document is one post as X sent it: `{"data":{…},"includes":{…},"errors":[…]}`
// with every object byte for byte as it came, and of the includes and errors
// only what belongs to this post. It is complete in itself.
type Document struct {
	ID      string // of the post in data
	JSON    []byte
	Earlier bool // X included it as an earlier version of a post; it is not in data

	// Post is what [Parse] returns for JSON, and Err the error that it returns;
	// one of them is nil. Posts of one page share what X included for both, so
	// they must not be changed.
	Post *Post
	Err  error
}

// Unreadable is an element of data that no document can be made of.
type Unreadable struct {
	Raw []byte // as X sent it
	Err error  // wraps ErrUnreadable
}

// Page is an answer of the X API taken apart. Every element of its data is in
// Posts or in Unreadable; one that X repeats, byte for byte, is there once.
type Page struct {
	Posts      []Document // in X's order
	Unreadable []Unreadable
	Count      int  // elements of data
	HasMeta    bool // X sent meta, as it does for a timeline and not for a look-up
	Meta       Meta
	Errors     []Problem // what X says it could not answer
}

// Meta is the page's place in a timeline. It is empty for look-ups.
type Meta struct {
	ResultCount int    `json:"result_count"`
	NewestID    string `json:"newest_id"`
	OldestID    string `json:"oldest_id"`
	NextToken   string `json:"next_token"`
}

// envelope is the outermost object of an answer and of a document.
type envelope struct {
	Data     json.RawMessage   `json:"data"`
	Includes wireIncludes      `json:"includes"`
	Errors   []json.RawMessage `json:"errors"`
	Meta     *Meta             `json:"meta"`
}

// SplitPage takes an answer of `/2/users/:id/tweets`, `/2/tweets` or
// `/2/tweets/:id` apart into one document a post. Earlier versions of an
// edited post that X included become documents of their own, before it, where X
// also included what they need; one that lacks something is better looked up.
//
// A post that cannot be read never costs another one: see [Document] and
// [Unreadable]. SplitPage fails only if the answer is not JSON of that form.
// Whether an answer that can be read is also a whole one is for its caller to
// judge.
func SplitPage(raw []byte) (Page, error) {
	var e envelope
	if err := json.Unmarshal(raw, &e); err != nil {
		return Page{}, fmt.Errorf("reading X's answer: %w", err)
	}
	data, err := elements(e.Data)
	if err != nil {
		return Page{}, fmt.Errorf("reading X's answer: %w", err)
	}
	page := Page{Count: len(data)}
	if e.Meta != nil {
		page.HasMeta, page.Meta = true, *e.Meta
	}
	problems := readProblems(e.Errors)
	for _, p := range problems {
		page.Errors = append(page.Errors, p.value)
	}
	if e.Data == nil && e.Errors == nil && e.Meta == nil {
		// X answers like this where the call as a whole is a problem (RFC 7807).
		if whole := readProblem(raw).value; whole.Title != "" {
			page.Errors = []Problem{whole}
		}
	}
	posts, done := page.read(data), map[string]bool{}
	included := newIncludes(e.Includes)
	for _, p := range posts {
		done[p.value.ID] = true
	}
	for _, p := range posts {
		for _, id := range p.value.EditHistory {
			if id == p.value.ID {
				break
			}
			old := included.tweets.byID[id]
			if old != nil && !done[id] && CheckID(id) == nil && included.complete(old.value) {
				done[id] = true
				page.Posts = append(page.Posts, included.document(old, problems, true))
			}
		}
		page.Posts = append(page.Posts, included.document(p, problems, false))
	}
	return page, nil
}

// read decodes the elements of data, and notes those that are unreadable.
func (page *Page) read(data []json.RawMessage) (posts []*object[wirePost]) {
	byID := map[string]*object[wirePost]{}
	for i, raw := range data {
		p := readObject[wirePost](raw)
		err := CheckID(p.value.ID)
		if !bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) {
			err = fmt.Errorf("it is not a JSON object")
		}
		if first := byID[p.value.ID]; err == nil && first != nil {
			if bytes.Equal(first.raw, raw) {
				continue
			}
			err = fmt.Errorf("it has the id %s of another post of the page, and other content", p.value.ID)
		}
		if err != nil {
			page.Unreadable = append(page.Unreadable, Unreadable{raw, fmt.Errorf("post %d of the page: %w: %w", i+1, ErrUnreadable, err)})
			continue
		}
		byID[p.value.ID] = p
		posts = append(posts, p)
	}
	return posts
}

// elements reads data as a list: of the posts of a page, of the one post of a
// look-up by id, or of nothing.
func elements(data json.RawMessage) ([]json.RawMessage, error) {
	switch data = bytes.TrimSpace(data); {
	case len(data) == 0 || bytes.Equal(data, []byte("null")):
		return nil, nil
	case data[0] == '[':
		var out []json.RawMessage
		err := json.Unmarshal(data, &out)
		return out, err
	case data[0] == '{':
		return []json.RawMessage{data}, nil
	}
	return nil, fmt.Errorf("data is neither a list nor an object: %.40s", data)
}

// document puts a post together with what X includes for it when it is asked for
// alone, each object once, in the order in which the post first needs it: the posts
// it refers to, who wrote and who is named, media, polls, place; of the posts it
// refers to author and media. What the page includes for the sake of other posts
// stays out, so that a post's document does not depend on its neighbours.
func (in *includes) document(p *object[wirePost], problems []object[Problem], earlier bool) Document {
	own := &includes{handles: map[string]string{}}
	wanted := map[string]bool{}
	user := func(id string) { own.users.pick(in.users, id); wanted[id] = true }
	pickMedia := func(w wirePost) {
		for _, key := range w.mediaKeys() {
			own.media.pick(in.media, key)
			wanted[key] = true
		}
	}
	w := p.value
	user(w.AuthorID)
	user(w.ReplyTo)
	for _, mentions := range [][]wireMention{w.Entities.Mentions, w.Note.Entities.Mentions} {
		for _, m := range mentions {
			user(in.byHandle[strings.ToLower(m.Username)])
		}
	}
	pickMedia(w)
	for _, id := range w.Attachments.PollIDs {
		own.polls.pick(in.polls, id)
	}
	own.places.pick(in.places, w.Geo.PlaceID)
	for _, r := range w.Referenced {
		wanted[r.ID] = true
		if own.tweets.pick(in.tweets, r.ID) {
			user(in.tweets.byID[r.ID].value.AuthorID)
			pickMedia(in.tweets.byID[r.ID].value)
		}
	}
	delete(wanted, "")
	for _, problem := range problems {
		if wanted[problem.value.ResourceID] || wanted[problem.value.Value] {
			own.problems = append(own.problems, problem)
		}
	}
	d := Document{ID: w.ID, JSON: own.envelope(p.raw), Earlier: earlier}
	d.Post, d.Err = own.post(p)
	return d
}

// envelope writes a document.
func (in *includes) envelope(data []byte) []byte {
	var b bytes.Buffer
	b.WriteString(`{"data":`)
	b.Write(data)
	comma := `,"includes":{`
	for _, group := range []struct {
		name string
		raw  [][]byte
	}{{"tweets", in.tweets.raw}, {"users", in.users.raw}, {"media", in.media.raw}, {"polls", in.polls.raw}, {"places", in.places.raw}} {
		if len(group.raw) > 0 {
			fmt.Fprintf(&b, `%s"%s":[%s]`, comma, group.name, bytes.Join(group.raw, []byte(",")))
			comma = ","
		}
	}
	if comma == "," {
		b.WriteString("}")
	}
	var problems [][]byte
	for _, problem := range in.problems {
		problems = append(problems, problem.raw)
	}
	if len(problems) > 0 {
		fmt.Fprintf(&b, `,"errors":[%s]`, bytes.Join(problems, []byte(",")))
	}
	b.WriteString("}")
	return b.Bytes()
}
