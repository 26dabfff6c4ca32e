package post

import (
	"cmp"
	"net/url"
	"strings"
	"time"
)

// exportNote is the text of a long post: the member noteTweet of an element of
// data/note-tweet.js. X names no post in it.
type exportNote struct {
	CreatedAt string `json:"createdAt"` // RFC 3339
	Core      struct {
		Text string `json:"text"`
		URLs []struct {
			Short    string `json:"shortUrl"`
			URL      string `json:"url"`
			Expanded string `json:"expandedUrl"`
			Display  string `json:"displayUrl"`
		} `json:"urls"`
		Mentions []struct {
			Name string `json:"screenName"`
		} `json:"mentions"`
		Hashtags []struct {
			Text string `json:"text"`
		} `json:"hashtags"`
	} `json:"core"`
}

func (n exportNote) links() (out []Link) {
	for _, u := range n.Core.URLs {
		short := cmp.Or(u.Short, u.URL)
		out = append(out, Link{Kind: PlainURL, Start: -1, End: -1, URL: short, Words: short, Expanded: u.Expanded, Target: cmp.Or(u.Expanded, short), Display: u.Display})
	}
	for _, m := range n.Core.Mentions {
		if m.Name != "" {
			out = append(out, Link{Kind: Mention, Start: -1, End: -1, Words: "@" + m.Name, Target: "https://x.com/" + url.PathEscape(m.Name)})
		}
	}
	for _, h := range n.Core.Hashtags {
		out = append(out, Link{Kind: Hashtag, Start: -1, End: -1, Words: "#" + h.Text, Target: "https://x.com/hashtag/" + url.PathEscape(h.Text)})
	}
	return out
}

// wire returns the note's text escaped as posts are. Whether X escapes it in the export is
// not documented, so the text itself decides: one that begins as the escaped post does,
// or has nothing unescaped, is escaped.
func (n exportNote) wire(post string) string {
	text := n.Core.Text
	begin, _ := beginningOf(post)
	bare := strings.NewReplacer("&amp;", "", "&lt;", "", "&gt;", "").Replace(text)
	escaped := !strings.ContainsAny(bare, "&<>")
	if plain := unescape(begin); plain != begin && strings.HasPrefix(text, plain) {
		escaped = false
	}
	if escaped {
		return text
	}
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

// Note is a long text in X's data export.
type Note struct {
	CreatedAt time.Time // UTC
	text      string    // as it is compared
}

// ReadNote reads what of a note is needed to find its post; ok is false if it has no time
// or no text.
func ReadNote(raw []byte) (n Note, ok bool) {
	w := readObject[exportNote](raw).value
	at, err := time.Parse(time.RFC3339, w.CreatedAt)
	n = Note{at.UTC(), compared(w.Core.Text)}
	return n, err == nil && n.text != ""
}

// leastBegun is how many characters of a post must be there for a note to be its text.
const leastBegun = 10

// MayBeOf reports whether a note may be the text of a post, which is posted in the same
// second, or the one before or after it, and whose text the note's begins with.
// The names before a reply's words need not be in the note.
func (n Note) MayBeOf(tweet []byte) bool {
	w := readObject[exportTweet](tweet).value
	at := ExportTime(tweet).Truncate(time.Second)
	if d := n.CreatedAt.Truncate(time.Second).Sub(at).Abs(); d > time.Second {
		return false
	}
	text, _ := beginningOf(cmp.Or(w.FullText, w.Text))
	text = compared(text)
	if len(text) < leastBegun || isRepost.MatchString(text) {
		return false
	}
	if strings.HasPrefix(n.text, text) {
		return true
	}
	for w.ReplyTo != "" && strings.HasPrefix(text, "@") {
		_, rest, _ := strings.Cut(text, " ")
		if text = strings.TrimSpace(rest); len(text) >= leastBegun && strings.HasPrefix(n.text, text) {
			return true
		}
	}
	return false
}

// compared is a text without what its two copies may differ in.
func compared(text string) string { return strings.Join(strings.Fields(unescape(text)), " ") }

// exportArticle is an article: the member article of an element of data/article.js.
type exportArticle struct {
	ID      string `json:"id"`
	Title   string `json:"title"`
	Content struct {
		Blocks []struct {
			Text string `json:"text"`
		} `json:"blocks"`
	} `json:"content"`
}

// ExportArticleID returns the id of an article's object.
func ExportArticleID(article []byte) string { return readObject[exportArticle](article).value.ID }

// exportArticleMetadata is the member articleMetadata of an element of
// data/article-metadata.js.
type exportArticleMetadata struct {
	ArticleID string `json:"articleId"`
	TweetID   string `json:"tweetId"`
	Lifecycle struct {
		Lifecycle struct {
			Name string `json:"name"`
		} `json:"lifecycle"`
	} `json:"lifecycleState"`
}

// ExportArticlePost returns the ids of the article and of the post that published it, ""
// where the metadata do not name them, and whether it is a draft.
func ExportArticlePost(metadata []byte) (articleID, postID string, draft bool) {
	m := readObject[exportArticleMetadata](metadata).value
	return m.ArticleID, m.TweetID, m.Lifecycle.Lifecycle.Name == "Draft"
}

// addExportArticle adds the article that the post publishes.
func (p *Post) addExportArticle(e exportEnvelope) {
	if e.Article == nil {
		return
	}
	a := readObject[exportArticle](e.Article)
	p.Problems = append(p.Problems, a.named("article")...)
	var paragraphs []string
	for _, b := range a.value.Content.Blocks {
		if b.Text != "" {
			paragraphs = append(paragraphs, b.Text)
		}
	}
	p.Article = &Article{Title: a.value.Title, Text: strings.Join(paragraphs, "\n\n")}
	if len(paragraphs) == 0 {
		p.Problems = append(p.Problems, "article.content: no text in it can be read; the document has all of it")
	}
	for _, file := range e.ArticleMedia {
		p.Article.Media = append(p.Article.Media, unnamed(file))
	}
}
