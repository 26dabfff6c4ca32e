package message

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"xarchive/handler/internal/post"
)

// view is a post as a person reads it; text and HTML both show a view.
type view struct {
	Notice   []string // what a supplement is, and that the post is another account's; nil for the message of an account's own post
	Label    string   // what the post is to the one it is shown with; "" for the message's own
	Kind     string   // Tweet, Retweet, Reply, Quote, Mention
	Author   string   // Name (@handle)
	Name     string
	Handle   string // @handle; "" if X did not give it
	Initials string
	Date     string
	URL      string
	Repeats  bool        // the text only repeats that of the post below
	NoText   string      // says that the text is a notice of X's, or not all of the text; "" for the author's text
	Text     []post.Span // as X's page shows it
	Plain    string      // the same in one piece
	Links    []linkView
	Media    []mediaView
	Polls    []pollView
	Article  *articleView
	Notes    []string // place, version, and what else a reader has to know
	Context  []view   // the posts it answers, repeats or quotes
	Shade    string   // colour of its box, another than that of the box round it
	Gone     string   // why X did not send the post, where it did not
	Foot     []string // what the message is derived from; of the message's own post only
	Language string
}

// linkView is an address in the text and where it leads.
type linkView struct {
	Chain       []string // t.co address, the author's address, where that led
	Title       string   // of the page; "" where X has not read it
	Description string
	Domain      string // of the page
	Target      string // the last of Chain if it is a web address, or ""
}

type articleView struct {
	Title     string
	Text      string
	Beginning bool // X gave only the beginning of the text
	Cover     *mediaView
	Media     []mediaView
	Links     []string
}

type pollView struct {
	ID      string
	Options []pollOption
	State   string
}

type pollOption struct {
	Label   string
	Votes   int
	Percent int
}

// viewer makes views of a post and the posts it refers to.
type viewer struct {
	media  shownMedia
	absent absent
}

// absent is what is said of media that are not in the message and of which it states
// nothing.
type absent int

const (
	nameAll  absent = iota // they are named
	nameNone               // they are another message's, and not named
	earlier                // they are named as those of an earlier message
)

// mediaView is what a message says of media that it has not.
func (s Supplement) mediaView() absent {
	switch {
	case s.Name == "":
		return nameAll
	case IsVersion(s.Name):
		return earlier
	}
	return nameNone
}

// newView returns the view of a post whose media are in the message as media says; of
// one that is not in media absent tells what to say.
func newView(p *post.Post, notice []string, absent absent, media shownMedia) view {
	v := viewer{media, absent}.view(p, 0)
	v.Notice = append(mentionNotice(p), notice...)
	return v
}

// maxContext bounds how far a chain of references is shown.
const maxContext = 3

func (w viewer) view(p *post.Post, depth int) view {
	v := view{
		Kind: string(p.Kind()), Author: displayName(p.Author), Name: oneLine(p.Author.Name), Handle: at(p.Author), Initials: initials(p.Author),
		Date: showTime(p.CreatedAt), URL: p.URL(), Text: p.Text.ShownSpans(), Plain: p.Text.Shown(), Language: p.Language,
	}
	if p.Author.Username == "" {
		v.Name, v.Handle = displayName(p.Author), ""
	}
	if p.Notice {
		v.NoText = noticeLead
	}
	if lead := cutLead(p); lead != "" {
		v.NoText = lead
	}
	var original post.Post // of a repost: what it shows is not shown twice
	if r := p.Ref(post.Retweeted); r != nil && r.Post != nil {
		v.Repeats, original = true, *r.Post
	}
	for _, m := range p.Media {
		if !slices.ContainsFunc(original.Media, func(o post.Media) bool { return o.Key == m.Key }) {
			v.Media = w.add(v.Media, m, depth)
		}
	}
	below := links(original.Text)
	v.Links = slices.DeleteFunc(links(p.Text), func(l linkView) bool {
		return slices.ContainsFunc(below, func(b linkView) bool { return slices.Equal(b.Chain, l.Chain) })
	})
	v.Article = w.article(p.Article, depth)
	for _, poll := range p.Polls {
		v.Polls = append(v.Polls, viewPoll(poll))
	}
	v.Notes = notes(p)
	for _, r := range p.References {
		if depth >= maxContext && r.Post != nil {
			r.Post, r.Why = nil, post.TooDeep
		}
		v.Context = append(v.Context, w.reference(r, depth))
	}
	return v
}

