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

// page is the HTML body. Mail readers drop scripts and style sheets, so every
// style is at its element; nothing is loaded from elsewhere, so that opening an
// archived message tells nobody.
var page = template.Must(template.New("message").Funcs(template.FuncMap{
	"lines": lines,
	"href":  href,
	"caps":  capital,
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
func HTML(p *post.Post) (string, error) { return renderHTML(newView(p, nil, shownMedia{})) }

// HTML returns the message's post as HTML that stands alone, for an item of the
// Import service, with what the message states of its media. Pictures are named
// in it, not shown. A supplement names only media of which it states something.
func (m *Message) HTML() (string, error) {
	media := shownMedia{}
	for _, x := range m.Post.Shown() {
		key := fieldKey(x)
		if missing, kept := m.Missing[key], m.kept[key]; missing != "" || kept != "" {
			media[x.Key] = mediaState{missing: missing, kept: kept}
		}
	}
	return renderHTML(newView(m.Post, noticeOf(m.Supplement, m.versions), media))
}

// lines splits a text at its ends of line.
func lines(text string) []string {
	return strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
}

// href returns where a link leads. The template refuses what is no web address.
func href(l *post.Link) string { return l.Target }
