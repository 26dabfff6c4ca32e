package x

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"xarchive/tests/sandbox/corpus"
)

// project is an object with only the members that may be sent. Their values are
// byte for byte those of the corpus; if every member may be sent, so is the whole.
func project(raw json.RawMessage, allowed map[string]bool) json.RawMessage {
	return rewrite(raw, func(name string, value json.RawMessage) json.RawMessage {
		if !allowed[name] {
			return nil
		}
		return value
	})
}

// rewrite passes an object's members through change, which leaves out a member by
// returning nil.
func rewrite(raw json.RawMessage, change func(name string, value json.RawMessage) json.RawMessage) json.RawMessage {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return raw // the corpus holds objects only
	}
	var members [][]byte
	same := true
	for dec.More() {
		name, err := dec.Token()
		var value json.RawMessage
		if err != nil || dec.Decode(&value) != nil {
			return raw
		}
		to := change(name.(string), value)
		same = same && bytes.Equal(to, value)
		if to != nil {
			members = append(members, slices.Concat(marshal(name), []byte(":"), to))
		}
	}
	if same {
		return raw
	}
	return object(members)
}

// links is what of a post an expansion can follow.
type links struct {
	AuthorID  string `json:"author_id"`
	InReplyTo string `json:"in_reply_to_user_id"`
	Refs      []struct{ ID string }
	Attached  struct {
		MediaKeys []string `json:"media_keys"`
		PollIDs   []string `json:"poll_ids"`
	}
	Geo struct {
		PlaceID string `json:"place_id"`
	}
	Mentions, NoteMentions []mention
	History                []string
	Article                struct {
		Cover string   `json:"cover_media"`
		Media []string `json:"media_entities"`
	}
}

type mention struct{ Username string }

// linksOf reads a post's links once, until Change gives it otherwise.
func (s *Server) linksOf(p corpus.Post) links {
	if l, read := s.links.Load(p.ID); read {
		return l.(links)
	}
	l := readLinks(p.Raw)
	s.links.Store(p.ID, l)
	return l
}

// readLinks reads each member for itself: one that is not as X would send it
// leads nowhere and spoils nothing else.
func readLinks(raw json.RawMessage) links {
	var m map[string]json.RawMessage
	_ = json.Unmarshal(raw, &m)
	var l links
	var entities, note struct{ Mentions []mention }
	var long struct{ Entities json.RawMessage }
	_ = json.Unmarshal(m["note_tweet"], &long)
	for from, to := range map[string]any{
		"author_id": &l.AuthorID, "in_reply_to_user_id": &l.InReplyTo, "referenced_tweets": &l.Refs, "attachments": &l.Attached,
		"geo": &l.Geo, "edit_history_tweet_ids": &l.History, "article": &l.Article, "entities": &entities,
	} {
		_ = json.Unmarshal(m[from], to)
	}
	_ = json.Unmarshal(long.Entities, &note)
	l.Mentions, l.NoteMentions = entities.Mentions, note.Mentions
	return l
}

// seen tells how a post looks to an account.
type seen int

const (
	shown   seen = iota
	missing      // deleted, not posted yet, or never there
	hidden       // its author is protected or suspended
)

