// Package post is the connector's domain: a post on X, who wrote it, what it
// carries and what it refers to. Of ours it imports fault, for its errors, and
// nothing else.
//
// A post travels as a [Document]: the JSON objects that X sent, untouched, in
// the form of a single-post answer of the X API v2. [SplitPage] takes an answer
// with many posts apart into documents, each with the [Post] that it holds;
// [Parse] reads the same Post from a document alone. The document is what the
// archive keeps as evidence; everything shown to a person is derived from it and
// can be derived again. A post of X's own data export has a document of another form,
// see [Exported].
//
// # Times
//
// X's created_at has whole seconds. The milliseconds of a post are in its id
// only, where there are any: see [IDTime]. So two posts with one CreatedAt are in
// the order of their ids, and a range of time that ends within a second cuts
// through posts that bear the same time.
//
// Format: https://docs.x.com/x-api/fundamentals/data-dictionary
package post

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind is what a post does. A reply that quotes is a Reply. A Mentioning is another
// account's post, whatever else it does; see [Document.AsMention].
type Kind string

const (
	Tweet      Kind = "Tweet"
	Retweet    Kind = "Retweet"
	Reply      Kind = "Reply"
	Quote      Kind = "Quote"
	Mentioning Kind = "Mention"
)

// Kinds returns every kind.
func Kinds() []Kind { return []Kind{Tweet, Retweet, Reply, Quote, Mentioning} }

// Post is one post as X described it.
type Post struct {
	ID             string    // decimal, an unsigned 64-bit number
	Author         User      // ID at least, where X did not send the user
	CreatedAt      time.Time // UTC, whole seconds; to the millisecond where X sent no created_at and it is from the id
	Text           Text      // the whole text: of note_tweet where there is one
	ConversationID string    // id of the post that began the conversation
	InReplyToUser  User
	References     []Reference
	Media          []Media // in the order of the post
	Polls          []Poll
	Place          string // full name of the place the author gave; where X did not send it, the place's id
	PlaceUnnamed   bool   // Place is an id only
	Location       string // latitude and longitude in degrees, "54.3544, -1.9102", as X wrote them
	Community      string // id of the community that it was posted to
	Replies        string // who may reply, in words; "" for everyone
	Paid           bool   // X marks it as a paid partnership
	Article        *Article
	EditHistory    []string // ids of all versions, oldest first, this one among them
	Language       string   // BCP 47
	Source         string   // name of the application it was posted with
	Likes          int
	Sensitive      bool   // X marks it possibly sensitive
	Withheld       string // what is withheld where and why, in words: "this account in India"; "" if nothing is

	// Mentions is the account that the post mentions and is archived for, where that is
	// not its author; the zero User of an account's own post.
	Mentions User

	// Notice reports that X put a notice of its own in place of the author's text,
	// because of a policy, a copyright claim or a demand to withhold. Text is that
	// notice; the author's words are not known.
	Notice bool

	// Export is what is peculiar to a post of X's own data export; nil for one that X's
	// API gave.
	Export *Export

	// Problems lists what X sent that could not be read, in words. The
	// document still holds it.
	Problems []string
}

// User is an account on X.
type User struct {
	ID       string
	Username string // the handle, without @
	Name     string // the display name
	PhotoURL string
	Since    string // when the account was made, as X wrote it; "" if X did not say
}

// RefType says how a post refers to another, in X's words.
type RefType string

const (
	Retweeted RefType = "retweeted"
	Quoted    RefType = "quoted"
	RepliedTo RefType = "replied_to"
)

// Reference is a post that a post refers to. Post is nil where X did not send
// it.
type Reference struct {
	Type RefType
	ID   string
	Post *Post
	Why  string // why there is no Post, as X said; "" if X gave no reason
}

// Poll is a poll with its votes at the time of reading.
type Poll struct {
	ID      string
	Options []PollOption // none where X did not send the poll
	Ends    time.Time    // UTC; zero if unknown
	Status  string       // open or closed
}

