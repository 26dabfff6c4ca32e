package export

import (
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/post"
)

// Format is what DEST becomes.
type Format string

// The formats; the package's comment describes them.
const (
	Maildir   Format = "maildir"
	Mbox      Format = "mbox"
	EML       Format = "eml"
	Zip       Format = "zip"
	ReviewSet Format = "review-set"
)

// Formats lists every format.
func Formats() []Format { return []Format{Maildir, Mbox, EML, Zip, ReviewSet} }

// Query says which messages are exported, and as what.
type Query struct {
	Account string    `json:"account"` // id on X
	Format  Format    `json:"format"`
	From    time.Time `json:"from,omitzero"` // of the post, inclusive; the zero time for all
	To      time.Time `json:"to,omitzero"`   // of the post, inclusive; the zero time for all

	Kinds   []post.Kind `json:"kinds,omitempty"`   // none for all
	Text    string      `json:"text,omitempty"`    // that the post has, in capitals or not; "" for all
	Mailbox string      `json:"mailbox,omitempty"` // of a review set whose messages name none
}

// Check returns what is wrong with a query, in words for a person.
func (q Query) Check() error {
	switch {
	case post.CheckID(q.Account) != nil:
		return fault.Refuse(fault.BadRequest, fmt.Sprintf("%q is not an account's id: the archive keeps accounts by their numbers on X, which begin the names of its blobs", q.Account))
	case !slices.Contains(Formats(), q.Format):
		return fault.Refuse(fault.BadRequest, fmt.Sprintf("%q is not a format: choose one of maildir, mbox, eml, zip, review-set", q.Format))
	case !q.To.IsZero() && q.To.Before(q.From):
		return fault.Refuse(fault.BadRequest, "the end is before the beginning: no post can be in between")
	case q.Mailbox != "" && q.Format != ReviewSet:
		return fault.Refuse(fault.BadRequest, "a mailbox is only for a review set: no other format has folders of mailboxes")
	}
	if q.Mailbox != "" {
		if a, err := mail.ParseAddress(q.Mailbox); err != nil || a.Address != q.Mailbox {
			return fault.Refuse(fault.BadRequest, fmt.Sprintf("%q is not a mail address", q.Mailbox))
		}
	}
	return nil
}

// end is the last time that is asked for.
func (q Query) end() time.Time {
	if q.To.IsZero() {
		return time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	}
	return q.To
}

func (q Query) kind(k post.Kind) bool { return len(q.Kinds) == 0 || slices.Contains(q.Kinds, k) }

// isKind reports whether a blob's metadata tells the kind of its post. If not, the
// message does.
func isKind(k post.Kind) bool { return slices.Contains(post.Kinds(), k) }

// Matches reports whether a post is of the kinds and has the text. A retweet has X's shortened copy of
// the original's text, so the original is searched, too; an article's words are in
// the article.
func (q Query) Matches(p *post.Post) bool {
	texts := []string{p.Text.Plain()}
	if p.Article != nil {
		texts = append(texts, p.Article.Title, p.Article.Text)
	}
	if original := p.Ref(post.Retweeted); original != nil && original.Post != nil {
		texts = append(texts, original.Post.Text.Plain())
	}
	return q.kind(p.Kind()) && slices.ContainsFunc(texts, func(t string) bool {
		return strings.Contains(strings.ToLower(t), strings.ToLower(q.Text))
	})
}

// ParseFrom reads the beginning of a time: RFC 3339, or a date, which is its first
// moment in UTC.
func ParseFrom(text string) (time.Time, error) {
	t, _, err := parseTime(text)
	return t, err
}

// ParseTo reads the end of a time, which is inclusive: RFC 3339, or a date, which is
// its last moment in UTC.
func ParseTo(text string) (time.Time, error) {
	t, date, err := parseTime(text)
	if date {
		t = t.AddDate(0, 0, 1).Add(-time.Nanosecond)
	}
	return t, err
}

func parseTime(text string) (t time.Time, date bool, err error) {
	if t, err = time.Parse(time.DateOnly, text); err == nil {
		return t, true, nil
	}
	if t, err = time.Parse(time.RFC3339, text); err == nil {
		return t.UTC(), false, nil
	}
	return time.Time{}, false, fault.Refuse(fault.BadRequest, fmt.Sprintf("%q is not a time: write a date such as 2024-03-31 (UTC), or a time such as 2024-03-31T18:00:00Z", text))
}

// ParseKinds reads kinds with commas between them, in capitals or not.
func ParseKinds(text string) ([]post.Kind, error) {
	var kinds []post.Kind
	for word := range strings.SplitSeq(text, ",") {
		i := slices.IndexFunc(post.Kinds(), func(k post.Kind) bool { return strings.EqualFold(string(k), strings.TrimSpace(word)) })
		if i < 0 {
			return nil, fault.Refuse(fault.BadRequest, fmt.Sprintf("%q is not a kind of post: choose among Tweet, Reply, Retweet, Quote", word))
		}
		kinds = append(kinds, post.Kinds()[i])
	}
	slices.Sort(kinds)
	return slices.Compact(kinds), nil
}
