package corpus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxPosts bounds posts.json, which is read into memory.
const maxPosts = 2 << 30

// Load reads a corpus folder. Errors say which file is wrong and how. What can be
// passed over without losing a post is passed over and told by Problems; media
// that is missing is found out when it is asked for, as with X.
func Load(dir string) (*Corpus, error) {
	name := filepath.Join(dir, "posts.json")
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("reading the corpus: %w (a corpus is a folder with posts.json in it)", err)
	}
	if info.Size() > maxPosts {
		return nil, fmt.Errorf("reading the corpus: %s has %d bytes, more than the %d that are read", name, info.Size(), int64(maxPosts))
	}
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading the corpus: %w", err)
	}
	accounts, err := loadAccounts(filepath.Join(dir, "accounts.json"))
	if err != nil {
		return nil, err
	}
	c, err := fromJSON(raw, accounts)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	c.open = func(name string) (io.ReadSeekCloser, int64, error) {
		f, err := os.OpenInRoot(filepath.Join(dir, "media"), name)
		if err != nil {
			return nil, 0, err
		}
		info, err := f.Stat()
		if err == nil && !info.Mode().IsRegular() {
			err = fmt.Errorf("%s is not a file", name)
		}
		if err != nil {
			f.Close()
			return nil, 0, err
		}
		return f, info.Size(), nil
	}
	return c, nil
}

// loadAccounts reads accounts.json; a missing file is no accounts.
func loadAccounts(name string) ([]string, error) {
	raw, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the corpus: %w", err)
	}
	var list []string
	if err := json.Unmarshal(bytes.TrimPrefix(raw, []byte("\ufeff")), &list); err != nil {
		return nil, fmt.Errorf(`reading %s: %w (it should be a list of user ids: ["12", "34"])`, name, err)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("reading %s: it lists no account", name)
	}
	seen := map[string]bool{}
	var out []string
	for _, id := range list {
		if !isID(id) {
			return nil, fmt.Errorf("reading %s: %q is not a user id (a decimal number is expected)", name, id)
		}
		if !seen[id] {
			seen[id] = true
			out = append(out, id)
		}
	}
	return out, nil
}

type envelope struct {
	Data     []json.RawMessage
	Includes map[string][]json.RawMessage
	Errors   []json.RawMessage
}

// parse reads an answer of the X API; its data may be one object or a list.
func parse(raw []byte) (envelope, error) {
	var e struct {
		Data     json.RawMessage
		Includes map[string]json.RawMessage
		Errors   []json.RawMessage
	}
	if err := json.Unmarshal(bytes.TrimPrefix(raw, []byte("\ufeff")), &e); err != nil {
		var at *json.SyntaxError
		if errors.As(err, &at) {
			return envelope{}, fmt.Errorf("no valid JSON at byte %d: %w", at.Offset, err)
		}
		return envelope{}, fmt.Errorf(`not an answer of the X API ({"data":[…],"includes":{…}}): %w`, err)
	}
	out := envelope{Includes: map[string][]json.RawMessage{}, Errors: e.Errors}
	var err error
	if out.Data, err = list(e.Data); err != nil {
		return envelope{}, fmt.Errorf("data: %w", err)
	}
	for _, name := range []string{"tweets", "users", "media", "polls", "places"} {
		if out.Includes[name], err = list(e.Includes[name]); err != nil {
			return envelope{}, fmt.Errorf("includes.%s: %w", name, err)
		}
	}
	return out, nil
}

// list reads a list, one object in place of a list, or nothing.
func list(raw json.RawMessage) ([]json.RawMessage, error) {
	raw = bytes.TrimSpace(raw)
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return nil, nil
	case raw[0] == '{':
		return []json.RawMessage{raw}, nil
	}
	var out []json.RawMessage
	if err := json.Unmarshal(raw, &out); err != nil {
		return nil, errors.New("a list of objects is expected")
	}
	return out, nil
}

// fromJSON makes a corpus without media. accounts may be nil.
func fromJSON(raw []byte, accounts []string) (*Corpus, error) {
	e, err := parse(raw)
	if err != nil {
		return nil, err
	}
	if len(accounts) == 0 {
		if accounts = firstAccount(e); accounts == nil {
			return nil, errors.New("no post says who wrote it (author_id), so it is not known whose timeline this is: add author_id, or an accounts.json")
		}
	}
	c := newCorpus()
	c.accounts = accounts
	if _, err := c.take(e); err != nil {
		return nil, err
	}
	return c, nil
}

// firstAccount is the author of the first post that names one, else the only
// user there is.
func firstAccount(e envelope) []string {
	for _, raw := range e.Data {
		if author := member(raw, "author_id"); isID(author) {
			return []string{author}
		}
	}
	if users := e.Includes["users"]; len(users) == 1 && isID(member(users[0], "id")) {
		return []string{member(users[0], "id")}
	}
	return nil
}

