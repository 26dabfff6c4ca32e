package post

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// Change is something in which X gives a post otherwise than before, under the
// same id.
type Change string

const (
	ChangedText        Change = "text"
	TextGiven          Change = "text-given"     // before, X gave a notice in place of the author's text
	TextWithdrawn      Change = "text-withdrawn" // now X gives a notice in place of the author's text
	ChangedMedia       Change = "media"
	ChangedWithholding Change = "withholding"
	GivenByAPI         Change = "api"       // before, the post was from X's data export, which has less of it
	ReferenceGiven     Change = "reference" // of a post that it refers to X now gives what it did not give before
)

// Changes returns in what p differs from before, an earlier answer of X about the same
// post; nil if a reader of before has everything of p. Text, media and what is withheld
// are compared: numbers such as likes, and names, never count. Of the posts that it
// refers to only what X gives besides counts, since X leaves them out now and then.
func (p *Post) Changes(before *Post) []Change {
	out := p.ownChanges(before)
	old := map[string]*Post{}
	before.walk(0, func(q *Post) { old[q.ID] = q })
	note := func(c Change) {
		if !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	p.walk(0, func(q *Post) {
		for _, r := range q.References {
			switch was := old[r.ID]; {
			case r.Post == nil || !p.within(r.ID, lookupDepth):
			case was == nil:
				note(ReferenceGiven)
			case was.Notice && !r.Post.Notice:
				note(TextGiven)
			case r.Post.Notice:
			case !r.Post.sameText(was) || r.Post.hasMoreMedia(was):
				note(ReferenceGiven)
			}
		}
	})
	return out
}

// within reports whether a post is so many levels of reference away at most.
func (p *Post) within(id string, levels int) bool {
	return levels > 0 && slices.ContainsFunc(p.References, func(r Reference) bool {
		return r.ID == id || r.Post != nil && r.Post.within(id, levels-1)
	})
}

// ownChanges compares what is the post's own. A repost has nothing of its own but the
// post it repeats; its text only begins with that one's.
func (p *Post) ownChanges(before *Post) (out []Change) {
	repost := p.Ref(Retweeted) != nil
	if before.Export != nil && p.Export == nil {
		out = append(out, GivenByAPI)
	}
	switch {
	case repost && p.repeats() != before.repeats():
	case before.Notice && !p.Notice:
		out = append(out, TextGiven)
	case p.Notice && !before.Notice:
		out = append(out, TextWithdrawn)
	case p.Notice && nameless(p.Text) != nameless(before.Text), !p.Notice && !repost && !p.sameText(before):
		out = append(out, ChangedText)
	}
	if !repost && (p.hasMoreMedia(before) || !slices.Equal(keys(p.ownMedia()), keys(before.ownMedia()))) {
		out = append(out, ChangedMedia)
	}
	if !slices.Equal(sorted(p.Withheld), sorted(before.Withheld)) {
		out = append(out, ChangedWithholding)
	}
	return out
}

// repeats reports whether the post that this one repeats is there.
func (p *Post) repeats() bool {
	r := p.Ref(Retweeted)
	return r != nil && r.Post != nil
}

// sameText compares texts, and those of articles. Where X gives only the beginning of an
// article of which all is known, nothing has changed.
func (p *Post) sameText(before *Post) bool {
	if p.Text.Wire != before.Text.Wire {
		return false
	}
	now, was := p.Article, before.Article
	switch {
	case now == nil || was == nil:
		return now == was
	case now.Beginning && !was.Beginning:
		return now.Title == was.Title
	}
	return now.Title == was.Title && now.Text == was.Text && now.Beginning == was.Beginning
}

// ownMedia are the media of the post and of its article.
func (p *Post) ownMedia() []Media {
	own := *p
	own.References = nil
	return own.Shown()
}

func keys(list []Media) (out []string) {
	for _, m := range list {
		out = append(out, m.Key)
	}
	slices.Sort(out)
	return out
}

// hasMoreMedia reports whether X names a file now for media of which it did not before.
func (p *Post) hasMoreMedia(before *Post) bool {
	old := before.ownMedia()
	return slices.ContainsFunc(p.ownMedia(), func(m Media) bool {
		return m.NoFile() == "" && !slices.ContainsFunc(old, func(o Media) bool { return o.Key == m.Key && o.NoFile() == "" })
	})
}

// sorted are the words of what is withheld: X's order of countries tells nothing.
func sorted(withheld string) []string {
	words := strings.Fields(strings.ReplaceAll(withheld, ",", ""))
	slices.Sort(words)
	return words
}

// nameless is the text of a notice without the handle that it names.
func nameless(t Text) string { return handles.ReplaceAllString(t.Plain(), "@") }

var handles = regexp.MustCompile(`@\w+`)

// Digest is a short word for what is the post's own in text, media and withholding. If
// two answers about a post have the same, [Post.Changes] finds nothing of its own
// changed; if not, it may.
func (p *Post) Digest() string {
	var own struct {
		Text, Title, Article string
		Withheld             []string
		Notice, Beginning    bool
		Media, Files         []string
	}
	own.Withheld, own.Notice = sorted(p.Withheld), p.Notice
	if p.Ref(Retweeted) == nil {
		own.Text = p.Text.Wire
		if a := p.Article; a != nil {
			own.Title, own.Article, own.Beginning = a.Title, a.Text, a.Beginning
		}
		own.Media = keys(p.ownMedia())
		own.Files = keys(slices.DeleteFunc(p.ownMedia(), func(m Media) bool { return m.NoFile() != "" }))
	}
	if p.Notice {
		own.Text = nameless(p.Text)
	}
	raw, err := json.Marshal(own)
	if err != nil {
		raw = []byte(own.Text) // strings can always be written
	}
	sum := sha256.Sum256(raw)
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}
