package message

import (
	"strings"

	"xarchive/handler/internal/post"
)

// subjectLength bounds what a subject quotes, in code points.
const subjectLength = 78

// noticeLead says that what follows are not the author's words.
const noticeLead = "X did not give this post's text; in its place it gave this notice:"

// subject says what a post is, in visible characters: its words; without words the title
// or address that it links to, or what it shows; without any of that its kind and id. Of
// a repost, quote or reply it also says whose post it repeats, quotes or answers; of
// another account's post, whose it is and whom it mentions.
func subject(p *post.Post) string {
	if p.Kind() == post.Mentioning {
		return "Mention of " + at(p.Mentions) + " by " + at(p.Author) + ": " + titleOf(p)
	}
	if r := p.Ref(post.Retweeted); r != nil && r.Post != nil {
		return "Retweet of " + at(r.Post.Author) + ": " + titleOf(r.Post)
	}
	title := headline(p)
	if title == "" {
		return nameOf(p)
	}
	switch {
	case cutLead(p) != "" && p.Export.Repost:
		return "Retweet, beginning only: " + title
	case cutLead(p) != "":
		return "Beginning only: " + title
	}
	switch p.Kind() {
	case post.Reply:
		return join("Reply", "to", p.Ref(post.RepliedTo), p.InReplyToUser, title)
	case post.Quote:
		return join("Quote", "of", p.Ref(post.Quoted), post.User{}, title)
	}
	return title
}

// join is the subject of a post that answers or quotes another, with that one's author
// if the handle is known.
func join(kind, word string, r *post.Reference, author post.User, title string) string {
	if r.Post != nil {
		author = r.Post.Author
	}
	if author.Username != "" {
		kind += " " + word + " " + at(author)
	}
	return kind + ": " + title
}

func titleOf(p *post.Post) string {
	if title := headline(p); title != "" {
		return title
	}
	return nameOf(p)
}

func nameOf(p *post.Post) string { return string(p.Kind()) + " " + p.ID }

// headline is the post's own part of a subject; "" if there is nothing to say.
func headline(p *post.Post) string {
	if p.Notice {
		return noticeLead + " " + post.Preview(visible(p.Text.Shown()), subjectLength)
	}
	if a := p.Article; a != nil {
		if title := visible(a.Title); title != "" {
			return post.Preview(title, subjectLength)
		}
		if text := visible(a.Body()); text != "" {
			return post.Preview(text, subjectLength)
		}
	}
	if text := words(p); text != "" {
		return post.Preview(text, subjectLength)
	}
	for _, l := range p.Text.Links {
		if title := visible(l.Title); l.Kind == post.PlainURL && title != "" {
			return post.Preview(title, subjectLength)
		}
	}
	if len(p.Media) > 0 {
		return capital(mediaWord(p.Media[0].Type))
	}
	for _, l := range p.Text.Links {
		if l.Kind == post.PlainURL && !l.Own && !quotes(p, l) && l.Target != "" {
			return post.Preview(visible(l.Target), subjectLength)
		}
	}
	return ""
}

// words returns the post's text for a subject, "" if it is nothing but addresses. The
// names before a reply's words, and the address of the quoted post, say nothing that
// the subject does not say anyway.
func words(p *post.Post) string {
	var text strings.Builder
	said, before := false, answers(p)
	for _, s := range p.Text.ShownSpans() {
		switch link := s.Link; {
		case link != nil && link.Kind == post.PlainURL:
			before = false
			if quotes(p, *link) {
				continue
			}
		case link != nil && link.Kind == post.Mention && before:
			continue
		case visible(s.Text) != "":
			said, before = true, false
		}
		text.WriteString(s.Text)
	}
	if !said {
		return ""
	}
	return visible(text.String())
}

// quotes reports whether a link leads to the post that is quoted.
func quotes(p *post.Post, l post.Link) bool {
	r := p.Ref(post.Quoted)
	return r != nil && strings.HasSuffix(strings.TrimRight(l.Expanded, "/"), "/status/"+r.ID)
}

// Preview returns the beginning of a post's text, at most n code points; of a text
// without anything visible what a subject says instead. Of a notice that X gave in
// place of the text it says that it is one.
func Preview(p *post.Post, n int) string {
	switch {
	case p.Notice:
		return post.Preview(noticeLead+" "+p.Text.Shown(), n)
	case visible(p.Text.Shown()) == "":
		return post.Preview(subject(p), n)
	}
	return p.Text.Preview(n)
}
