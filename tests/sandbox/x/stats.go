package x

import (
	"maps"
	"slices"

	"xarchive/tests/sandbox/corpus"
)

// Stats is what was asked of X since the start.
type Stats struct {
	Requests      int            // to the API host, sign-in pages not counted
	PostReads     int            // posts in data of answers
	BilledReads   int            // those, each at most once a UTC day: what X bills
	BilledUsers   int            // accounts read, each at most once a UTC day
	Counts        int            // of posts, each of which X bills as a request
	MediaRequests int            // to the media servers
	MediaBytes    int64          // sent by them
	ByPath        map[string]int // requests to the API host by "GET /2/users/:id/tweets", pages too
}

// Stats returns the counts so far.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.stats
	out.ByPath = maps.Clone(out.ByPath)
	return out
}

func (s *Server) countRequest(name string, page bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !page {
		s.stats.Requests++
	}
	s.stats.ByPath[name]++
}

func (s *Server) countReads(posts []corpus.Post) {
	day := s.now().UTC().Format("2006-01-02 ")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.PostReads += len(posts)
	for _, p := range posts {
		if !s.billed[day+p.ID] {
			s.billed[day+p.ID] = true
			s.stats.BilledReads++
		}
	}
}

// countUser counts the read of an account.
func (s *Server) countUser(id string) {
	day := s.now().UTC().Format("2006-01-02 user ")
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.billed[day+id] {
		s.billed[day+id] = true
		s.stats.BilledUsers++
	}
}

// Billed returns what X bills, one entry for each read: "2006-01-02 <post>" or
// "2006-01-02 user <account>", the date being UTC.
func (s *Server) Billed() (reads []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.billed))
}

func (s *Server) countMedia(requests int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.MediaRequests += requests
	s.stats.MediaBytes += bytes
}
