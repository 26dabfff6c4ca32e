package post

import (
	"regexp"
	"slices"
	"strings"
)

// isNotice reports whether a text is one of X's notices in place of the author's
// words, such as "@a's account has been withheld in India in response to a legal
// demand. Learn more." X marks the words "Learn more" as the place of an address
// that is nowhere in the text. An author cannot do that: an author's address is in
// the text as t.co. withheld reports that X says that it withholds the post.
func isNotice(t Text, withheld bool) bool {
	runes := []rune(t.Wire)
	for _, l := range t.Links {
		if l.Kind != PlainURL || l.URL == "" || strings.Contains(t.Plain(), unescape(l.URL)) || l.Start < 0 || l.End <= l.Start || l.End > len(runes) {
			continue
		}
		words := strings.Trim(unescape(string(runes[l.Start:l.End])), " .")
		if strings.EqualFold(words, "Learn more") || words == strings.Trim(unescape(l.Display), " .") && words != "" && !strings.ContainsAny(words, "/.") {
			return true
		}
	}
	return withheld && noticeWords.MatchString(t.Plain())
}

// noticeWords are those of X's notices in English.
var noticeWords = regexp.MustCompile(`^(RT @\w+: )?(@\w+['’]s account|This (Tweet|Post|post) from @\w+) (has been withheld|is temporarily unavailable) .*Learn more\.?$`)

// noticed decides whether the post's text is a notice. A repost begins with the text of
// the post it repeats, so it has that post's notice; of one whose original X did not
// send, only the words tell.
func (p *Post) noticed() bool {
	if r := p.Ref(Retweeted); r != nil {
		if r.Post != nil {
			return r.Post.Notice
		}
		return noticeWords.MatchString(p.Text.Plain())
	}
	return isNotice(p.Text, p.Withheld != "")
}

// Notices lists the posts that a reader of the post sees without their author's text,
// because X gave a notice in its place: the post itself, and those it repeats,
// quotes or answers.
func (p *Post) Notices() []*Post {
	var out []*Post
	p.walk(0, func(p *Post) {
		if p.Notice && !slices.ContainsFunc(out, func(q *Post) bool { return q.ID == p.ID }) {
			out = append(out, p)
		}
	})
	return out
}
