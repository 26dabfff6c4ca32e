package message

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"time"

	"xarchive/handler/internal/post"
)

// Supplement is a message that is archived after a post's own message, with what
// that lacks.
type Supplement struct {
	// Name is media for media that came later, text for the text of a post of which
	// X first gave a notice only, missing for the statement that versions could not be
	// had; of a further one media.2, media.3 and so on.
	Name     string
	Versions []MissingVersion // what a supplement named missing states
}

// MissingVersion is an earlier version of an edited post that X did not give.
type MissingVersion struct {
	ID       string    // of the version, a post id
	From, To time.Time // when it was first and last asked for, UTC
	Said     string    // X's reason; "" if X gave none
}

// Key returns the archive key of a message, its file name without .eml: the
// post's id, for a supplement of that name <postId>.<name>.
func Key(postID, supplement string) string {
	if supplement == "" {
		return postID
	}
	return postID + "." + supplement
}

// supplementName keeps a name fit for a file name and a Message-ID.
var supplementName = regexp.MustCompile(`^[a-z]+(\.[1-9][0-9]*)?$`)

func checkSupplement(name string) error {
	if !supplementName.MatchString(name) {
		return fmt.Errorf("%q is not the name of a supplement, such as media or media.2", name)
	}
	return nil
}

// whole reports whether the message is to show all media of the post: a post's own
// message, and that of a text that was given later.
func (s Supplement) whole() bool { return s.Name == "" || isText(s.Name) }

func isText(name string) bool { return name == "text" || strings.HasPrefix(name, "text.") }

// id is the supplement's Message-ID: <postId.name@x.com>.
func (s Supplement) id(p *post.Post) string { return "<" + Key(p.ID, s.Name) + "@" + domain + ">" }

// prefix says at the beginning of a subject what a supplement is; "" for a post's
// own message.
func prefix(supplement string) string {
	word, _, _ := strings.Cut(supplement, ".")
	switch word {
	case "":
		return ""
	case "media":
		return "Media of: "
	case "text":
		return "Text given later: "
	case "missing":
		return "Earlier version missing: "
	}
	return "Supplement to: "
}

// notice says at the beginning of the text what a supplement is. It is empty for
// a post's own message.
func (s Supplement) notice() []string {
	var versions []string
	for _, v := range s.Versions {
		versions = append(versions, v.field())
	}
	return noticeOf(s.Name, versions)
}

// noticeOf is the notice of a supplement with the values of its versionField.
func noticeOf(supplement string, versions []string) []string {
	var notice []string
	word, _, _ := strings.Cut(supplement, ".")
	switch word {
	case "":
	case "media":
		notice = append(notice, "This message has media of the post below that could not be had when the post was archived.")
	case "text":
		notice = append(notice, "When the post below was first archived, X gave a notice in place of its text. This is what X gave later.")
	case "missing":
		notice = append(notice, "Earlier versions of the post below could not be had from X:")
	default:
		notice = append(notice, "This message supplements that of the post below.")
	}
	for _, v := range versions {
		id, statement, _ := strings.Cut(v, " ")
		notice = append(notice, "Version "+id+": "+statement+".")
	}
	return notice
}

// field is the version's value of versionField.
func (v MissingVersion) field() string {
	text := fmt.Sprintf("%s asked for from %s to %s", token(v.ID), showTime(v.From), showTime(v.To))
	if said := strings.TrimRight(bounded(v.Said), "."); said != "" {
		return text + "; X said: " + said
	}
	return text + "; X gave no reason"
}

// missingStatement says why a media file is missing, on one line of bounded length.
func missingStatement(a Attachment) string {
	text := cmp.Or(bounded(a.Missing), "it could not be had")
	if !a.Until.IsZero() {
		text += "; asked for again until " + showTime(a.Until)
	}
	return text
}

// keptStatement says which copy of a media file is kept and why not a better one,
// on one line of bounded length; "" if there is no better one.
func keptStatement(a Attachment) string {
	if a.NotBetter == "" {
		return ""
	}
	return bounded(a.Source) + "; the original: " + bounded(a.NotBetter)
}
