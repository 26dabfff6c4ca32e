package x

import "strings"

// OnCall has f called before each call of the API v2 is looked at, with its number
// since New, from 1, and its endpoint as limits name it ("GET /2/users/:id/tweets").
// f may call the server's methods, so that posts arrive between two calls of a client.
// Calls that fail are called for too. nil ends it.
func (s *Server) OnCall(f func(n int, endpoint string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onCall = f
}

// AfterCall has f called when the answer to a call is made and not sent yet: what f
// changes is not in it, and the client has not gone on. nil ends it.
func (s *Server) AfterCall(f func(n int, endpoint string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.afterCall = f
}

// called numbers a request if it is a call of the API, and calls the hooks: OnCall
// now, AfterCall when the function that it returns is called.
func (s *Server) called(endpoint string) (after func()) {
	if !strings.Contains(endpoint, " /2/") {
		return func() {}
	}
	s.mu.Lock()
	s.calls++
	n, on := s.calls, s.onCall
	s.mu.Unlock()
	if on != nil {
		on(n, endpoint)
	}
	return func() {
		s.mu.Lock()
		f := s.afterCall
		s.mu.Unlock()
		if f != nil {
			f(n, endpoint)
		}
	}
}