// PictureHeight is how high a picture may be in print, in millimetres: so that a post with
// some pictures, and the posts that it shows, is one printed page where they leave room.
func (v view) PictureHeight() int {
	const page, perPost, perPicture = 235, 34, 15 // what is around pictures, as a browser prints it
	posts, pictures := v.count()
	return max(34, min(110, (page-perPost*posts)/max(pictures, 1)-perPicture))
}

// count returns how many posts and pictures a view shows.
func (v view) count() (posts, pictures int) {
	media := v.Media
	if a := v.Article; a != nil {
		media = append(slices.Clone(media), a.Media...)
		if a.Cover != nil {
			media = append(media, *a.Cover)
		}
	}
	for _, m := range media {
		if m.CID != "" {
			pictures++
		}
	}
	for _, c := range v.Context {
		p, n := c.count()
		posts, pictures = posts+p, pictures+n
	}
	return posts + 1, pictures
}

// links lists the addresses of a text, each once, with what X knows of them.
func links(t post.Text) []linkView {
	var out []linkView
	var seen []string
	for _, l := range t.Links {
		if l.Kind != post.PlainURL || slices.Contains(seen, l.URL) {
			continue
		}
		seen = append(seen, l.URL)
		v := linkView{Title: oneLine(l.Title), Description: oneLine(l.Description)}
		for _, address := range []string{l.URL, l.Expanded, l.Final} {
			if address = oneLine(address); address != "" && !slices.Contains(v.Chain, address) {
				v.Chain = append(v.Chain, address)
			}
		}
		if u, err := url.Parse(l.Target); err == nil && isWeb(l.Target) {
			v.Target, v.Domain = l.Target, strings.TrimPrefix(u.Hostname(), "www.")
		}
		if len(v.Chain) > 1 || v.Title != "" || v.Description != "" || len(v.Chain) == 1 && l.Shown() != l.URL {
			out = append(out, v)
		}
	}
	return out
}

// isWeb reports whether an address can be opened in a browser without harm.
func isWeb(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

func (w viewer) article(a *post.Article, depth int) *articleView {
	if a == nil {
		return nil
	}
	v := &articleView{Title: oneLine(a.Title), Text: a.Body(), Beginning: a.Beginning}
	if a.Cover != nil {
		if cover := w.add(nil, *a.Cover, depth); cover != nil {
			v.Cover = &cover[0]
		}
	}
	for _, m := range a.Media {
		v.Media = w.add(v.Media, m, depth)
	}
	for _, address := range a.Links {
		v.Links = append(v.Links, oneLine(address))
	}
	return v
}

var labels = map[post.RefType]string{post.RepliedTo: "In reply to", post.Quoted: "Quoted post", post.Retweeted: "Retweeted post"}

func (w viewer) reference(r post.Reference, depth int) view {
	label := cmp.Or(labels[r.Type], capital(cmp.Or(strings.ReplaceAll(oneLine(string(r.Type)), "_", " "), "refers to")))
	shade := [2]string{"#f6f7f8", "#e8ecef"}[depth%2]
	if r.Post == nil {
		gone := view{Label: label, Shade: shade, Gone: cmp.Or(oneLine(r.Why), "X did not send it, and gave no reason")}
		if r.ID != "" {
			gone.URL = "https://x.com/i/status/" + url.PathEscape(r.ID)
		}
		return gone
	}
	c := w.view(r.Post, depth+1)
	c.Label, c.Shade = label, shade
	return c
}

func viewPoll(p post.Poll) pollView {
	v := pollView{ID: oneLine(p.ID), State: "votes when it was archived"}
	if p.Status != "" {
		v.State = oneLine(p.Status) + ", " + v.State
	}
	if !p.Ends.IsZero() {
		v.State += ", ends " + showTime(p.Ends)
	}
	total := 0
	for _, o := range p.Options {
		total += o.Votes
	}
	for _, o := range p.Options {
		option := pollOption{Label: oneLine(o.Label), Votes: o.Votes}
		if total > 0 {
			option.Percent = (200*o.Votes + total) / (2 * total)
		}
		v.Options = append(v.Options, option)
	}
	return v
}
