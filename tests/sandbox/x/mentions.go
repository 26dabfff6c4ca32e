package x

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"xarchive/tests/sandbox/corpus"
)

// maxMentions is how far back X gives the posts that mention an account, counted from the
// newest of them at the time of the call.
// https://docs.x.com/x-api/posts/timelines/integrate
const maxMentions = 800

// mentioning is what mentions an account, whoever wrote it, as far back as X gives it,
// newest first: posts and replies that name it, its own among them. Reposts are left
// out; whether X does so is not documented. It must not be changed.
func (s *Server) mentioning(account string) []corpus.Post {
	revision := s.opt.Corpus.Revision()
	s.mu.Lock()
	kept, server := s.mentioned[account], s.revision
	late := len(s.hidden.until)+len(s.hidden.answers) > 0
	s.mu.Unlock()
	if kept.posts == nil || kept.corpus != revision || kept.server != server || late {
		posts := []corpus.Post{}
		for _, author := range s.opt.Corpus.Authors() {
			hidden := s.late(author)
			posts = append(posts, slices.DeleteFunc(s.current(author, func(p corpus.Post) bool { return hidden[p.ID] }), func(p corpus.Post) bool {
				_, seen := s.look(p.ID, account)
				return seen != shown || p.Kind == corpus.Retweet || !s.names(p, account)
			})...)
		}
		slices.SortFunc(posts, func(a, b corpus.Post) int { return corpus.CompareIDs(b.ID, a.ID) })
		kept = shelf{revision, server, posts}
		if !late {
			s.mu.Lock()
			s.mentioned[account] = kept
			s.mu.Unlock()
		}
	}
	return kept.posts[:min(len(kept.posts), s.opt.MentionsReach)]
}

// names reports whether a post names an account in its text, or in its whole text if that
// is longer.
func (s *Server) names(p corpus.Post, account string) bool {
	l := s.linksOf(p)
	return slices.ContainsFunc(slices.Concat(l.Mentions, l.NoteMentions), func(m mention) bool {
		id, known := s.opt.Corpus.UserByHandle(m.Username)
		return known && id == account
	})
}

var handles = regexp.MustCompile(`@([A-Za-z0-9_]{1,15})`)

// entitiesOf are the entities of a text that names accounts that X knows; nil if it names
// none. X counts code points.
func (s *Server) entitiesOf(text string) json.RawMessage {
	type entity struct {
		Start    int    `json:"start"`
		End      int    `json:"end"`
		Username string `json:"username"`
		ID       string `json:"id"`
	}
	var list []entity
	for _, at := range handles.FindAllStringSubmatchIndex(text, -1) {
		handle := text[at[2]:at[3]]
		if id, known := s.opt.Corpus.UserByHandle(handle); known {
			start := len([]rune(text[:at[0]]))
			list = append(list, entity{start, start + len([]rune(handle)) + 1, strings.Clone(handle), id})
		}
	}
	if list == nil {
		return nil
	}
	return marshal(map[string]any{"mentions": list})
}
