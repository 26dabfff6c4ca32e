package message

import (
	_ "embed"
	"fmt"
	"html/template"
	"strings"

	"xarchive/handler/internal/post"
)

//go:embed message.html
var messageHTML string

// page is the HTML body. Mail readers drop scripts, and many style sheets, so every
// style that matters is at its element; the style sheet has the colours of dark mode
// and of print. Word, which Outlook draws mail with, knows tables, width and opaque colours.
// Nothing is loaded from elsewhere, so that opening an archived message tells nobody.
var page = template.Must(template.New("message").Funcs(template.FuncMap{
	"rich": richText,
	"text": func(s string) template.HTML { return marked(s, true) },
	"caps": capital,
	"web":  isWeb,
}).Parse(messageHTML))

func renderHTML(v view) (string, error) {
	var b strings.Builder
	if err := page.Execute(&b, v); err != nil {
		return "", fmt.Errorf("rendering the HTML body: %w", err)
	}
	return b.String(), nil
}

// HTML returns a post as HTML that stands alone, for a post in the context of an
// item of the Import service. Pictures are named in it, not shown.
func HTML(p *post.Post) (string, error) { return renderHTML(newView(p, nil, nameAll, shownMedia{})) }

// HTML returns the message's post as HTML that stands alone, for an item of the
// Import service, with what the message states of its media. Pictures are named
// in it, not shown: those that Next has returned by the names of their files. A
// supplement names only media of which it has or states something.
func (m *Message) HTML() (string, error) {
	media := shownMedia{}
	for _, x := range append(m.Post.Shown(), m.Post.Stills()...) {
		s := mediaState{missing: m.Missing[fieldKey(x)], kept: m.kept[fieldKey(x)], name: m.names[token(x.Key)]}
		if left, ok := m.left[s.name]; ok && s.name != "" {
			s.left, s.preview = left.left, left.preview
		}
		if s != (mediaState{}) {
			media[x.Key] = s
		}
	}
	v := newView(m.Post, noticeOf(m.Supplement, m.Changes, m.versions), Supplement{Name: m.Supplement}.mediaView(), media)
	v.Foot = foot(m.Post, m.Document)
	return renderHTML(v)
}

// richText returns a text with its links. Only web addresses are links.
func richText(spans []post.Span) template.HTML {
	var b strings.Builder
	start := true // of a line
	for _, s := range spans {
		if s.Link != nil && isWeb(s.Link.Target) {
			title := ""
			if s.Link.Title != "" {
				title = ` title="` + template.HTMLEscapeString(oneLine(s.Link.Title)) + `"`
			}
			fmt.Fprintf(&b, `<a href="%s"%s>%s</a>`, template.HTMLEscapeString(s.Link.Target), title, marked(s.Text, start))
		} else {
			b.WriteString(string(marked(s.Text, start)))
		}
		start = strings.HasSuffix(s.Text, "\n")
	}
	return template.HTML(b.String())
}

// marked returns a text as HTML that keeps its lines, runs of spaces and tabs where
// white-space:pre-wrap is not known, as well. start reports whether a line begins
// with it.
func marked(text string, start bool) template.HTML {
	var b strings.Builder
	for i, line := range splitLines(text) {
		if i > 0 {
			b.WriteString("<br>")
		}
		hard := i > 0 || start // a space here would be dropped
		for j := 0; j < len(line); j++ {
			switch c := line[j]; {
			case c == '\t':
				b.WriteString(`<span style="white-space:pre;mso-tab-count:1">` + "\t</span>")
				hard = true
			case c == ' ' && (hard || j+1 < len(line) && (line[j+1] == ' ' || line[j+1] == '\t')):
				b.WriteString("&nbsp;")
			default:
				end := j + 1
				for end < len(line) && line[end] != ' ' && line[end] != '\t' {
					end++
				}
				b.WriteString(template.HTMLEscapeString(strings.ReplaceAll(line[j:end], "\x00", "\ufffd")))
				j, hard = end-1, false
			}
		}
	}
	return template.HTML(b.String())
}
