package post

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"xarchive/handler/internal/fault"
)

// Errors of a single post. Neither says anything about the posts next to it.
var (
	// ErrNoTime: the post has no created_at, and an id from before November
	// 2010, which holds no time. It cannot be given a place in time.
	ErrNoTime = fault.New(fault.SetAside, "the post has no time: X sent no created_at, and its id holds none")

	// ErrTooMany: the post leads to more posts than any does on X.
	ErrTooMany = fault.New(fault.SetAside, "the post refers to more posts than can be followed")

	// ErrUnreadable: an element of data is not a post that can be kept by its id:
	// it is no JSON object, has no usable id, or has the id of another post of the
	// page and other content.
	ErrUnreadable = fault.New(fault.SetAside, "X sent something that is not a post")
)

// Document is one post as X sent it:
// `{"data":{…},"includes":{…},"errors":[…],"vocabulary":"tweet"}` with every object
// byte for byte as it came, and of the includes and errors only what belongs to this
// post. It is complete in itself. The vocabulary is the connector's word: in which
// [Vocabulary] X sent the post. A document without it, as older releases wrote them,
// is in TweetWords, or has no word that tells. Another account's post that is archived
// because it mentions an account has that account's id in a member `mentions`, also the
// connector's word ([Document.AsMention]).
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

	// Vocabulary is what the posts in data are in; "" if none of them tells.
	Vocabulary Vocabulary
	// Doubts says, a sentence each, what of the posts in data shows that X did not
	// understand the words it was asked in; see package twitter.
	Doubts []string
	// Lacks are ids of posts that posts in data refer to and that are not here with
	// author and media, without a reason given. In PostWords X sends no more of them
	// than the posts; a look-up of the ids brings the rest.
	Lacks []string
}

// Meta is the page's place in a timeline. It is empty for look-ups.
type Meta struct {
	ResultCount int    `json:"result_count"`
	NextToken   string `json:"next_token"`
}

// envelope is the outermost object of an answer and of a document.
type envelope struct {
	Data     json.RawMessage   `json:"data"`
	Includes wireIncludes      `json:"includes"`
	Errors   []json.RawMessage `json:"errors"`
	Meta     *Meta             `json:"meta"`
	Source   string            `json:"source"`   // of a document: ExportSource, or ""
	Mentions string            `json:"mentions"` // of a document: the connector's word
}

// SplitPage takes an answer apart, in either vocabulary. more are answers to look-ups
// of what the answer lacks ([Page.Lacks]): their posts, and what they include, count
// as included, and before those that the answer itself includes.
//
// It takes an answer of `/2/users/:id/tweets`, `/2/tweets` or
// `/2/tweets/:id` apart into one document a post. Earlier versions of an
// edited post that X included become documents of their own, before it, where X
// also included what they need; one that lacks something is better looked up.
//
// A post that cannot be read never costs another one: see [Document] and
// [Unreadable]. SplitPage fails only if the answer is not JSON of that form.
// Whether an answer that can be read is also a whole one is for its caller to
// judge.
func SplitPage(raw []byte, more ...[]byte) (Page, error) {
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
	var looked []json.RawMessage
	for _, raw := range more {
		extra, data, err := readMore(raw)
		if err != nil {
			return Page{}, err
		}
		looked = append(looked, data...)
		for name, list := range extra.Includes {
			if e.Includes == nil {
				e.Includes = wireIncludes{}
			}
			e.Includes[name] = append(e.Includes[name], list...)
		}
		problems = append(problems, readProblems(extra.Errors)...)
	}
	included := newIncludes(e.Includes, looked)
	page.judge(posts, included, problems)
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

// readMore reads the answer to a look-up, and the posts in it.
func readMore(raw []byte) (e envelope, data []json.RawMessage, err error) {
	if err = json.Unmarshal(raw, &e); err == nil {
		data, err = elements(e.Data)
	}
	if err != nil {
		return envelope{}, nil, fmt.Errorf("reading X's answer to a look-up: %w", err)
	}
	return e, data, nil
}

// judge notes what the posts in data say about the answer.
func (page *Page) judge(posts []*object[wirePost], included *includes, problems []object[Problem]) {
	explained := func(id string) bool {
		return slices.ContainsFunc(problems, func(p object[Problem]) bool { return p.value.about(id) })
	}
	for _, p := range posts {
		page.Vocabulary = cmp.Or(page.Vocabulary, p.value.Words)
		page.Doubts = append(page.Doubts, p.value.doubts()...)
		for _, id := range p.value.refersTo() {
			if !slices.Contains(page.Lacks, id) && CheckID(id) == nil && included.lacks(id, explained) {
				page.Lacks = append(page.Lacks, id)
			}
		}
	}
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
	words := w.Words
	for _, id := range w.refersTo() {
		wanted[id] = true
		if own.tweets.pick(in.tweets, id) {
			user(in.tweets.byID[id].value.AuthorID)
			pickMedia(in.tweets.byID[id].value)
			words = cmp.Or(words, in.tweets.byID[id].value.Words)
		}
	}
	for _, o := range in.others {
		if o.mayNeed(p.raw) {
			own.others = append(own.others, o)
		}
	}
	wanted[w.ID] = true // X could not send a part of it
	delete(wanted, "")
	for _, problem := range problems {
		if wanted[problem.value.ResourceID] || wanted[problem.value.Value] {
			own.problems = append(own.problems, problem)
		}
	}
	d := Document{ID: w.ID, JSON: own.envelope(p.raw, words), Earlier: earlier}
	d.Post, d.Err = own.post(p)
	return d
}

// envelope writes a document. What is included as posts stands under the name that the
// document's vocabulary has for it.
func (in *includes) envelope(data []byte, words Vocabulary) []byte {
	var b bytes.Buffer
	b.WriteString(`{"data":`)
	b.Write(data)
	comma := `,"includes":{`
	write := func(name string, raw [][]byte) {
		if len(raw) > 0 {
			fmt.Fprintf(&b, `%s%s:[%s]`, comma, quoted(name), bytes.Join(raw, []byte(",")))
			comma = ","
		}
	}
	write(words.group(), in.tweets.raw)
	write("users", in.users.raw)
	write("media", in.media.raw)
	write("polls", in.polls.raw)
	write("places", in.places.raw)
	for i := 0; i < len(in.others); { // they are in the order of their groups
		name, raw := in.others[i].group, [][]byte(nil)
		for ; i < len(in.others) && in.others[i].group == name; i++ {
			raw = append(raw, in.others[i].raw)
		}
		write(name, raw)
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
	if words != "" {
		fmt.Fprintf(&b, `,"vocabulary":%s`, quoted(string(words)))
	}
	b.WriteString("}")
	return b.Bytes()
}

// quoted returns a string as JSON has it.
func quoted(s string) []byte {
	out, err := json.Marshal(s)
	if err != nil {
		return []byte(`""`) // a string is always valid
	}
	return out
}
