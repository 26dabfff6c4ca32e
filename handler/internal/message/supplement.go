package message

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"xarchive/handler/internal/post"
)

// Supplement is a message that is archived after a post's own message, with what
// that lacks.
type Supplement struct {
	// Name is media for media that came later, version for the post as X gave it later,
	// missing for the statement that versions could not be had; of a further one
	// media.2, media.3 and so on.
	Name     string
	Versions []MissingVersion // what a supplement named missing states
	Changes  []post.Change    // in what a supplement named version differs from the message before it
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

// VersionName is the name of the supplements that have a post as X gave it later.
const VersionName = "version"

// IsVersion reports whether a supplement of that name has the post as X gave it later.
func IsVersion(name string) bool {
	return name == VersionName || strings.HasPrefix(name, VersionName+".")
}

// id is the supplement's Message-ID: <postId.name@x.com>.
func (s Supplement) id(p *post.Post) string { return "<" + Key(p.ID, s.Name) + "@" + domain + ">" }

// prefix says at the beginning of a subject what a supplement is; "" for a post's
// own message.
func prefix(supplement string, changes []post.Change) string {
	word, _, _ := strings.Cut(supplement, ".")
	switch word {
	case "":
		return ""
	case "media":
		return "Media of: "
	case VersionName:
		if slices.Contains(changes, post.TextGiven) {
			return "Text given later: "
		}
		return "Given differently later: "
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
	return noticeOf(s.Name, s.Changes, versions)
}

// changeWords say what X gave differently.
var changeWords = map[post.Change]string{
	post.ChangedText:        "the text",
	post.TextGiven:          "the author's text, in place of which it had given a notice",
	post.TextWithdrawn:      "a notice in place of the text",
	post.ChangedMedia:       "the media",
	post.ChangedWithholding: "what it withholds where",
	post.GivenByAPI:         "all that its API has of it, where before there was only its data export",
	post.ReferenceGiven:     "more of a post that this one repeats, quotes or answers",
}

// inWords is a list of changes for people.
func inWords(changes []post.Change) string {
	var words []string
	for _, c := range changes {
		words = append(words, cmp.Or(changeWords[c], token(string(c))))
	}
	return strings.Join(words, "; ")
}

// noticeOf is the notice of a supplement with the values of its versionField.
func noticeOf(supplement string, changes []post.Change, versions []string) []string {
	var notice []string
	word, _, _ := strings.Cut(supplement, ".")
	switch word {
	case "":
	case "media":
		notice = append(notice, "This message has media of the post below that could not be had when the post was archived.")
	case VersionName:
		notice = append(notice, "The post below was archived before, in a message that stands beside this one. Later X gave it differently: "+inWords(changes)+".",
			"Media that an earlier message about the post has are not repeated here.")
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
