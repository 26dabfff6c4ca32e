package post

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
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
	if e.Source == ExportSource {
		return parseExport(document)
	}
	p := readObject[wirePost](e.Data)
	if err := CheckID(p.value.ID); err != nil {
		return nil, fmt.Errorf("reading a post's document: %w", err)
	}
	in := newIncludes(e.Includes, nil)
	in.problems = readProblems(e.Errors)
	out, err := in.post(p)
	if err == nil && e.Mentions != "" && e.Mentions != out.Author.ID {
		out.Mentions = in.user(e.Mentions)
	}
	return out, err
}

// post makes a Post of what X sent and included.
func (in *includes) post(o *object[wirePost]) (*Post, error) {
	in.made = 0
	p := in.make(o, 0)
	if in.made > maxReferred {
		return nil, fmt.Errorf("post %s: %w", p.ID, ErrTooMany)
	}
	if p.CreatedAt.IsZero() {
		return nil, fmt.Errorf("post %s: %w", p.ID, ErrNoTime)
	}
	return p, nil
}

// maxDepth bounds how far references are followed: a document put together by hand
// may lead round in a circle.
const maxDepth = 3

// maxReferred bounds how many posts a post may lead to. X has two references in a post at
// most; a document with thousands, each with more, would be followed without end.
const maxReferred = 200

func (in *includes) make(o *object[wirePost], depth int) *Post {
	w := o.value
	in.made++
	in.note(w)
	p := &Post{
		ID: w.ID, Author: in.user(w.AuthorID), InReplyToUser: in.user(w.ReplyTo), Problems: o.named("post"),
		ConversationID: w.ConversationID, Language: w.Language, Source: w.Source, Sensitive: w.Sensitive,
		EditHistory: w.EditHistory, Likes: w.Metrics.Likes, Withheld: withheld(w.Withheld),
		Text: Text{Wire: w.Text, Links: w.Entities.links()}, Location: location(w.Geo.Coordinates.Coordinates),
		Community: w.CommunityID, Paid: isPaid(w.Paid),
	}
	p.Replies = replies(w.ReplySettings, p.Author.Username)
	if p.CreatedAt = p.time("post.created_at", w.CreatedAt); p.CreatedAt.IsZero() {
		p.CreatedAt, _ = IDTime(p.ID)
	}
	if w.Note.Text != "" {
		p.Text = Text{Wire: w.Note.Text, Links: w.Note.Entities.links()}
	}
	p.addArticle(in, w)
	for _, key := range w.Attachments.MediaKeys {
		if key != "" && !slices.ContainsFunc(p.Media, func(m Media) bool { return m.Key == key }) {
			p.Media = append(p.Media, p.readMedia(in, key))
		}
	}
	p.Text.markOwn(p.Media)
	for _, id := range w.Attachments.PollIDs {
		if !slices.ContainsFunc(p.Polls, func(poll Poll) bool { return poll.ID == id }) {
			p.addPoll(id, in.polls.byID[id])
		}
	}
	if id := w.Geo.PlaceID; id != "" {
		p.Place, p.PlaceUnnamed = id, true
		if place := in.places.byID[id]; place != nil {
			p.Place, p.PlaceUnnamed = cmp.Or(place.value.FullName, id), place.value.FullName == ""
			p.Problems = append(p.Problems, place.named("place "+id)...)
		}
	}
	for _, r := range w.Referenced {
		if in.made > maxReferred || len(p.References) >= maxReferred {
			in.made = maxReferred + 1
			break
		}
		ref := Reference{Type: r.Type, ID: r.ID}
		if slices.ContainsFunc(p.References, func(o Reference) bool { return o.Type == r.Type && o.ID == r.ID }) {
			continue
		}
		if included := in.tweets.byID[r.ID]; included != nil && depth < maxDepth {
			ref.Post = in.make(included, depth+1)
		} else if ref.Why = in.why(r.ID); ref.Why == "" && depth >= lookupDepth {
			ref.Why = TooDeep
		}
		p.References = append(p.References, ref)
	}
	p.Notice = p.noticed()
	return p
}

// why returns X's reason for not sending a post; "" if it gave none.
func (in *includes) why(id string) string {
	for _, problem := range in.problems {
		if problem.value.ResourceID == id || problem.value.Value == id {
			return problem.value.Reason()
		}
	}
	return ""
}

