// Package corpus holds what the X stand-in knows: posts, what they refer to, and
// their media. A corpus is a folder,
//
//	posts.json     an answer of the X API v2: data, includes, errors
//	media/<name>   files, by the last path element of their URL
//	accounts.json  ["<user id>", …]: whose timelines are ours; optional
//
// read by [Load], or the built-in one, made by [Builtin]. Every object is kept
// byte for byte as it came, whatever members it has, because tests compare it
// with what comes out at the far end. Nothing here is taken from the code under
// test.
//
// Format: https://docs.x.com/x-api/fundamentals/data-dictionary
package corpus

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Kinds of posts. A retweet is nothing else besides; a reply that quotes is a
// Reply.
const (
	Tweet   = "Tweet"
	Retweet = "Retweet"
	Reply   = "Reply"
	Quote   = "Quote"
)

// Post is a post with what of it the stand-in needs to know. Everything else is
// in Raw.
type Post struct {
	ID          string
	AuthorID    string    // "" where the corpus does not say
	CreatedAt   time.Time // UTC; from the id where created_at is missing; zero if neither says
	Kind        string    // Tweet, Retweet, Reply or Quote
	Text        string    // the whole text as X sends it: of note_tweet where there is one
	Refs        []Ref     // in the post's order
	EditHistory []string  // ids of all versions, oldest first
	MediaKeys   []string  // of the post's own attachments
	Raw         json.RawMessage
}

// Ref is a post that a post refers to. Type is retweeted, quoted or replied_to.
type Ref struct {
	Type, ID string
}

// File is the best copy of a photo, video or animated GIF: a photo as it is, of a
// video the mp4 with the highest bit rate.
type File struct {
	Key, Type string
	URL       string
	Name      string // last path element of the URL; what Media knows it by
}

// Corpus is safe for use by many goroutines.
type Corpus struct {
	mu        sync.RWMutex
	accounts  []string
	posts     map[string]*Post
	byAuthor  map[string][]*Post // newest first
	unordered map[string]bool    // authors whose posts in byAuthor are not in order yet
	revision  int
	users     map[string]json.RawMessage
	handles   map[string]string // lower-case handle to user id
	media     map[string]json.RawMessage
	polls     map[string]json.RawMessage
	places    map[string]json.RawMessage
	errors    map[string]json.RawMessage // by the id or value that could not be had
	problems  []string
	open      func(name string) (io.ReadSeekCloser, int64, error)
}

func newCorpus() *Corpus {
	return &Corpus{
		posts: map[string]*Post{}, byAuthor: map[string][]*Post{}, unordered: map[string]bool{}, users: map[string]json.RawMessage{}, handles: map[string]string{},
		media: map[string]json.RawMessage{}, polls: map[string]json.RawMessage{}, places: map[string]json.RawMessage{},
		errors: map[string]json.RawMessage{},
	}
}

// Accounts lists the users whose timelines are ours, in the corpus' order.
func (c *Corpus) Accounts() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Clone(c.accounts)
}

// Authors lists everybody who has posted something, in the order of their ids as text.
func (c *Corpus) Authors() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Sorted(maps.Keys(c.byAuthor))
}

// Problems lists what in the corpus was passed over, in words: objects without
// an id, and second copies that differ from the first.
func (c *Corpus) Problems() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Clone(c.problems)
}

// Posts is an account's timeline as X lists it, newest first: its posts in data
// or includes, of an edited post only the newest version.
func (c *Corpus) Posts(account string) []Post { return c.PostsUntil(account, "") }

// PostsUntil is the timeline as it was when the post with that id was the newest
// of all; "" means now.
func (c *Corpus) PostsUntil(account, newest string) []Post {
	all := c.All(account)
	if newest != "" {
		all = slices.DeleteFunc(all, func(p Post) bool { return CompareIDs(p.ID, newest) > 0 })
	}
	return CurrentVersions(all)
}

// CurrentVersions returns the posts without those of which another, later
// version is among them.
func CurrentVersions(posts []Post) []Post {
	has := map[string]bool{}
	for _, p := range posts {
		has[p.ID] = true
	}
	earlier := map[string]bool{}
	for _, p := range posts {
		history := slices.DeleteFunc(slices.Clone(p.EditHistory), func(id string) bool { return !has[id] })
		for i := range max(len(history)-1, 0) {
			earlier[history[i]] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(posts), func(p Post) bool { return earlier[p.ID] })
}

// All lists every post of an account that the corpus holds, earlier versions of
// edited posts too, newest first.
func (c *Corpus) All(account string) []Post {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var out []Post
	for _, p := range c.byAuthor[account] {
		out = append(out, *p)
	}
	return out
}

// Revision changes whenever objects are added: what was read at the same revision is
// still so.
func (c *Corpus) Revision() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.revision
}

// Post returns a post, whoever wrote it.
func (c *Corpus) Post(id string) (Post, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	p, ok := c.posts[id]
	if !ok {
		return Post{}, false
	}
	return *p, true
}

// User returns a user's object as it came.
func (c *Corpus) User(id string) (json.RawMessage, bool) { return c.object(c.users, id) }

