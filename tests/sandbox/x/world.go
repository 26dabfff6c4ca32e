package x

import (
	"encoding/json"
	"fmt"
	"time"

	"xarchive/tests/sandbox/corpus"
)

// Until sets an account's horizon: posts newer than that one are not posted yet,
// wherever they are asked for. "" lets all be posted.
func (s *Server) Until(account, postID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.horizon[account] = postID
	s.revision++
}

// Delete takes a post off X, as its author or X would.
func (s *Server) Delete(postID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deleted[postID] = true
	s.revision++
}

// Restore takes Delete back: X shows the post again, as it does when it lifts a
// suspension.
func (s *Server) Restore(postID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.deleted, postID)
	s.revision++
}

// Post posts something in an account's name, as its owner would at this moment, and
// returns it as X has it. What p leaves empty is made up: an id and a time of now, and
// of Raw the members that p's other fields stand for. It panics if the post has an id
// that is known already or none that X would give.
func (s *Server) Post(account string, p corpus.Post) corpus.Post {
	if p.CreatedAt.IsZero() {
		p.CreatedAt = s.now()
	}
	if p.ID == "" {
		s.mu.Lock()
		s.posted++
		p.ID = corpus.NewID(p.CreatedAt, s.posted)
		s.mu.Unlock()
	}
	if p.Raw == nil {
		p.AuthorID = account
		p.Raw = s.composed(p)
	}
	added, err := s.opt.Corpus.Add(fmt.Appendf(nil, `{"data":[%s]}`, p.Raw))
	if err != nil || len(added) != 1 || added[0].AuthorID != account {
		panic(fmt.Sprintf("posting %s: %v (added %d posts)", p.Raw, err, len(added)))
	}
	return added[0]
}

// Change has X give a post otherwise from now on, under the same id: with a notice in
// place of its text, for instance. What p leaves empty of Raw its other fields stand
// for. It panics if X has no such post.
func (s *Server) Change(p corpus.Post) {
	if p.Raw == nil {
		p.Raw = s.composed(p)
	}
	if _, err := s.opt.Corpus.Replace(p.Raw); err != nil {
		panic(err.Error())
	}
	s.links.Delete(p.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revision++
}

// composed is a post's object. created_at has whole seconds, as X's has.
func (s *Server) composed(p corpus.Post) json.RawMessage {
	if p.EditHistory == nil {
		p.EditHistory = []string{p.ID}
	}
	var refs []map[string]string
	for _, r := range p.Refs {
		refs = append(refs, map[string]string{"type": r.Type, "id": r.ID})
	}
	var attached map[string][]string
	if p.MediaKeys != nil {
		attached = map[string][]string{"media_keys": p.MediaKeys}
	}
	return marshal(struct {
		ID       string              `json:"id"`
		Text     string              `json:"text"`
		Author   string              `json:"author_id"`
		Created  string              `json:"created_at"`
		History  []string            `json:"edit_history_tweet_ids"`
		Refs     []map[string]string `json:"referenced_tweets,omitempty"`
		Attached map[string][]string `json:"attachments,omitempty"`
		Entities json.RawMessage     `json:"entities,omitempty"`
	}{p.ID, p.Text, p.AuthorID, p.CreatedAt.UTC().Truncate(time.Second).Format("2006-01-02T15:04:05.000Z"), p.EditHistory, refs, attached, s.entitiesOf(p.Text)})
}