// note keeps the handles that a post names, for users that X did not send.
func (in *includes) note(w wirePost) {
	for _, mentions := range [][]wireMention{w.Entities.Mentions, w.Note.Entities.Mentions} {
		for _, m := range mentions {
			if m.ID != "" && in.handles[m.ID] == "" {
				in.handles[m.ID] = m.Username
			}
		}
	}
}

// TooDeep says why a reference has no post where nobody asked X for it.
const TooDeep = "it is further away than this archive follows"

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

// user returns the user of that id: where X did not include it with nothing but the
// id, and the handle if a post mentions it.
func (in *includes) user(id string) User {
	if u := in.users.byID[id]; u != nil {
		return User(u.value)
	}
	return User{ID: id, Username: in.handles[id]}
}

func (e wireEntities) links() []Link {
	var out []Link
	for _, u := range e.URLs {
		out = append(out, Link{Kind: PlainURL, Start: u.Start, End: u.End, URL: u.URL,
			Words: u.URL, Expanded: u.ExpandedURL, Final: u.UnwoundURL, Target: cmp.Or(u.UnwoundURL, u.ExpandedURL, u.URL),
			Display: u.DisplayURL, Title: u.Title, Description: u.Description, MediaKey: u.MediaKey})
	}
	for _, m := range e.Mentions {
		out = append(out, Link{Kind: Mention, Start: m.Start, End: m.End, Words: "@" + m.Username, Target: "https://x.com/" + url.PathEscape(m.Username)})
	}
	for _, h := range e.Hashtags {
		out = append(out, Link{Kind: Hashtag, Start: h.Start, End: h.End, Words: "#" + h.Tag, Target: "https://x.com/hashtag/" + url.PathEscape(h.Tag)})
	}
	for _, c := range e.Cashtags {
		out = append(out, Link{Kind: Cashtag, Start: c.Start, End: c.End, Words: "$" + c.Tag, Target: "https://x.com/search?q=%24" + url.QueryEscape(c.Tag)})
	}
	return out
}

// markOwn marks the addresses that only stand for the post's own media.
func (t Text) markOwn(media []Media) {
	for i, l := range t.Links {
		t.Links[i].Own = slices.ContainsFunc(media, func(m Media) bool { return l.MediaKey != "" && m.Key == l.MediaKey }) ||
			l.Kind == PlainURL && len(media) > 0 && (strings.HasPrefix(l.Display, "pic.x.com/") || strings.HasPrefix(l.Display, "pic.twitter.com/"))
	}
}

// readMedia returns a media of the post by its key.
func (p *Post) readMedia(in *includes, key string) Media {
	o := in.media.byID[key]
	if o == nil {
		return Media{Key: key, Type: "unknown"}
	}
	w := o.value
	m := Media{Key: key, Type: cmp.Or(w.Type, "unknown"), URL: w.URL, PreviewURL: w.PreviewURL, AltText: w.AltText,
		Width: w.Width, Height: w.Height, Duration: time.Duration(w.DurationMS) * time.Millisecond}
	for _, v := range w.Variants {
		m.Variants = append(m.Variants, Variant(v))
	}
	p.Problems = append(p.Problems, o.named("media "+key)...)
	return m
}

// addArticle adds the post's article. One without a title still has its text.
func (p *Post) addArticle(in *includes, w wirePost) {
	a := w.Article
	whole := cmp.Or(a.PlainText, a.Text)
	if a.Title == "" && whole == "" && a.Preview == "" && a.CoverMedia == "" && len(a.MediaEntities) == 0 {
		return
	}
	p.Article = &Article{Title: a.Title, Text: cmp.Or(whole, a.Preview), Beginning: whole == "" && a.Preview != ""}
	if a.CoverMedia != "" {
		cover := p.readMedia(in, a.CoverMedia)
		p.Article.Cover = &cover
	}
	for _, key := range a.MediaEntities {
		if key != "" && key != a.CoverMedia && !slices.ContainsFunc(p.Article.Media, func(m Media) bool { return m.Key == key }) {
			p.Article.Media = append(p.Article.Media, p.readMedia(in, key))
		}
	}
	for _, u := range a.Entities.URLs {
		if u.Text != "" && !slices.Contains(p.Article.Links, u.Text) {
			p.Article.Links = append(p.Article.Links, u.Text)
		}
	}
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