// UserByHandle returns the id of the user with that handle, in any case.
func (c *Corpus) UserByHandle(handle string) (id string, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	id, ok = c.handles[strings.ToLower(handle)]
	return id, ok
}

// MediaObject returns the object of a photo, video or GIF as it came, by its
// media key. Its file is behind Media.
func (c *Corpus) MediaObject(key string) (json.RawMessage, bool) { return c.object(c.media, key) }

// Poll returns a poll's object as it came.
func (c *Corpus) Poll(id string) (json.RawMessage, bool) { return c.object(c.polls, id) }

// Place returns a place's object as it came.
func (c *Corpus) Place(id string) (json.RawMessage, bool) { return c.object(c.places, id) }

// Refusal returns the error that X gave instead of an object, by the object's id
// or by the value that was asked for.
func (c *Corpus) Refusal(id string) (json.RawMessage, bool) { return c.object(c.errors, id) }

func (c *Corpus) object(from map[string]json.RawMessage, id string) (json.RawMessage, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	raw, ok := from[id]
	return raw, ok
}

// Files lists the best copies of a post's own media, in the post's order. Media
// that the corpus does not describe is left out.
func (c *Corpus) Files(p Post) []File {
	var out []File
	for _, key := range p.MediaKeys {
		raw, ok := c.MediaObject(key)
		if !ok {
			continue
		}
		if f := bestFile(raw); f.URL != "" {
			out = append(out, f)
		}
	}
	return out
}

func bestFile(raw json.RawMessage) File {
	var m struct {
		Key      string `json:"media_key"`
		Type     string
		URL      string
		Variants []struct {
			BitRate     int    `json:"bit_rate"`
			ContentType string `json:"content_type"`
			URL         string
		}
	}
	if json.Unmarshal(raw, &m) != nil {
		return File{}
	}
	f := File{Key: m.Key, Type: m.Type, URL: m.URL}
	if m.Type != "photo" {
		f.URL = ""
		best := -1
		for _, v := range m.Variants {
			if v.ContentType == "video/mp4" && v.BitRate > best {
				best, f.URL = v.BitRate, v.URL
			}
		}
	}
	f.Name = lastElement(f.URL)
	return f
}

// Media opens a file by the last path element of its URL. The caller closes it.
// It is false if the corpus does not have it.
func (c *Corpus) Media(name string) (file io.ReadSeekCloser, size int64, ok bool) {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\\\x00") || c.open == nil {
		return nil, 0, false
	}
	file, size, err := c.open(name)
	return file, size, err == nil
}

// Add takes more objects into the corpus while it is in use, in the form of
// posts.json. A post of one of the accounts is from now on in its timeline;
// objects that are known already stay as they are. It returns the new posts of
// data, or an error if there is something that Load would refuse.
func (c *Corpus) Add(answer []byte) ([]Post, error) {
	e, err := parse(answer)
	if err != nil {
		return nil, fmt.Errorf("adding posts: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	added, err := c.take(e)
	if err != nil {
		return nil, fmt.Errorf("adding posts: %w", err)
	}
	return added, nil
}

// Replace has a post given otherwise from now on: raw is its object, with the id and
// author of a post that is known.
func (c *Corpus) Replace(raw json.RawMessage) (Post, error) {
	p, err := parsePost(raw)
	if err != nil {
		return Post{}, fmt.Errorf("replacing a post: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.posts[p.ID]
	if old == nil || old.AuthorID != p.AuthorID {
		return Post{}, fmt.Errorf("replacing a post: account %s has no post %s", p.AuthorID, p.ID)
	}
	c.revision++
	c.posts[p.ID] = p
	theirs := slices.Clone(c.byAuthor[p.AuthorID])
	theirs[slices.Index(theirs, old)] = p
	c.byAuthor[p.AuthorID] = theirs
	return *p, nil
}

// Counts is how many posts of each kind there are in a list.
func Counts(posts []Post) map[string]int {
	out := map[string]int{}
	for _, p := range posts {
		out[p.Kind]++
	}
	return out
}

// CompareIDs orders ids by number. An id that is no number comes first.
func CompareIDs(a, b string) int {
	x, _ := strconv.ParseUint(a, 10, 64)
	y, _ := strconv.ParseUint(b, 10, 64)
	return cmp.Compare(x, y)
}

// Ids since 4 November 2010 hold their time: milliseconds since the epoch in all
// bits but the lowest 22. https://docs.x.com/resources/fundamentals/x-ids
const (
	firstSnowflake = 29_700_859_247
	snowflakeEpoch = 1_288_834_974_657 // Unix milliseconds
)

// IDTime is the time in an id, false for ids from before November 2010.
func IDTime(id string) (time.Time, bool) {
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil || n < firstSnowflake {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(n>>22) + snowflakeEpoch).UTC(), true
}

// NewID is an id that holds the time; n tells apart the ids of one millisecond
// (22 bits).
func NewID(at time.Time, n int) string {
	return strconv.FormatUint(uint64(at.UnixMilli()-snowflakeEpoch)<<22|uint64(n)&(1<<22-1), 10)
}
