package post

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Document is one post as X sent it: `{"data":{…},"includes":{…},"errors":[…]}`
// with every object byte for byte as it came, and of the includes and errors
// only what belongs to this post. It is complete in itself.
type Document struct {
	ID      string // of the post in data
	JSON    []byte
	Earlier bool // it came along as an earlier version of a post, not in data
}

// Page is an answer of the X API taken apart.
type Page struct {
	Posts  []Document // in X's order
	Count  int        // posts in data
	Meta   Meta
	Errors []Problem // what X says it could not answer
}

// Meta is the page's place in a timeline. It is empty for look-ups.
type Meta struct {
	ResultCount int    `json:"result_count"`
	NewestID    string `json:"newest_id"`
	OldestID    string `json:"oldest_id"`
	NextToken   string `json:"next_token"`
}

// Problem is one of X's partial errors: a post or another object that it did
// not send, and why.
type Problem struct {
	Title        string `json:"title"`
	Detail       string `json:"detail"`
	ResourceType string `json:"resource_type"` // tweet, user, media, …
	ResourceID   string `json:"resource_id"`
	Value        string `json:"-"` // the id asked for
}

// objects holds what a page includes, by id, in X's order.
type objects struct {
	raw  map[string]json.RawMessage
	refs map[string]links
}

// links is what a post's JSON says it needs from the includes.
type links struct {
	ID         string `json:"id"`
	AuthorID   string `json:"author_id"`
	ReplyTo    string `json:"in_reply_to_user_id"`
	Referenced []struct {
		ID string `json:"id"`
	} `json:"referenced_tweets"`
	Attachments struct {
		MediaKeys []string `json:"media_keys"`
		PollIDs   []string `json:"poll_ids"`
	} `json:"attachments"`
	Geo struct {
		PlaceID string `json:"place_id"`
	} `json:"geo"`
	Entities mentions `json:"entities"`
	NoteText struct {
		Entities mentions `json:"entities"`
	} `json:"note_tweet"`
	Article struct {
		CoverMedia    string   `json:"cover_media"`
		MediaEntities []string `json:"media_entities"`
	} `json:"article"`
	EditHistory []string `json:"edit_history_tweet_ids"`
}

// mediaKeys are those of the post's attachments and of its article.
func (l links) mediaKeys() []string {
	return append(append([]string{l.Article.CoverMedia}, l.Attachments.MediaKeys...), l.Article.MediaEntities...)
}

type mentions struct {
	Mentions []struct {
		Username string `json:"username"`
	} `json:"mentions"`
}

type envelope struct {
	Data     json.RawMessage              `json:"data"`
	Includes map[string][]json.RawMessage `json:"includes"`
	Errors   []json.RawMessage            `json:"errors"`
	Meta     Meta                         `json:"meta"`
}

// SplitPage takes an answer of `/2/users/:id/tweets`, `/2/tweets` or
// `/2/tweets/:id` apart into one document a post. Earlier versions of an
// edited post that X included come as posts of their own, before it, where X also
// included what they need; one that lacks something is better looked up. It fails
// only if the answer is not such JSON or holds a post without an id: nothing
// is left out in silence.
func SplitPage(raw []byte) (Page, error) {
	var e envelope
	if err := json.Unmarshal(raw, &e); err != nil {
		return Page{}, fmt.Errorf("reading X's answer: %w", err)
	}
	page := Page{Meta: e.Meta}
	for _, r := range e.Errors {
		page.Errors = append(page.Errors, parseProblem(r))
	}
	data, err := list(e.Data)
	if err != nil {
		return Page{}, err
	}
	page.Count = len(data)
	inc := newIncludes(e)
	done := map[string]bool{}
	for i, d := range data {
		l, err := readLinks(d)
		if err != nil {
			return Page{}, fmt.Errorf("reading post %d of X's answer: %w", i+1, err)
		}
		for _, earlier := range l.EditHistory {
			if earlier == l.ID {
				break
			}
			if old, ok := inc.tweets.raw[earlier]; ok && !done[earlier] && inc.complete(inc.tweets.refs[earlier]) {
				done[earlier] = true
				page.Posts = append(page.Posts, Document{earlier, inc.document(old, inc.tweets.refs[earlier]), true})
			}
		}
		if !done[l.ID] {
			done[l.ID] = true
			page.Posts = append(page.Posts, Document{l.ID, inc.document(d, l), false})
		}
	}
	return page, nil
}

// list reads data as a list: of the posts of a page, of the one post of a
// look-up by id, or of nothing.
func list(data json.RawMessage) ([]json.RawMessage, error) {
	data = bytes.TrimSpace(data)
	switch {
	case len(data) == 0 || bytes.Equal(data, []byte("null")):
		return nil, nil
	case data[0] == '[':
		var out []json.RawMessage
		if err := json.Unmarshal(data, &out); err != nil {
			return nil, fmt.Errorf("reading data of X's answer: %w", err)
		}
		return out, nil
	}
	return []json.RawMessage{data}, nil
}

func readLinks(raw json.RawMessage) (links, error) {
	var l links
	err := json.Unmarshal(raw, &l)
	if mismatch := (*json.UnmarshalTypeError)(nil); errors.As(err, &mismatch) {
		err = nil // one member of an unexpected type; what could be read is read
	}
	if err != nil {
		return l, err
	}
	return l, CheckID(l.ID)
}

