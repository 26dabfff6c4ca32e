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

// HTML is the post as HTML that stands alone, for an item of the Import service:
// pictures are named in it, not shown. missing says, by media key, which media are
// not archived, and why.
func HTML(p *post.Post, missing map[string]string) (string, error) {
	var attached []Attachment
	for _, m := range p.Shown() {
		if why := missing[missingKey(m)]; why != "" {
			attached = append(attached, Attachment{Media: m, Missing: why})
		}
	}
	return renderHTML(newView(p, attached))
}

// lines cuts a text at its ends of line.
func lines(text string) []string {
	return strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
}

// href is where a link leads; the template refuses what is no web address.
func href(l *post.Link) string { return l.Target }
