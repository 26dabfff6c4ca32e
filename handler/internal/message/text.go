package message

import (
	"fmt"
	"strings"
)

// renderText returns the plain body. Its first lines, after a supplement's notice,
// are those of Microsoft's description of an archived item (Author, Date, Tweet).
// What a line of ours says stands at the beginning of the line; the further lines of an
// author's text are indented as far as its first, so that they cannot pass for ours.
func renderText(v view) string {
	var b strings.Builder
	if len(v.Notice) > 0 {
		b.WriteString(strings.Join(v.Notice, "\n") + "\n\n")
	}
	writeText(&b, v, "")
	if len(v.Foot) > 0 {
		b.WriteString("\n" + strings.Join(v.Foot, "\n") + "\n")
	}
	return b.String()
}

// block returns a label and an author's text of several lines after it.
func block(label, text string) string {
	lines := splitLines(text)
	for i, line := range lines {
		if lines[i] = closed(line); i > 0 && line != "" {
			lines[i] = strings.Repeat(" ", len(label)) + lines[i]
		}
	}
	return label + strings.Join(lines, "\n")
}

func writeText(b *strings.Builder, v view, indent string) {
	line := func(format string, args ...any) {
		for text := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
			if text = indent + text; text == indent {
				text = strings.TrimRight(indent, " ")
			}
			b.WriteString(text + "\n")
		}
	}
	if v.Gone != "" {
		line("%s", strings.TrimSuffix(fmt.Sprintf("%s – not archived: %s, %s", v.Label, v.Gone, v.URL), ", "))
		return
	}
	if v.Label != "" {
		line("%s", v.Label)
	}
	line("Author: %s", v.Author)
	line("Date: %s", v.Date)
	if v.NoText != "" {
		line("Tweet: %s", v.NoText)
		line("%s", block("       ", v.Plain))
	} else {
		line("%s", block("Tweet: ", v.Plain))
	}
	line("\n%s", v.URL)
	writeArticle(line, v.Article)
	if len(v.Links) > 0 {
		line("\nLinks")
		for _, l := range v.Links {
			line("  %s", closed(strings.Join(l.Chain, " -> ")))
			if l.Title != "" {
				line("    Title: %s", closed(l.Title))
			}
			if l.Description != "" {
				line("    Description: %s", closed(l.Description))
			}
		}
	}
	for _, p := range v.Polls {
		if len(p.Options) == 0 {
			line("\nPoll %s: X did not send its options", p.ID)
			continue
		}
		line("\nPoll (%s)", p.State)
		for _, o := range p.Options {
			line("  %3d %%  %s (%d)", o.Percent, closed(o.Label), o.Votes)
		}
	}
	writeMediaText(line, "Media", v.Media)
	if len(v.Notes) > 0 {
		line("\n%s", strings.Join(v.Notes, "\n"))
	}
	for _, c := range v.Context {
		line("")
		writeText(b, c, indent+"| ")
	}
}

func writeArticle(line func(string, ...any), a *articleView) {
	if a == nil {
		return
	}
	line("\n%s", strings.TrimRight("Article: "+closed(a.Title), " "))
	if a.Cover != nil {
		line("  Cover. %s", a.Cover.line())
	}
	if a.Text != "" {
		line("\n%s", block("         ", a.Text))
	}
	if a.Beginning {
		line("\nX gave only the beginning of this article.")
	}
	if len(a.Links) > 0 {
		line("\nLinks in the article\n  %s", closed(strings.Join(a.Links, "\n  ")))
	}
	writeMediaText(line, "Media in the article", a.Media)
}

func writeMediaText(line func(string, ...any), heading string, media []mediaView) {
	if len(media) == 0 {
		return
	}
	line("\n%s", heading)
	for _, m := range media {
		line("  %s", m.line())
	}
}

// line describes a media file on one line, and its description on those that follow.
func (m mediaView) line() string {
	text := m.caption()
	if m.Alt != "" {
		text += "\n" + block("    Description: ", m.Alt)
	}
	return text
}

// caption names a media file and says what is to be said of it.
func (m mediaView) caption() string {
	text := capital(m.Word)
	if m.Name != "" {
		text += ": " + m.Name
	}
	if m.Size != "" {
		text += " (" + m.Size + ")"
	}
	if m.Still != "" {
		text += ", still picture: " + m.Still
	}
	if m.Missing != "" {
		text += ", not archived: " + m.Missing
	}
	if m.Earlier {
		text += ", in an earlier message about this post"
	}
	if m.Kept != "" {
		text += ", kept: " + m.Kept
	}
	return text
}
