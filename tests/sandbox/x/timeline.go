package x

import (
	"slices"

	"xarchive/tests/sandbox/corpus"
)

// How far back a timeline reaches: 3,200 posts, 800 without replies. It is counted
// from the newest post at the time of the call.
// https://docs.x.com/x-api/posts/timelines/integrate
const (
	maxTimeline       = 3200
	maxWithoutReplies = maxTimeline / 4
)

// shelf is an account's timeline as it was made at a revision.
type shelf struct {
	corpus, server int           // revisions
	posts          []corpus.Post // newest first, of an edited post the newest version; must not be changed
}

// existing is an account's timeline without any limit, newest first.
func (s *Server) existing(account string) []corpus.Post {
	revision := s.opt.Corpus.Revision()
	s.mu.Lock()
	kept, server := s.shelves[account], s.revision
	s.mu.Unlock()
	if kept.posts != nil && kept.corpus == revision && kept.server == server {
		return kept.posts
	}
	posts := s.current(account, func(corpus.Post) bool { return false })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shelves[account] = shelf{revision, server, posts}
	return posts
}

// current makes an account's timeline from all of its posts but some.
func (s *Server) current(account string, without func(corpus.Post) bool) []corpus.Post {
	all := s.opt.Corpus.All(account)
	s.mu.Lock()
	defer s.mu.Unlock()
	return corpus.CurrentVersions(slices.DeleteFunc(all, func(p corpus.Post) bool {
		return s.deleted[p.ID] || s.beyond(p) || without(p)
	}))
}

// count is how many posts an account has at this moment, however many versions they
// have and whether or not a timeline shows them.
func (s *Server) count(account string) int {
	n := len(s.existing(account))
	s.mu.Lock()
	defer s.mu.Unlock()
	return n + s.overcount[account]
}

// reachable is an account's timeline as far back as X shows it, newest first. It must
// not be changed.
func (s *Server) reachable(account string, exclude map[string]bool) []corpus.Post {
	posts := s.existing(account)
	if late := s.late(account); len(late) > 0 {
		posts = s.current(account, func(p corpus.Post) bool { return late[p.ID] })
	}
	reach := s.opt.Reach
	if exclude["replies"] {
		reach = reach * maxWithoutReplies / maxTimeline
	}
	return posts[:min(len(posts), reach)]
}

// between returns the part of a timeline that is newer than since and older than
// until, where these are given.
func between(posts []corpus.Post, since, until string) []corpus.Post {
	older := func(p corpus.Post, id string) int { return corpus.CompareIDs(id, p.ID) }
	if until != "" {
		at, found := slices.BinarySearchFunc(posts, until, older)
		if found {
			at++
		}
		posts = posts[at:]
	}
	if since != "" {
		at, _ := slices.BinarySearchFunc(posts, since, older)
		posts = posts[:at]
	}
	return posts
}