// look finds a post as an account sees it.
func (s *Server) look(id, viewer string) (corpus.Post, seen) {
	p, ok := s.opt.Corpus.Post(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch raw, refused := s.opt.Corpus.Refusal(id); {
	case !ok && refused && strings.Contains(string(raw), "not-authorized"):
		return p, hidden
	case !ok, s.deleted[id], s.gone[p.AuthorID], s.beyond(p):
		return p, missing
	case s.suspended[p.AuthorID], s.protected[p.AuthorID] && viewer != p.AuthorID:
		return p, hidden
	}
	return p, shown
}

// beyond tells whether a post is past its author's horizon. s.mu must be held.
func (s *Server) beyond(p corpus.Post) bool {
	newest := s.horizon[p.AuthorID]
	return newest != "" && corpus.CompareIDs(p.ID, newest) > 0
}

// postObject is a post as it is sent. Versions that are not posted yet are not in
// its history.
func (s *Server) postObject(p corpus.Post, w wanted) json.RawMessage {
	s.mu.Lock()
	newest := s.horizon[p.AuthorID]
	s.mu.Unlock()
	own := rewrite(p.Raw, func(name string, value json.RawMessage) json.RawMessage {
		switch {
		case !w.tweet[name]:
			return nil
		case name == "entities" && w.onlyMentions:
			if only := project(value, map[string]bool{"mentions": true}); string(only) != "{}" {
				return only
			}
			return nil
		case name == "edit_history_tweet_ids" && newest != "":
			kept := slices.DeleteFunc(slices.Clone(p.EditHistory), func(id string) bool { return corpus.CompareIDs(id, newest) > 0 })
			if len(kept) < len(p.EditHistory) {
				return marshal(kept)
			}
		}
		return value
	})
	if w.newer {
		return InPostWords(own)
	}
	return own
}

// Where the kinds of included objects are in a result.
const (
	inUsers = iota
	inTweets
	inMedia
	inPolls
	inPlaces
)

// collector gathers what posts refer to, each object once.
type collector struct {
	s      *Server
	viewer string
	w      wanted
	r      *result
	done   map[string]bool
}

// collect answers posts: their objects, and what the expansions ask for.
func (s *Server) collect(r *result, posts []corpus.Post, w wanted, viewer string) {
	c := &collector{s, viewer, w, r, map[string]bool{}}
	for _, p := range posts {
		r.data = append(r.data, s.postObject(p, w))
	}
	for _, p := range posts {
		c.expand(p)
	}
}

func (c *collector) expand(p corpus.Post) {
	l := c.s.linksOf(p)
	on := c.w.expand
	if on["author_id"] {
		c.user("author_id", l.AuthorID)
	}
	if on["in_reply_to_user_id"] {
		c.user("in_reply_to_user_id", l.InReplyTo)
	}
	for _, by := range []struct {
		name string
		list []mention
	}{{"entities.mentions.username", l.Mentions}, {"entities.note.mentions.username", l.NoteMentions}} {
		for _, m := range by.list {
			if on[by.name] {
				c.handle(by.name, m.Username)
			}
		}
	}
	if on["attachments.media_keys"] {
		c.objects(inMedia, "attachments.media_keys", l.Attached.MediaKeys)
	}
	if on["attachments.poll_ids"] {
		c.objects(inPolls, "attachments.poll_ids", l.Attached.PollIDs)
	}
	if on["geo.place_id"] {
		c.objects(inPlaces, "geo.place_id", []string{l.Geo.PlaceID})
	}
	if on["article.cover_media"] {
		c.objects(inMedia, "article.cover_media", []string{l.Article.Cover})
	}
	if on["article.media_entities"] {
		c.objects(inMedia, "article.media_entities", l.Article.Media)
	}
	for _, ref := range l.Refs {
		c.referenced(ref.ID)
	}
	for _, id := range l.History {
		if on["edit_history_tweet_ids"] && id != p.ID {
			c.tweet("edit_history_tweet_ids", id)
		}
	}
}

// referenced follows a post's reference as far as asked for.
func (c *collector) referenced(id string) {
	on := c.w.expand
	if on["referenced_tweets.id"] {
		c.tweet("referenced_tweets.id", id)
	}
	p, how := c.s.look(id, c.viewer)
	if how != shown {
		return
	}
	l := c.s.linksOf(p)
	if on["referenced_tweets.id.author_id"] {
		c.user("referenced_tweets.id.author_id", l.AuthorID)
	}
	if on["referenced_tweets.id.attachments.media_keys"] {
		c.objects(inMedia, "referenced_tweets.id.attachments.media_keys", l.Attached.MediaKeys)
	}
}

func (c *collector) first(kind, id string) bool {
	key := kind + " " + id
	was := c.done[key]
	c.done[key] = true
	return id != "" && !was
}

func (c *collector) tweet(parameter, id string) {
	if !c.first("tweet", id) || c.s.muted([]string{id})[id] {
		return
	}
	switch p, how := c.s.look(id, c.viewer); {
	case how == shown:
		c.r.includes[inTweets] = append(c.r.includes[inTweets], c.s.postObject(p, c.w))
	case how == missing && parameter == "edit_history_tweet_ids" && c.s.later(id):
		// not posted yet, so nobody has heard of it
	case how == missing:
		c.r.errors = append(c.r.errors, notFound("tweet", parameter, id))
	default:
		c.r.errors = append(c.r.errors, notAuthorized("tweet", parameter, id))
	}
}

// later tells whether a post exists but is past its author's horizon.
func (s *Server) later(id string) bool {
	p, ok := s.opt.Corpus.Post(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	return ok && s.beyond(p)
}

func (c *collector) user(parameter, id string) {
	if !c.first("user", id) {
		return
	}
	if raw, ok := c.s.opt.Corpus.User(id); ok {
		c.r.includes[inUsers] = append(c.r.includes[inUsers], project(raw, c.w.user))
		return
	}
	c.r.errors = append(c.r.errors, notFound("user", parameter, id))
}

func (c *collector) handle(parameter, username string) {
	if id, ok := c.s.opt.Corpus.UserByHandle(username); ok {
		c.user(parameter, id)
	} else if c.first("handle", username) {
		c.r.errors = append(c.r.errors, notFound("user", parameter, username))
	}
}

func (c *collector) objects(kind int, parameter string, ids []string) {
	from := map[int]struct {
		name string
		get  func(string) (json.RawMessage, bool)
		may  map[string]bool
	}{
		inMedia:  {"media", c.s.opt.Corpus.MediaObject, c.w.media},
		inPolls:  {"poll", c.s.opt.Corpus.Poll, c.w.poll},
		inPlaces: {"place", c.s.opt.Corpus.Place, c.w.place},
	}[kind]
	for _, id := range ids {
		if !c.first(from.name, id) {
			continue
		}
		if raw, ok := from.get(id); ok {
			c.r.includes[kind] = append(c.r.includes[kind], project(raw, from.may))
		} else {
			c.r.errors = append(c.r.errors, notFound(from.name, parameter, id))
		}
	}
}
