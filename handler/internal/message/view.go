package message

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"xarchive/handler/internal/post"
)

// view is a post as a person reads it; text and HTML both show a view.
type view struct {
	Notice   []string // what a supplement is; nil for a post's own message
	Label    string   // what the post is to the one it is shown with; "" for the message's own
	Kind     string   // Tweet, Retweet, Reply, Quote
	Author   string   // Name (@handle)
	Date     string
	URL      string
	Text     []post.Span
	Plain    string
	Links    []post.Link // addresses of the text that lead elsewhere
	Media    []mediaView
	Polls    []pollView
	Article  *post.Article
	Notes    []string // place, version, and what else a reader has to know
	Context  []view   // the posts it answers, repeats or quotes
	Gone     string   // why X did not send the post, where it did not
	Language string
}

type mediaView struct {
	Word    string // photo, video, …
	CID     string // of the picture shown; "" where there is none to show
	Name    string
	Alt     string
	Size    string // in pixels, and the length of a video
	Missing string // why it is not in the message
	Kept    string // which copy is, and why not a better one; "" for the best
}

type pollView struct {
	Options []pollOption
	State   string
}

type pollOption struct {
	Label   string
	Votes   int
	Percent int
}

// shownMedia says by media key how each media file is in a message.
type shownMedia map[string]mediaState

type mediaState struct {
	name, cid     string // of the file; "" if it is named nowhere
	missing, kept string // statements; "" if there is none
}

func mediaOf(attachments []Attachment) shownMedia {
	media := shownMedia{}
	for _, a := range attachments {
		var s mediaState
		if a.Body == nil {
			s.missing = missingStatement(a)
		} else {
			s.name, s.kept = a.Name, keptStatement(a)
			if shownInline(a.Type) {
				s.cid = contentID(a.Media)
			}
		}
		media[a.Media.Key] = s
	}
	return media
}

// newView returns the view of a post whose media are in the message as media says.
// A medium that is not in media is named only, in a supplement (which has a notice)
// not at all: it is another message's.
func newView(p *post.Post, notice []string, media shownMedia) view {
	v := viewOf(p, media, len(notice) > 0, 0)
	v.Notice = notice
	return v
}

// maxContext bounds how far a chain of quotes is shown.
const maxContext = 3

func viewOf(p *post.Post, media shownMedia, only bool, depth int) view {
	v := view{
		Kind: string(p.Kind()), Author: displayName(p.Author), Date: showTime(p.CreatedAt), URL: p.URL(),
		Text: p.Text.Spans(), Plain: p.Text.Plain(), Article: p.Article, Language: p.Language,
	}
	for _, l := range p.Text.Links {
		again := slices.ContainsFunc(v.Links, func(x post.Link) bool { return x.URL == l.URL })
		if l.Kind == post.PlainURL && l.MediaKey == "" && l.Target != l.URL && l.Target != "" && !again {
			v.Links = append(v.Links, l)
		}
	}
	for _, m := range p.Media {
		if state, ok := media[m.Key]; ok || !only {
			v.Media = append(v.Media, viewMedia(m, state))
		}
	}
	for _, poll := range p.Polls {
		v.Polls = append(v.Polls, viewPoll(poll))
	}
	v.Notes = notes(p)
	for _, r := range p.References {
		if depth == maxContext || depth > 0 && r.Post == nil { // X sends only what the post itself refers to
			continue
		}
		v.Context = append(v.Context, viewReference(r, media, only, depth))
	}
	return v
}

var labels = map[post.RefType]string{post.RepliedTo: "In reply to", post.Quoted: "Quoted post", post.Retweeted: "Retweeted post"}

func viewReference(r post.Reference, media shownMedia, only bool, depth int) view {
	label := cmp.Or(labels[r.Type], capital(cmp.Or(strings.ReplaceAll(string(r.Type), "_", " "), "refers to")))
	if r.Post == nil {
		return view{Label: label, URL: "https://x.com/i/status/" + r.ID,
			Gone: "X did not send this post: it is deleted, protected or withheld"}
	}
	if r.Type == post.RepliedTo {
		media = nil // they are another's, shown where that post is archived
	}
	c := viewOf(r.Post, media, only, depth+1)
	c.Label = label
	return c
}

func viewMedia(m post.Media, s mediaState) mediaView {
	v := mediaView{Word: mediaWord(m.Type), Alt: m.AltText, CID: s.cid, Name: s.name, Missing: s.missing, Kept: s.kept}
	if m.Width > 0 && m.Height > 0 {
		v.Size = fmt.Sprintf("%d × %d", m.Width, m.Height)
	}
	if m.Duration > 0 {
		v.Size = strings.TrimPrefix(v.Size+", "+m.Duration.Round(100*time.Millisecond).String(), ", ")
	}
	return v
}

func mediaWord(kind string) string {
	switch kind {
	case "photo", "video":
		return kind
	case "animated_gif":
		return "animated GIF"
	}
	return "media file"
}

func viewPoll(p post.Poll) pollView {
	v := pollView{State: "votes when it was archived"}
	if p.Status != "" {
		v.State = p.Status + ", " + v.State
	}
	if !p.Ends.IsZero() {
		v.State += ", ends " + showTime(p.Ends)
	}
	total := 0
	for _, o := range p.Options {
		total += o.Votes
	}
	for _, o := range p.Options {
		option := pollOption{Label: o.Label, Votes: o.Votes}
		if total > 0 {
			option.Percent = (200*o.Votes + total) / (2 * total)
		}
		v.Options = append(v.Options, option)
	}
	return v
}

// notes returns the facts about a post that its text does not tell.
func notes(p *post.Post) []string {
	var out []string
	if n := p.Version(); n > 1 || len(p.EditHistory) > 1 {
		note := fmt.Sprintf("Version %d of %d of an edited post", n, len(p.EditHistory))
		if earlier := p.EarlierVersions(); len(earlier) > 0 {
			note += "; earlier: " + strings.Join(earlier, ", ")
		}
		out = append(out, note)
	}
	if p.InReplyToUser.ID != "" && p.Ref(post.RepliedTo) != nil && p.Ref(post.RepliedTo).Post == nil {
		out = append(out, "In reply to a post of "+at(p.InReplyToUser))
	}
	if p.Place != "" {
		out = append(out, "Place: "+oneLine(p.Place))
	}
	if p.Sensitive {
		out = append(out, "X marks this post as possibly sensitive")
	}
	if p.Withheld != "" {
		out = append(out, "X withholds this post: "+oneLine(p.Withheld))
	}
	return out
}

func showTime(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04:05 UTC") }
