package post

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

type wireUser struct {
	ID       string `json:"id"`
	Username string `json:"username"`
	Name     string `json:"name"`
	PhotoURL string `json:"profile_image_url"`
}

type wireEntities struct {
	URLs []struct {
		Start, End  int
		URL         string `json:"url"`
		ExpandedURL string `json:"expanded_url"`
		UnwoundURL  string `json:"unwound_url"`
		DisplayURL  string `json:"display_url"`
		Title       string `json:"title"`
		MediaKey    string `json:"media_key"`
	} `json:"urls"`
	Mentions []struct {
		Start, End int
		Username   string `json:"username"`
	} `json:"mentions"`
	Hashtags []struct {
		Start, End int
		Tag        string `json:"tag"`
	} `json:"hashtags"`
	Cashtags []struct {
		Start, End int
		Tag        string `json:"tag"`
	} `json:"cashtags"`
}

// object is a JSON object read member by member, so that one member of an
// unexpected type costs that member and not the post.
type object struct {
	members  map[string]json.RawMessage
	problems *[]string
	name     string
}

func readObject(raw json.RawMessage, name string, problems *[]string) object {
	o := object{problems: problems, name: name}
	if err := json.Unmarshal(raw, &o.members); err != nil {
		*problems = append(*problems, fmt.Sprintf("%s: %v", name, err))
	}
	return o
}

// get reads a member into dst; an absent or null member leaves dst alone.
func (o object) get(member string, dst any) {
	raw, ok := o.members[member]
	if !ok {
		return
	}
	if err := json.Unmarshal(raw, dst); err != nil {
		*o.problems = append(*o.problems, fmt.Sprintf("%s.%s: %v", o.name, member, err))
	}
}

func (o object) time(member string) time.Time {
	var s string
	o.get(member, &s)
	if s == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		*o.problems = append(*o.problems, fmt.Sprintf("%s.%s: %v", o.name, member, err))
	}
	return t.UTC()
}

// Parse reads a document. It fails only if the document is not JSON or its
// post has no usable id; members it cannot read are named in Post.Problems.
// A post without created_at gets the time that is in its id.
func Parse(document []byte) (*Post, error) {
	var e envelope
	if err := json.Unmarshal(document, &e); err != nil {
		return nil, fmt.Errorf("reading a post's document: %w", err)
	}
	l, err := readLinks(e.Data)
	if err != nil {
		return nil, fmt.Errorf("reading a post's document: %w", err)
	}
	p := newIncludes(e).parse(e.Data, 0)
	if p.CreatedAt.IsZero() {
		return nil, fmt.Errorf("post %s has no creation time, neither created_at nor in its id", l.ID)
	}
	return p, nil
}

// maxDepth bounds how far references are followed: a document put together by hand
// may lead round in a circle.
const maxDepth = 3

func (in *includes) parse(raw json.RawMessage, depth int) *Post {
	p := &Post{}
	o := readObject(raw, "post", &p.Problems)
	o.get("id", &p.ID)
	p.CreatedAt = o.time("created_at")
	if p.CreatedAt.IsZero() {
		p.CreatedAt, _ = IDTime(p.ID)
	}
	var author, replyTo string
	o.get("author_id", &author)
	o.get("in_reply_to_user_id", &replyTo)
	p.Author, p.InReplyToUser = in.user(author), in.user(replyTo)
	o.get("conversation_id", &p.ConversationID)
	o.get("lang", &p.Language)
	o.get("source", &p.Source)
	o.get("possibly_sensitive", &p.Sensitive)
	o.get("edit_history_tweet_ids", &p.EditHistory)
	var metrics struct {
		Likes int `json:"like_count"`
	}
	o.get("public_metrics", &metrics)
	p.Likes = metrics.Likes

	o.get("text", &p.Text.Wire)
	var entities wireEntities
	o.get("entities", &entities)
	var note struct {
		Text     string       `json:"text"`
		Entities wireEntities `json:"entities"`
	}
	if o.get("note_tweet", &note); note.Text != "" {
		p.Text.Wire, entities = note.Text, note.Entities
	}
	p.Text.Links = entities.links()

	var article struct {
		Title     string `json:"title"`
		PlainText string `json:"plain_text"`
		Text      string `json:"text"`
		Preview   string `json:"preview_text"`
	}
	if o.get("article", &article); article.Title != "" {
		p.Article = &Article{Title: article.Title, Text: cmp.Or(article.PlainText, article.Text, article.Preview)}
	}
	if w := o.members["withheld"]; w != nil {
		p.Withheld = withheld(w)
	}

	var att struct {
		MediaKeys []string `json:"media_keys"`
		PollIDs   []string `json:"poll_ids"`
	}
	o.get("attachments", &att)
	for _, key := range att.MediaKeys {
		p.Media = append(p.Media, in.readMedia(key, &p.Problems))
	}
	for _, id := range att.PollIDs {
		p.Polls = append(p.Polls, in.readPoll(id, &p.Problems))
	}
	var geo struct {
		PlaceID string `json:"place_id"`
	}
	if o.get("geo", &geo); geo.PlaceID != "" {
		p.Place = geo.PlaceID
		if raw := in.places.raw[geo.PlaceID]; raw != nil {
			readObject(raw, "place", &p.Problems).get("full_name", &p.Place)
		}
	}

	var refs []struct {
		Type RefType `json:"type"`
		ID   string  `json:"id"`
	}
	o.get("referenced_tweets", &refs)
	for _, r := range refs {
		ref := Reference{Type: r.Type, ID: r.ID}
		if raw := in.tweets.raw[r.ID]; raw != nil && depth < maxDepth {
			ref.Post = in.parse(raw, depth+1)
		}
		p.References = append(p.References, ref)
	}
	return p
}

func (in *includes) user(id string) User {
	u := wireUser{}
	if raw := in.users.raw[id]; raw != nil {
		_ = json.Unmarshal(raw, &u) // the id is known; a user X sent in another form has no more
	}
	u.ID = id
	return User(u)
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

func (in *includes) readMedia(key string, problems *[]string) Media {
	m := Media{Key: key, Type: "unknown"}
	raw := in.media.raw[key]
	if raw == nil {
		return m
	}
	o := readObject(raw, "media "+key, problems)
	o.get("type", &m.Type)
	o.get("url", &m.URL)
	o.get("preview_image_url", &m.PreviewURL)
	o.get("alt_text", &m.AltText)
	o.get("width", &m.Width)
	o.get("height", &m.Height)
	var ms int64
	o.get("duration_ms", &ms)
	m.Duration = time.Duration(ms) * time.Millisecond
	var variants []struct {
		BitRate     int    `json:"bit_rate"`
		ContentType string `json:"content_type"`
		URL         string `json:"url"`
	}
	o.get("variants", &variants)
	for _, v := range variants {
		m.Variants = append(m.Variants, Variant(v))
	}
	return m
}

func (in *includes) readPoll(id string, problems *[]string) Poll {
	p := Poll{ID: id}
	raw := in.polls.raw[id]
	if raw == nil {
		return p
	}
	o := readObject(raw, "poll "+id, problems)
	var options []struct {
		Label string `json:"label"`
		Votes int    `json:"votes"`
	}
	o.get("options", &options)
	for _, opt := range options {
		p.Options = append(p.Options, PollOption(opt))
	}
	o.get("voting_status", &p.Status)
	p.Ends = o.time("end_datetime")
	return p
}

func withheld(raw json.RawMessage) string {
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