// take adds an answer's objects. Data comes before includes, so that a post in
// both is taken from data.
func (c *Corpus) take(e envelope) (added []Post, err error) {
	c.revision++
	defer c.order()
	var posts []*Post
	for i, raw := range e.Data {
		p, err := parsePost(raw)
		if err != nil {
			return nil, fmt.Errorf("data[%d]: %w", i, err)
		}
		if p.AuthorID == "" {
			p.AuthorID = c.accounts[0] // X leaves author_id out unless asked for it
		}
		posts = append(posts, p)
	}
	for _, p := range posts {
		if c.takePost(p) {
			added = append(added, *p)
		}
	}
	for i, raw := range e.Includes["tweets"] {
		p, err := parsePost(raw)
		if err != nil {
			c.problem("includes.tweets[%d] is passed over: %v", i, err)
			continue
		}
		c.takePost(p)
	}
	for _, into := range []struct {
		name, key string
		m         map[string]json.RawMessage
	}{{"users", "id", c.users}, {"media", "media_key", c.media}, {"polls", "id", c.polls}, {"places", "id", c.places}} {
		for i, raw := range e.Includes[into.name] {
			id := member(raw, into.key)
			switch old, known := into.m[id]; {
			case id == "":
				c.problem("includes.%s[%d] is passed over: it has no %s", into.name, i, into.key)
			case !known:
				into.m[id] = raw
			case !bytes.Equal(old, raw):
				c.problem("includes.%s[%d] is passed over: it differs from an earlier one with %s %s", into.name, i, into.key, id)
			}
			if handle := member(raw, "username"); into.name == "users" && id != "" && handle != "" {
				c.handles[strings.ToLower(handle)] = id
			}
		}
	}
	for _, raw := range e.Errors {
		for _, name := range []string{"resource_id", "value"} {
			if id := member(raw, name); id != "" {
				c.errors[id] = raw
			}
		}
	}
	return added, nil
}

func (c *Corpus) takePost(p *Post) bool {
	old, known := c.posts[p.ID]
	if known {
		if !bytes.Equal(old.Raw, p.Raw) {
			c.problem("a second, different copy of post %s is passed over", p.ID)
		}
		return false
	}
	c.posts[p.ID] = p
	theirs := c.byAuthor[p.AuthorID]
	if n := len(theirs); n > 0 && newestFirst(theirs[n-1], p) > 0 {
		c.unordered[p.AuthorID] = true
	}
	c.byAuthor[p.AuthorID] = append(theirs, p)
	return true
}

func newestFirst(a, b *Post) int { return CompareIDs(b.ID, a.ID) }

// order puts the posts of each author in order after some were added.
func (c *Corpus) order() {
	for author := range c.unordered {
		slices.SortFunc(c.byAuthor[author], newestFirst)
	}
	clear(c.unordered)
}

func (c *Corpus) problem(format string, args ...any) {
	if len(c.problems) < 1000 {
		c.problems = append(c.problems, fmt.Sprintf(format, args...))
	}
}

// member reads one string of an object, "" if it is not there.
func member(raw json.RawMessage, name string) string {
	var m map[string]json.RawMessage
	var s string
	if json.Unmarshal(raw, &m) != nil || json.Unmarshal(m[name], &s) != nil {
		return ""
	}
	return s
}

func isID(id string) bool {
	n, err := strconv.ParseUint(id, 10, 64)
	return err == nil && n > 0 && id[0] != '+'
}

// parsePost reads what the stand-in needs. Only the id must be there; any other
// member may be missing or of another type than X's.
func parsePost(raw json.RawMessage) (*Post, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, errors.New("an object is expected")
	}
	p := &Post{ID: member(raw, "id"), AuthorID: member(raw, "author_id"), Text: member(raw, "text"), Raw: raw}
	if !isID(p.ID) {
		return nil, fmt.Errorf("its id %s is not an id: a decimal number in quotes is expected", m["id"])
	}
	if whole := member(m["note_tweet"], "text"); whole != "" {
		p.Text = whole
	}
	if at, err := time.Parse(time.RFC3339, member(raw, "created_at")); err == nil {
		p.CreatedAt = at.UTC()
	} else if at, ok := IDTime(p.ID); ok {
		p.CreatedAt = at
	}
	_ = json.Unmarshal(m["edit_history_tweet_ids"], &p.EditHistory) // without it: one version
	var attachments struct {
		Keys []string `json:"media_keys"`
	}
	_ = json.Unmarshal(m["attachments"], &attachments) // without them: no media
	p.MediaKeys = attachments.Keys
	var refs []Ref
	_ = json.Unmarshal(m["referenced_tweets"], &refs) // without them: a tweet
	p.Refs = refs
	p.Kind = kind(refs)
	return p, nil
}

func kind(refs []Ref) string {
	for _, k := range []struct{ ref, kind string }{{"retweeted", Retweet}, {"replied_to", Reply}, {"quoted", Quote}} {
		for _, r := range refs {
			if r.Type == k.ref {
				return k.kind
			}
		}
	}
	return Tweet
}

func lastElement(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Path == "" {
		return ""
	}
	return path.Base(u.Path)
}