// includes is what a page includes, ready to be picked from.
type includes struct {
	tweets, users, media, polls, places objects
	byHandle                            map[string]string // lower-case handle to user id
	errors                              []json.RawMessage
}

func newIncludes(e envelope) *includes {
	index := func(list []json.RawMessage, key string) objects {
		o := objects{raw: map[string]json.RawMessage{}, refs: map[string]links{}}
		for _, r := range list {
			var m map[string]json.RawMessage
			var id string
			if json.Unmarshal(r, &m) == nil && json.Unmarshal(m[key], &id) == nil && o.raw[id] == nil {
				o.raw[id] = r
			}
		}
		return o
	}
	in := &includes{
		tweets: index(e.Includes["tweets"], "id"), users: index(e.Includes["users"], "id"),
		media: index(e.Includes["media"], "media_key"), polls: index(e.Includes["polls"], "id"),
		places: index(e.Includes["places"], "id"), byHandle: map[string]string{}, errors: e.Errors,
	}
	for id, r := range in.tweets.raw {
		if l, err := readLinks(r); err == nil {
			in.tweets.refs[id] = l
		}
	}
	for id, r := range in.users.raw {
		var u wireUser
		if json.Unmarshal(r, &u) == nil {
			in.byHandle[strings.ToLower(u.Username)] = id
		}
	}
	return in
}

// complete tells whether all that an included post needs is included, too.
func (in *includes) complete(l links) bool {
	whole := in.users.raw[l.AuthorID] != nil && (l.Geo.PlaceID == "" || in.places.raw[l.Geo.PlaceID] != nil)
	for _, key := range l.mediaKeys() {
		whole = whole && (key == "" || in.media.raw[key] != nil)
	}
	for _, id := range l.Attachments.PollIDs {
		whole = whole && in.polls.raw[id] != nil
	}
	for _, r := range l.Referenced {
		whole = whole && in.tweets.raw[r.ID] != nil
	}
	return whole
}

// document puts a post together with what X includes for it when it is asked for
// alone, each object once, in the order in which the post first needs it: the posts
// it refers to, who wrote and who is named, media, polls, place; of the posts it
// refers to author and media. What the page includes for the sake of other posts
// stays out, so that a post's document does not depend on its neighbours.
func (in *includes) document(data json.RawMessage, l links) []byte {
	var tweets, users, media, polls, places, problems picked
	wanted := map[string]bool{}
	user := func(id string) { users.add(id, in.users.raw[id]); wanted[id] = true }
	needMedia := func(l links) {
		for _, key := range l.mediaKeys() {
			media.add(key, in.media.raw[key])
			wanted[key] = true
		}
	}
	user(l.AuthorID)
	user(l.ReplyTo)
	for _, m := range append(l.Entities.Mentions, l.NoteText.Entities.Mentions...) {
		user(in.byHandle[strings.ToLower(m.Username)])
	}
	needMedia(l)
	for _, id := range l.Attachments.PollIDs {
		polls.add(id, in.polls.raw[id])
	}
	places.add(l.Geo.PlaceID, in.places.raw[l.Geo.PlaceID])
	for _, r := range l.Referenced {
		wanted[r.ID] = true
		if raw, ok := in.tweets.raw[r.ID]; ok && tweets.add(r.ID, raw) {
			user(in.tweets.refs[r.ID].AuthorID)
			needMedia(in.tweets.refs[r.ID])
		}
	}
	delete(wanted, "")
	for i, r := range in.errors {
		p := parseProblem(r)
		if wanted[p.ResourceID] || wanted[p.Value] {
			problems.add(fmt.Sprint(i), r)
		}
	}

	var b bytes.Buffer
	b.WriteString(`{"data":`)
	b.Write(data)
	comma := `,"includes":{`
	for _, group := range []struct {
		name string
		list picked
	}{{"tweets", tweets}, {"users", users}, {"media", media}, {"polls", polls}, {"places", places}} {
		if len(group.list.raw) > 0 {
			fmt.Fprintf(&b, `%s"%s":[%s]`, comma, group.name, bytes.Join(group.list.raw, []byte(",")))
			comma = ","
		}
	}
	if comma == "," {
		b.WriteString("}")
	}
	if len(problems.raw) > 0 {
		fmt.Fprintf(&b, `,"errors":[%s]`, bytes.Join(problems.raw, []byte(",")))
	}
	b.WriteString("}")
	return b.Bytes()
}

// picked collects objects, each id once.
type picked struct {
	seen map[string]bool
	raw  [][]byte
}

func (p *picked) add(id string, raw json.RawMessage) bool {
	if id == "" || raw == nil || p.seen[id] {
		return false
	}
	if p.seen == nil {
		p.seen = map[string]bool{}
	}
	p.seen[id] = true
	p.raw = append(p.raw, raw)
	return true
}

func parseProblem(raw json.RawMessage) Problem {
	var w struct {
		Problem
		Value json.RawMessage `json:"value"`
	}
	_ = json.Unmarshal(raw, &w) // a partial error in another form is kept in the document as it is
	w.Problem.Value = strings.Trim(string(w.Value), `"`)
	return w.Problem
}
