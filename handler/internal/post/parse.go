package post

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
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
	p := readObject[wirePost](e.Data, "post")
	if err := CheckID(p.value.ID); err != nil {
		return nil, fmt.Errorf("reading a post's document: %w", err)
	}
	return newIncludes(e.Includes).post(p)
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
	o = &object[wirePost]{value: o.value, problems: slices.Clone(o.problems)}
	w := o.value
	p := &Post{
		ID: w.ID, CreatedAt: o.time("post.created_at", w.CreatedAt), Author: in.user(w.AuthorID), InReplyToUser: in.user(w.ReplyTo),
		ConversationID: w.ConversationID, Language: w.Language, Source: w.Source, Sensitive: w.Sensitive,
		EditHistory: w.EditHistory, Likes: w.Metrics.Likes, Withheld: withheld(w.Withheld),
		Text: Text{Wire: w.Text, Links: w.Entities.links()},
	}
	if p.CreatedAt.IsZero() {
		p.CreatedAt, _ = IDTime(p.ID)
	}
	if w.Note.Text != "" {
		p.Text = Text{Wire: w.Note.Text, Links: w.Note.Entities.links()}
	}
	if a := w.Article; a.Title != "" {
		p.Article = &Article{Title: a.Title, Text: cmp.Or(a.PlainText, a.Text, a.Preview)}
	}
	for _, key := range w.Attachments.MediaKeys {
		m, problems := in.makeMedia(key)
		p.Media, o.problems = append(p.Media, m), append(o.problems, problems...)
	}
	for _, id := range w.Attachments.PollIDs {
		poll, problems := in.makePoll(id)
		p.Polls, o.problems = append(p.Polls, poll), append(o.problems, problems...)
	}
	if id := w.Geo.PlaceID; id != "" {
		p.Place = id
		if place := in.places.byID[id]; place != nil {
			p.Place, o.problems = cmp.Or(place.value.FullName, id), append(o.problems, place.problems...)
		}
	}
	for _, r := range w.Referenced {
		ref := Reference{Type: r.Type, ID: r.ID}
		if included := in.tweets.byID[r.ID]; included != nil && depth < maxDepth {
			ref.Post = in.make(included, depth+1)
		}
		p.References = append(p.References, ref)
	}
	p.Problems = o.problems
	return p
}

// user returns the user of that id: with nothing but the id where X did not
// include it.
func (in *includes) user(id string) User {
	if u := in.users.byID[id]; u != nil {
		return User(u.value)
	}
	return User{ID: id}
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

func (in *includes) makeMedia(key string) (Media, []string) {
	o := in.media.byID[key]
	if o == nil {
		return Media{Key: key, Type: "unknown"}, nil
	}
	w := o.value
	m := Media{Key: key, Type: cmp.Or(w.Type, "unknown"), URL: w.URL, PreviewURL: w.PreviewURL, AltText: w.AltText,
		Width: w.Width, Height: w.Height, Duration: time.Duration(w.DurationMS) * time.Millisecond}
	for _, v := range w.Variants {
		m.Variants = append(m.Variants, Variant(v))
	}
	return m, o.problems
}

func (in *includes) makePoll(id string) (Poll, []string) {
	o := in.polls.byID[id]
	if o == nil {
		return Poll{ID: id}, nil
	}
	o = &object[wirePoll]{value: o.value, problems: slices.Clone(o.problems)}
	p := Poll{ID: id, Status: o.value.Status, Ends: o.time("poll.end_datetime", o.value.Ends)}
	for _, option := range o.value.Options {
		p.Options = append(p.Options, PollOption(option))
	}
	return p, o.problems
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
