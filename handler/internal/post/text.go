package post

import (
	"cmp"
	"strings"
)

// Text is a post's text with what X found in it. X escapes &, < and > in the
// text it sends, and counts entity positions in code points of that escaped
// text.
type Text struct {
	Wire  string // as X sent it
	Links []Link // in the order of the text
}

// LinkKind says what a part of a text stands for.
type LinkKind int

const (
	PlainURL LinkKind = iota // a t.co address
	Mention
	Hashtag
	Cashtag
)

// Link is a part of a text that leads somewhere.
type Link struct {
	Kind        LinkKind
	Start       int    // code points in Wire, inclusive
	End         int    // code points in Wire, exclusive
	Words       string // what must stand there: the t.co address, @handle, #tag, $TAG
	URL         string // t.co address, for PlainURL
	Expanded    string // the address that the author gave, for PlainURL; may be empty
	Final       string // where that led when X read it, for PlainURL; may be empty
	Target      string // where the link leads: the last of these that is known
	Display     string // how X shows it, for PlainURL; may be empty
	Title       string // title of the page behind it, where X has read it
	Description string // the page's own, where X has read it
	MediaKey    string // set where the address stands for media
	Own         bool   // the address only stands for the post's own media: X's page does not show it
}

// Shown returns the words that X's page shows for an address.
func (l Link) Shown() string {
	if l.Own {
		return ""
	}
	return cmp.Or(l.Display, l.Expanded, l.URL)
}

// unescape undoes the three escapes that X makes, and no others: an author who
// wrote "&copy;" wrote those six characters.
func unescape(s string) string { return escapes.Replace(s) }

var escapes = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")

// Plain returns the text as its author wrote it: unescaped, nothing else changed.
func (t Text) Plain() string { return unescape(t.Wire) }

// Span is a stretch of a text, unescaped; Link is nil for plain text.
type Span struct {
	Text string
	Link *Link
}

// Spans cuts the text at its links. The spans' texts put together are Plain().
// X's positions are not to be trusted blindly: a link is where its words are, at
// X's position or else at the nearest place that has them and no other link. A
// link whose words are nowhere is left out.
func (t Text) Spans() []Span {
	runes := []rune(t.Wire)
	var out []Span
	at := 0
	plain := func(to int) {
		if to > at {
			out = append(out, Span{Text: unescape(string(runes[at:to]))})
		}
	}
	for _, l := range t.placed(runes) {
		plain(l.Start)
		out = append(out, Span{Text: unescape(string(runes[l.Start:l.End])), Link: &l})
		at = l.End
	}
	plain(len(runes))
	return out
}

// ShownSpans cuts the text as X's page shows it: an address in X's short form, and
// none that only stands for the post's own media.
func (t Text) ShownSpans() []Span {
	var out []Span
	for _, s := range t.Spans() {
		if s.Link == nil || s.Link.Kind != PlainURL {
			out = append(out, s)
			continue
		}
		if s.Link.Own {
			if n := len(out); n > 0 && out[n-1].Link == nil {
				out[n-1].Text = strings.TrimSuffix(out[n-1].Text, " ")
			}
			continue
		}
		if s.Text == unescape(s.Link.URL) { // and not words of a notice
			s.Text = s.Link.Shown()
		}
		out = append(out, s)
	}
	return out
}

// Shown returns the text as X's page shows it.
func (t Text) Shown() string {
	var b strings.Builder
	for _, s := range t.ShownSpans() {
		b.WriteString(s.Text)
	}
	return b.String()
}

// Preview returns the first n code points of the text, as X's page shows it, on one
// line.
func (t Text) Preview(n int) string { return Preview(t.Shown(), n) }

// Preview returns the first n code points of a text on one line.
func Preview(text string, n int) string {
	line := strings.Join(strings.Fields(text), " ")
	if r := []rune(line); len(r) > n {
		return strings.TrimSpace(string(r[:n-1])) + "…"
	}
	return line
}
