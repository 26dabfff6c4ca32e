package post

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// ExportSource marks the document of a post that X's own data export has: its member
// source.
const ExportSource = "export"

// Export says what of a post is peculiar because it comes from X's own data export, in
// which X gives less of it than by its API.
type Export struct {
	File      string    // data file that has the post, such as data/tweets.js
	Deleted   bool      // it stands among the deleted posts
	DeletedAt time.Time // UTC; when it was deleted; zero if the export does not say
	Repost    bool      // it begins as a repost does, of which the export has only the beginning
	Cut       bool      // X says, or the text looks, as if it were cut off, and the whole is not there
	Undecided int       // long texts in the export that may each be this post's; none was taken
	Links     bool      // it links to a post; whether it quotes it the export does not say
	Circle    bool      // it was shared with a Circle only
}

// Exported is a post as X's data export has it, each object byte for byte.
type Exported struct {
	Account   User            // whose export it is: ID, Username, Name
	File      string          // data file that has the post
	Tweet     json.RawMessage // the post
	Note      json.RawMessage // the long text that is certainly its own; nil if there is none
	Undecided int             // long texts that may be its own, of which none certainly is

	Article, ArticleMetadata json.RawMessage // nil if there is none

	Deleted   bool
	DeletedAt string // where another file than the post's says it; "" otherwise

	Media        []string // paths in the export of the post's files
	ArticleMedia []string // and of its article's
}

// Document returns the post's document:
//
//	{"source":"export","file":…,"tweet":{…},"note":{…},"article":{…},"account":{…},…}
//
// tweet, note, article and articleMetadata are the export's own bytes; the rest is the
// connector's word for where they stand in it. It has no member data: versions of the
// connector that know no exports refuse it, and do not take it for a post without text.
func (x Exported) Document() Document {
	var b bytes.Buffer
	b.WriteString(`{"source":` + string(quoted(ExportSource)) + `,"file":` + string(quoted(x.File)))
	raw := func(name string, value []byte) {
		if value != nil {
			fmt.Fprintf(&b, `,%s:%s`, quoted(name), value)
		}
	}
	said := func(name string, value any, there bool) {
		if text, err := json.Marshal(value); err == nil && there { // strings and numbers can always be written
			raw(name, text)
		}
	}
	raw("tweet", x.Tweet)
	raw("note", x.Note)
	raw("article", x.Article)
	raw("articleMetadata", x.ArticleMetadata)
	said("account", exportAccount{x.Account.ID, x.Account.Username, x.Account.Name}, true)
	said("undecided", x.Undecided, x.Undecided > 0)
	said("deleted", true, x.Deleted)
	said("deletedAt", x.DeletedAt, x.DeletedAt != "")
	said("media", x.Media, len(x.Media) > 0)
	said("articleMedia", x.ArticleMedia, len(x.ArticleMedia) > 0)
	b.WriteString("}")
	d := Document{ID: ExportID(x.Tweet), JSON: b.Bytes()}
	d.Post, d.Err = Parse(d.JSON)
	return d
}

type exportAccount struct {
	ID       string `json:"id"`
	Username string `json:"username"`
	Name     string `json:"name"`
}

// exportEnvelope is the outermost object of a document from X's data export.
type exportEnvelope struct {
	File            string          `json:"file"`
	Tweet           json.RawMessage `json:"tweet"`
	Note            json.RawMessage `json:"note"`
	Article         json.RawMessage `json:"article"`
	ArticleMetadata json.RawMessage `json:"articleMetadata"`
	Account         exportAccount   `json:"account"`
	Undecided       int             `json:"undecided"`
	Deleted         bool            `json:"deleted"`
	DeletedAt       string          `json:"deletedAt"`
	Media           []string        `json:"media"`
	ArticleMedia    []string        `json:"articleMedia"`
}

// ExportID returns the id of a post's object in X's data export; "" if it has none that
// can be used.
func ExportID(tweet []byte) string {
	id := readObject[exportHead](tweet).value.id()
	if CheckID(id) != nil {
		return ""
	}
	return id
}

// Why the export has no post that another refers to.
const (
	notInExport   = "X's data export has no posts of others"
	ownPost       = "it is the account's own, and has a message of its own if it was archived"
	repostUnnamed = "X's data export does not say which post it is"
)

// firstRepost is when reposts began: a text "RT @…" from before is the author's own.
// https://blog.x.com/official/en_us/a/2009/retweet-limited-rollout.html
var firstRepost = time.Date(2009, 11, 5, 0, 0, 0, 0, time.UTC)

