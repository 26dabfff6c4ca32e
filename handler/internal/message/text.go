package message

import (
	"fmt"
	"strings"
)

// renderText returns the plain body. Its first lines, after a supplement's notice,
// are those of Microsoft's description of an archived item (Author, Date, Tweet).
// The text is as its author wrote it; what it stands for follows below.
func renderText(v view) string {
	var b strings.Builder
	if len(v.Notice) > 0 {
		b.WriteString(strings.Join(v.Notice, "\n") + "\n\n")
	}
	writeText(&b, v, "")
	return b.String()
}

func writeText(b *strings.Builder, v view, indent string) {
	line := func(format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		b.WriteString(strings.TrimRight(indent+strings.ReplaceAll(text, "\n", "\n"+indent), " ") + "\n")
	}
	if v.Label != "" {
		line("%s", v.Label)
	}
	if v.Gone != "" {
		line("%s", v.Gone)
		line("%s", v.URL)
		return
	}
	line("Author: %s", v.Author)
	line("Date: %s", v.Date)
	line("Tweet: %s", strings.ReplaceAll(v.Plain, "\r\n", "\n"))
	line("\n%s", v.URL)
	if v.Article != nil {
		line("\nArticle: %s\n\n%s", oneLine(v.Article.Title), v.Article.Text)
	}
	if len(v.Links) > 0 {
		line("\nLinks")
		for _, l := range v.Links {
			line("  %s -> %s", l.URL, l.Target)
		}
	}
	for _, p := range v.Polls {
		line("\nPoll (%s)", p.State)
		for _, o := range p.Options {
			line("  %3d %%  %s (%d)", o.Percent, oneLine(o.Label), o.Votes)
		}
	}
	if len(v.Media) > 0 {
		line("\nMedia")
		for _, m := range v.Media {
			line("  %s", m.line())
		}
	}
	if len(v.Notes) > 0 {
		line("\n%s", strings.Join(v.Notes, "\n"))
	}
	for _, c := range v.Context {
		b.WriteString("\n")
		writeText(b, c, indent+"| ")
	}
}

// line describes a media file on one line, and its description on a second.
func (m mediaView) line() string {
	text := capital(m.Word)
	if m.Name != "" {
		text += ": " + m.Name
	}
	if m.Size != "" {
		text += " (" + m.Size + ")"
	}
	if m.Missing != "" {
		text += ", not archived: " + m.Missing
	}
	if m.Kept != "" {
		text += ", kept: " + m.Kept
	}
	if m.Alt != "" {
		text += "\n    Description: " + oneLine(m.Alt)
	}
	return text
}