// PollOption is one answer of a poll.
type PollOption struct {
	Label string
	Votes int
}

// Article is a long-form text attached to a post.
type Article struct {
	Title, Text string
	Beginning   bool     // X gave only the beginning of the text
	Cover       *Media   // picture above the title; nil for none
	Media       []Media  // pictures and films in the text, in X's order
	Links       []string // addresses in the text
}

// Body returns the article's text without the title that X puts before it.
func (a *Article) Body() string {
	text := strings.TrimSpace(a.Text)
	if rest, ok := strings.CutPrefix(text, strings.TrimSpace(a.Title)); ok && a.Title != "" && (rest == "" || rest[0] == '\n' || rest[0] == '\r') {
		return strings.TrimLeft(rest, "\r\n")
	}
	return strings.Trim(a.Text, "\r\n")
}

// Kind returns what the post does.
func (p *Post) Kind() Kind {
	switch {
	case p.Mentions.ID != "":
		return Mentioning
	case p.Ref(Retweeted) != nil:
		return Retweet
	case p.Ref(RepliedTo) != nil:
		return Reply
	case p.Ref(Quoted) != nil:
		return Quote
	}
	return Tweet
}

// Ref returns the post's reference of that type, or nil if it has none.
func (p *Post) Ref(t RefType) *Reference {
	for i := range p.References {
		if p.References[i].Type == t {
			return &p.References[i]
		}
	}
	return nil
}

// Version returns the post's place in its edit history: 1 for a post as it was
// first written, 2 for its first edit.
func (p *Post) Version() int {
	if i := slices.Index(p.EditHistory, p.ID); i > 0 {
		return i + 1
	}
	return 1
}

// EarlierVersions lists the ids of the versions before this one, oldest first.
func (p *Post) EarlierVersions() []string {
	return p.EditHistory[:max(slices.Index(p.EditHistory, p.ID), 0)]
}

// URL returns the post's address on X.
func (p *Post) URL() string {
	user := p.Author.Username
	if user == "" {
		user = "i"
	}
	return "https://x.com/" + url.PathEscape(user) + "/status/" + p.ID
}

// CompareIDs orders post ids as X does: by number, which for all posts since
// November 2010 is by time, to the millisecond and finer than created_at. An id
// that is no number comes first.
func CompareIDs(a, b string) int {
	x, _ := strconv.ParseUint(a, 10, 64)
	y, _ := strconv.ParseUint(b, 10, 64)
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// CheckID returns what is wrong with a post or account id, or nil.
func CheckID(id string) error {
	if _, err := strconv.ParseUint(id, 10, 64); err != nil || id[0] == '+' || id == "0" {
		return fmt.Errorf("%q is not an id: an unsigned 64-bit decimal number is expected", id)
	}
	return nil
}

// firstSnowflake is the smallest id that holds a time (4 November 2010).
const firstSnowflake = 29_700_859_247

// snowflakeEpoch is 4 November 2010 01:42:54.657 UTC, in Unix milliseconds.
const snowflakeEpoch = 1_288_834_974_657

// IDTime returns the time that is in a post's id, in UTC and to the millisecond.
// created_at is the same time cut off to whole seconds. It returns false for ids
// given before November 2010, which were plain numbers.
// https://docs.x.com/resources/fundamentals/x-ids
func IDTime(id string) (time.Time, bool) {
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil || n < firstSnowflake {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(n>>22) + snowflakeEpoch).UTC(), true
}

// IDAt returns the smallest id that a post of that time can have: every post of the
// time or later has it or a greater one, every earlier post a smaller one. It
// returns "" for times before November 2010.
func IDAt(at time.Time) string {
	n := uint64(max(0, at.UnixMilli()-snowflakeEpoch)) << 22
	if n < firstSnowflake {
		return ""
	}
	return strconv.FormatUint(n, 10)
}
