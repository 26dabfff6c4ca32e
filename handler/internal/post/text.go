package post

import (
	"slices"
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
	Kind     LinkKind
	Start    int    // code points in Wire, inclusive
	End      int    // code points in Wire, exclusive
	URL      string // t.co address, for PlainURL
	Target   string // where it leads
	Display  string // how X shows it, for PlainURL; may be empty
	Title    string // title of the page behind it, where X has read it
	MediaKey string // set where the address stands for the post's own media
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
// Links that overlap or lie outside the text are left out, as is a PlainURL that
// is not at its positions: the positions are X's word, not to be trusted blindly.
func (t Text) Spans() []Span {
	runes := []rune(t.Wire)
	links := slices.Clone(t.Links)
	slices.SortStableFunc(links, func(a, b Link) int { return a.Start - b.Start })
	var out []Span
	at := 0
	plain := func(to int) {
		if to > at {
			out = append(out, Span{Text: unescape(string(runes[at:to]))})
		}
	}
	for i := range links {
		l := links[i]
		if l.Start < at || l.End <= l.Start || l.End > len(runes) {
			continue
		}
		piece := string(runes[l.Start:l.End])
		if l.Kind == PlainURL && unescape(piece) != unescape(l.URL) {
			continue
		}
		if l.Kind != PlainURL && cutsEscape(runes, l.Start, l.End) {
			continue
		}
		plain(l.Start)
		out = append(out, Span{Text: unescape(piece), Link: &l})
		at = l.End
	}
	plain(len(runes))
	return out
}

// cutsEscape reports whether a cut at start or end would fall inside an escape
// such as &amp;, which would then come out as two broken halves.
func cutsEscape(runes []rune, start, end int) bool {
	whole := unescape(string(runes))
	parts := unescape(string(runes[:start])) +
		unescape(string(runes[start:end])) +
		unescape(string(runes[end:]))
	return whole != parts
}

// Preview returns the first n code points of the text on one line.
func (t Text) Preview(n int) string {
	line := strings.Join(strings.Fields(t.Plain()), " ")
	if r := []rune(line); len(r) > n {
		return strings.TrimSpace(string(r[:n-1])) + "…"
	}
	return line
}
