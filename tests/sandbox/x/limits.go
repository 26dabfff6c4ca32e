package x

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// window is what is left of a limit, until it begins anew.
type window struct {
	remaining int
	reset     time.Time
}

// windowLength is the same for all calls.
const windowLength = 15 * time.Minute

// limits are requests a user and window.
// https://docs.x.com/x-api/fundamentals/rate-limits
var limits = map[string]int{
	"GET /2/users/me":           75,
	"GET /2/users/:id":          900,
	"GET /2/usage/credits":      900, // not documented
	"GET /2/users/:id/tweets":   900,
	"GET /2/users/:id/mentions": 300,
	"GET /2/tweets":             5000,
	"GET /2/tweets/:id":         900,
	// An app's own. What X takes of the Activity API is not documented.
	"GET /2/webhooks": 300, "POST /2/webhooks": 300, "PUT /2/webhooks/:id": 300, "DELETE /2/webhooks/:id": 300,
	"GET /2/activity/subscriptions": 300, "POST /2/activity/subscriptions": 300, "DELETE /2/activity/subscriptions/:id": 300,
	"GET /2/tweets/search/all": 300,
	"GET /2/tweets/counts/all": 300,
	"GET /2/usage/tweets":      50,
}

// take counts a request against its limit and says so in the headers; false if
// nothing is left. A 429 has no Retry-After.
func (s *Server) take(a *answer, name string) bool {
	limit, set := s.opt.Limits[name]
	if !set {
		limit = limits[name]
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	key := name + " " + a.user
	w := s.windows[key]
	if w == nil || !now.Before(w.reset) {
		w = &window{limit, now.Add(windowLength)}
		s.windows[key] = w
	}
	if s.forced != nil && now.Before(s.forced.reset) {
		w = s.forced
	}
	if len(s.refusals) > 0 {
		w = &window{0, now.Add(s.refusals[0])}
		s.refusals = s.refusals[1:]
	}
	left := w.remaining > 0
	if left {
		w.remaining--
	}
	a.header.Set("x-rate-limit-limit", strconv.Itoa(limit))
	a.header.Set("x-rate-limit-remaining", strconv.Itoa(w.remaining))
	a.header.Set("x-rate-limit-reset", strconv.FormatInt(w.reset.Unix(), 10))
	return left
}

// LimitRate lets that many more API v2 requests through, of all users and calls
// together, until reset. X tells reset in whole seconds.
func (s *Server) LimitRate(remaining int, reset time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forced = &window{remaining, reset}
}

// RefuseRate answers 429 to the next calls of the API v2, whatever their limit, and
// says each time that the window ends so long after (or, below zero, before) that
// moment on X's clock. X has been seen to name times that are past.
func (s *Server) RefuseRate(calls int, reset time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusals = slices.Repeat([]time.Duration{reset}, calls)
}

// Fault is something that goes wrong with one request. The zero value is nothing.
type Fault struct {
	Status   int           // X answers with this status instead
	Body     string        // and this body; X's problem JSON if empty
	Drop     bool          // X closes the connection without an answer
	CutAfter int           // X closes it after so many bytes of the true answer's body
	Delay    time.Duration // X takes so long first
}

// wait is the delay; false if the client went away in the meantime.
func (f Fault) wait(r *http.Request) bool {
	if f.Delay == 0 {
		return true
	}
	t := time.NewTimer(f.Delay)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

// Down has X answer 503 to every request of the API host, or be well again.
func (s *Server) Down(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// Fail has f decide, for each request to the API host, what goes wrong with it;
// nil ends that. f must be safe for use by many goroutines. A request that
// fails with Status or Drop is not counted against limits and reads no post; one
// that is cut off is, as X bills what it sends.
func (s *Server) Fail(f func(*http.Request) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = f
}

func (s *Server) faultFor(r *http.Request) Fault {
	s.mu.Lock()
	down, fail := s.down, s.fail
	s.mu.Unlock()
	if down {
		return Fault{Status: http.StatusServiceUnavailable}
	}
	if fail != nil {
		return fail(r)
	}
	return Fault{}
}
