package x

import (
	"slices"
	"time"

	"xarchive/tests/sandbox/corpus"
)

// hiding is what X does not show though it exists. X documents none of this and rules
// none of it out; a client that believes an answer to be complete loses posts by it.
type hiding struct {
	until    map[string]time.Time // ShowLate, by post
	answers  map[string]int       // ShowLateAfter, by post: timeline answers still without it
	leftOut  map[string]int       // LeaveOut, by post
	withheld map[string]bool
	muted    map[string]bool
}

func newHiding() hiding {
	return hiding{map[string]time.Time{}, map[string]int{}, map[string]int{}, map[string]bool{}, map[string]bool{}}
}

// ShowLate keeps a post from timelines until a moment on the Now clock, though it has
// its id and its time: it takes no place there and nothing is counted. A look-up
// finds it.
func (s *Server) ShowLate(postID string, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hidden.until[postID] = until
}

// ShowLateAfter is ShowLate until that many answers of its author's timeline were
// given, whatever part of it they are.
func (s *Server) ShowLateAfter(postID string, answers int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hidden.answers[postID] = answers
}

// LeaveOut leaves posts out of the next so many timeline answers that should hold
// them. They take up their places on the page, which is shorter without them;
// result_count counts what is sent.
func (s *Server) LeaveOut(answers int, postIDs ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range postIDs {
		s.hidden.leftOut[id] = answers
	}
}

// Withhold has timelines count posts in their paging and their reach but never send
// them. A look-up finds them.
func (s *Server) Withhold(postIDs ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range postIDs {
		s.hidden.withheld[id] = true
	}
}

// Mute has look-ups neither send a post nor say why. Timelines show it.
func (s *Server) Mute(postIDs ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range postIDs {
		s.hidden.muted[id] = true
	}
}

// Unmute ends that.
func (s *Server) Unmute(postIDs ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range postIDs {
		delete(s.hidden.muted, id)
	}
}

// muted returns which of the posts are muted.
func (s *Server) muted(ids []string) map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]bool{}
	for _, id := range ids {
		if s.hidden.muted[id] {
			out[id] = true
		}
	}
	return out
}

// late returns the posts of an account that are not shown yet, and counts the answer
// that does not show them.
func (s *Server) late(account string) map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out map[string]bool
	hide := func(id string) {
		if out == nil {
			out = map[string]bool{}
		}
		out[id] = true
	}
	now := s.opt.Now()
	for id, until := range s.hidden.until {
		if !now.Before(until) {
			delete(s.hidden.until, id)
		} else if s.wrote(account, id) {
			hide(id)
		}
	}
	for id, left := range s.hidden.answers {
		if !s.wrote(account, id) {
			continue
		}
		if left > 0 {
			hide(id)
		}
		if s.hidden.answers[id]--; left <= 1 {
			delete(s.hidden.answers, id)
		}
	}
	return out
}

func (s *Server) wrote(account, postID string) bool {
	p, known := s.opt.Corpus.Post(postID)
	return known && p.AuthorID == account
}

// leaveOut is what of a page is sent. The page is not changed.
func (s *Server) leaveOut(page []corpus.Post) []corpus.Post {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.hidden.leftOut) == 0 && len(s.hidden.withheld) == 0 {
		return page
	}
	return slices.DeleteFunc(slices.Clone(page), func(p corpus.Post) bool {
		if s.hidden.leftOut[p.ID] > 0 {
			s.hidden.leftOut[p.ID]--
			return true
		}
		delete(s.hidden.leftOut, p.ID)
		return s.hidden.withheld[p.ID]
	})
}