// parseExport reads a document from X's data export.
func parseExport(document []byte) (*Post, error) {
	var e exportEnvelope
	if err := json.Unmarshal(document, &e); err != nil {
		return nil, fmt.Errorf("reading a post's document: %w", err)
	}
	o := readObject[exportTweet](e.Tweet)
	w := o.value
	if err := CheckID(w.id()); err != nil {
		return nil, fmt.Errorf("reading a post's document: %w", err)
	}
	p := &Post{ID: w.id(), Author: User{ID: e.Account.ID, Username: e.Account.Username, Name: e.Account.Name},
		InReplyToUser: User{ID: w.ReplyToUser, Username: w.ReplyToName}, Problems: o.named("post"),
		Language: w.Language, Source: w.Source, Sensitive: w.Sensitive, Likes: int(w.Likes), Place: w.Place.FullName,
		Location: location(w.Coordinates.Coordinates), Community: w.CommunityID, EditHistory: w.EditInfo.history(w.id()),
		Export: &Export{File: e.File, Deleted: e.Deleted, Undecided: e.Undecided, Circle: strings.Contains(e.File, "circle")}}
	if p.InReplyToUser.ID == "-1" {
		p.InReplyToUser.ID = ""
	}
	if p.CreatedAt = p.exportTime("post.created_at", w.CreatedAt); p.CreatedAt.IsZero() {
		p.CreatedAt, _ = IDTime(p.ID)
	}
	if p.CreatedAt.IsZero() {
		return nil, fmt.Errorf("post %s: %w", p.ID, ErrNoTime)
	}
	p.Export.DeletedAt = p.exportTime("post.deleted_at", cmp.Or(w.DeletedAt, e.DeletedAt))
	p.Text = Text{Wire: cmp.Or(w.FullText, w.Text), Links: w.Entities.links()}
	p.Export.Repost = p.CreatedAt.After(firstRepost) && isRepost.MatchString(p.Text.Wire)
	if e.Note != nil {
		note := readObject[exportNote](e.Note)
		p.Problems = append(p.Problems, note.named("note")...)
		short := p.Text.Links
		p.Text = Text{Wire: note.value.wire(p.Text.Wire), Links: note.value.links()}
		for _, l := range short { // not the address at the end, which leads to the post itself
			if strings.Contains(p.Text.Wire, l.Words) || l.Own {
				p.Text.Links = append(p.Text.Links, l)
			}
		}
	} else {
		p.Export.Cut = !p.Export.Repost && (w.Truncated || looksCut(p.Text.Wire))
	}
	p.addExportMedia(w, e.Media)
	p.Text.markOwn(p.Media)
	for i, l := range p.Text.Links {
		p.Text.Links[i].Own = l.Own || l.Kind == PlainURL && w.isMedia(l.URL)
	}
	p.addExportArticle(e)
	p.refer(w)
	return p, nil
}

// refer adds what the post says of others.
func (p *Post) refer(w exportTweet) {
	if p.Export.Repost {
		p.References = append(p.References, Reference{Type: Retweeted, Why: repostUnnamed})
		return
	}
	if id := w.ReplyTo; CheckID(id) == nil {
		why := notInExport
		if w.ReplyToUser == p.Author.ID {
			why = ownPost
		}
		p.References = append(p.References, Reference{Type: RepliedTo, ID: id, Why: why})
	}
	if id := w.Quoted; CheckID(id) == nil {
		p.References = append(p.References, Reference{Type: Quoted, ID: id, Why: notInExport})
		return
	}
	for _, l := range p.Text.Links {
		p.Export.Links = p.Export.Links || l.Kind == PlainURL && !l.Own && status.MatchString(l.Expanded)
	}
}

// exportTime reads a time as the export writes it: "Wed Oct 10 20:19:24 +0000 2018", or
// RFC 3339; "" is the zero time.
func (p *Post) exportTime(name, text string) time.Time {
	if t, err := time.Parse(time.RubyDate, text); err == nil {
		return t.UTC()
	}
	return p.time(name, text)
}

// ExportTime reads the time of a post's object in X's data export, or the one that is in
// its id; zero if it has neither.
func ExportTime(tweet []byte) time.Time {
	w, p := readObject[exportHead](tweet).value, &Post{}
	at := p.exportTime("", w.CreatedAt)
	if at.IsZero() {
		at, _ = IDTime(w.id())
	}
	return at
}
