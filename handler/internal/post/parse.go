package post

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Parse reads a document. It fails only if the document is not JSON, its post
// has no usable id, or the post has no time ([ErrNoTime]); members it cannot
// read are named in Post.Problems. A post without created_at gets the time that
// is in its id.
func Parse(document []byte) (*Post, error) {
	var e envelope
	if err := json.Unmarshal(document, &e); err != nil {
		return nil, fmt.Errorf("reading a post's document: %w", err)
	}
	p := readObject[wirePost](e.Data)
	if err := CheckID(p.value.ID); err != nil {
		return nil, fmt.Errorf("reading a post's document: %w", err)
	}
	return newIncludes(e.Includes, nil).post(p)
}

// post makes a Post of what X sent and included.
func (in *includes) post(o *object[wirePost]) (*Post, error) {
	p := in.make(o, 0)
	if p.CreatedAt.IsZero() {
		return nil, fmt.Errorf("post %s: %w", p.ID, ErrNoTime)
	}
	return p, nil
}

// maxDepth bounds how far references are followed: a document put together by hand
// may lead round in a circle.
const maxDepth = 3

func (in *includes) make(o *object[wirePost], depth int) *Post {
	w := o.value
	p := &Post{
		ID: w.ID, Author: in.user(w.AuthorID), InReplyToUser: in.repliedTo(w), Problems: o.named("post"),
		ConversationID: w.ConversationID, Language: w.Language, Source: w.Source, Sensitive: w.Sensitive,
		EditHistory: w.EditHistory, Likes: w.Metrics.Likes, Withheld: withheld(w.Withheld),
		Text: Text{Wire: w.Text, Links: w.Entities.links()},
	}
	if p.CreatedAt = p.time("post.created_at", w.CreatedAt); p.CreatedAt.IsZero() {
		p.CreatedAt, _ = IDTime(p.ID)
	}
	if w.Note.Text != "" {
		p.Text = Text{Wire: w.Note.Text, Links: w.Note.Entities.links()}
	}
	if a := w.Article; a.Title != "" {
		p.Article = &Article{Title: a.Title, Text: cmp.Or(a.PlainText, a.Text, a.Preview)}
	}
	for _, key := range w.Attachments.MediaKeys {
		p.addMedia(key, in.media.byID[key])
	}
	for _, id := range w.Attachments.PollIDs {
		p.addPoll(id, in.polls.byID[id])
	}
	if id := w.Geo.PlaceID; id != "" {
		p.Place = id
		if place := in.places.byID[id]; place != nil {
			p.Place = cmp.Or(place.value.FullName, id)
			p.Problems = append(p.Problems, place.named("place "+id)...)
		}
	}
	for _, r := range w.Referenced {
		ref := Reference{Type: r.Type, ID: r.ID}
		if included := in.tweets.byID[r.ID]; included != nil && depth < maxDepth {
			ref.Post = in.make(included, depth+1)
		}
		p.References = append(p.References, ref)
	}
	return p
}

// time reads an RFC 3339 time; "" is the zero time.
func (p *Post) time(name, text string) time.Time {
	if text == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		p.Problems = append(p.Problems, fmt.Sprintf("%s: %v", name, err))
	}
	return t.UTC()
}

// user returns the user of that id: with nothing but the id where X did not
// include it.
func (in *includes) user(id string) User {
	if u := in.users.byID[id]; u != nil {
		return User(u.value)
	}
	return User{ID: id}
}

// repliedTo returns the user whom a post replies to: where X did not include the user,
// with the handle by which the post mentions them.
func (in *includes) repliedTo(w wirePost) User {
	u := in.user(w.ReplyTo)
	for _, mentions := range [][]wireMention{w.Entities.Mentions, w.Note.Entities.Mentions} {
		for _, m := range mentions {
			if u.ID != "" && m.ID == u.ID {
				u.Username = cmp.Or(u.Username, m.Username)
			}
		}
	}
	return u
}

func (e wireEntities) links() []Link {
	var out []Link
	for _, u := range e.URLs {
		out = append(out, Link{Kind: PlainURL, Start: u.Start, End: u.End, URL: u.URL,
			Target: cmp.Or(u.ExpandedURL, u.UnwoundURL, u.URL), Display: u.DisplayURL, Title: u.Title, MediaKey: u.MediaKey})
	}
	for _, m := range e.Mentions {
		out = append(out, Link{Kind: Mention, Start: m.Start, End: m.End, Target: "https://x.com/" + m.Username})
	}
	for _, h := range e.Hashtags {
		out = append(out, Link{Kind: Hashtag, Start: h.Start, End: h.End, Target: "https://x.com/hashtag/" + h.Tag})
	}
	for _, c := range e.Cashtags {
		out = append(out, Link{Kind: Cashtag, Start: c.Start, End: c.End, Target: "https://x.com/search?q=%24" + c.Tag})
	}
	return out
}

// addMedia adds a media of the post; o is nil where X did not include it.
func (p *Post) addMedia(key string, o *object[wireMedia]) {
	m := Media{Key: key, Type: "unknown"}
	if o != nil {
		w := o.value
		m = Media{Key: key, Type: cmp.Or(w.Type, "unknown"), URL: w.URL, PreviewURL: w.PreviewURL, AltText: w.AltText,
			Width: w.Width, Height: w.Height, Duration: time.Duration(w.DurationMS) * time.Millisecond}
		for _, v := range w.Variants {
			m.Variants = append(m.Variants, Variant(v))
		}
		p.Problems = append(p.Problems, o.named("media "+key)...)
	}
	p.Media = append(p.Media, m)
}

// addPoll adds a poll of the post; o is nil where X did not include it.
func (p *Post) addPoll(id string, o *object[wirePoll]) {
	poll := Poll{ID: id}
	if o != nil {
		poll.Status = o.value.Status
		poll.Ends = p.time("poll "+id+".end_datetime", o.value.Ends)
		for _, option := range o.value.Options {
			poll.Options = append(poll.Options, PollOption(option))
		}
		p.Problems = append(p.Problems, o.named("poll "+id)...)
	}
	p.Polls = append(p.Polls, poll)
}

// withheld says in words where and why X withholds a post.
func withheld(raw json.RawMessage) string {
	if raw == nil {
		return ""
	}
	var w struct {
		Copyright bool     `json:"copyright"`
		Countries []string `json:"country_codes"`
		Scope     string   `json:"scope"`
	}
	if json.Unmarshal(raw, &w) != nil {
		return string(raw)
	}
	s := strings.Join(w.Countries, ", ")
	if w.Scope != "" {
		s = w.Scope + " in " + s
	}
	if w.Copyright {
		s += " (copyright)"
	}
	return strings.TrimSpace(s)
}
