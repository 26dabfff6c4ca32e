// Package x stands in for X: the API v2 as far as the connector reads it, OAuth
// 1.0a sign-in with its page, and the media servers. It serves a
// [corpus.Corpus].
//
// It is meant to be as strict as X. It answers only the fields and expansions
// that were asked for, in the [Vocabulary] in which they were asked for; names that X's
// specification does not have it drops in silence, as X does. It refuses what X refuses
// in X's words, verifies every signature itself (RFC 5849), and reaches 3,200 posts
// back. What X is known to do but never documents precisely is said where it is decided.
//
// [New] makes a server; it is the handler of the API host, and [Server.Media] of
// pbs.twimg.com and video.twimg.com. [Server.Client] reaches both without sockets. A
// person signs in on the page behind /oauth/authenticate; [SignIn] and [Deny] do over
// HTTP what that person's browser would. The methods that change what X does (Down,
// Fail, Refuse, Understand, Until, Post, ShowLate, …) may be called at any time, from
// any goroutine.
//
// Sources: https://docs.x.com/x-api for limits and words, and for names X's OpenAPI
// document (https://api.x.com/2/openapi.json), of which extracts of two versions are
// under spec.
package x

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"xarchive/tests/sandbox/corpus"
)

// Options are what a Server needs to know. Corpus, ConsumerKey and
// ConsumerSecret must be set.
type Options struct {
	Corpus         *corpus.Corpus
	ConsumerKey    string // of the developer app, "API key"
	ConsumerSecret string // "API key secret"
	CallbackURLs   []string
	AppName        string            // shown on the sign-in page
	Limits         map[string]int    // requests a window, by "GET /2/users/:id/tweets"; X's where not set
	Reach          int               // posts back that a timeline reaches; X's 3,200 if 0, a quarter of it without replies
	MentionsReach  int               // posts back that X gives those which mention an account; X's 800 if 0
	PageSize       int               // most posts on a page, however many are asked for; 0 is as many
	Webhooks       http.RoundTripper // how X reaches webhooks; nil: it does not
	Now            func() time.Time  // time.Now if nil
	Skew           time.Duration     // how far X's clock is ahead of Now
	Log            *slog.Logger      // discards if nil
}

// Server is the stand-in. Make it with New.
type Server struct {
	opt   Options
	links sync.Map     // of posts, by id
	sent  atomic.Int64 // answers, which are numbered
	specs [2]spec      // by Vocabulary

	mu         sync.Mutex
	requests   map[string]*signIn  // by request token
	tokens     map[string]*access  // by access token
	nonces     map[string]int64    // to the timestamp they came with
	pages      map[string]pageMark // by pagination token
	windows    map[string]*window  // by endpoint and user
	forced     *window             // LimitRate
	refusals   []time.Duration     // RefuseRate
	hidden     hiding
	shelves    map[string]shelf // by account
	mentioned  map[string]shelf // by the account that is mentioned
	revision   int              // changes with horizon and deleted
	onCall     func(n int, endpoint string)
	afterCall  func(n int, endpoint string)
	calls      int       // of the API
	posted     int       // by Post
	swept      time.Time // when nonces were last looked through
	understood []Vocabulary
	refusal    Refusal
	down       bool
	fail       func(*http.Request) Fault
	media      map[string]*MediaFault
	horizon    map[string]string // by account
	deleted    map[string]bool   // posts
	protected  map[string]bool   // accounts
	suspended  map[string]bool
	gone       map[string]bool
	overcount  map[string]int // by account
	credits    *float64       // US dollars; nil: X tells the app none
	capDays    *int           // until the app's monthly cap begins again; nil: it is the calendar's
	stats      Stats
	billed     map[string]bool // day and post
	appBearer  string          // the app's token; "" if it has none
	activity   activity        // webhooks and who is told of what
	searched   time.Time       // when all posts were last searched
	// searchReposts: the search of all posts finds reposts, too
	searchReposts bool
}

// New makes a server that knows the corpus. It starts with nobody signed in.
func New(opt Options) *Server {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	opt.AppName, opt.Reach = cmp.Or(opt.AppName, "Archive connector"), cmp.Or(opt.Reach, maxTimeline)
	opt.MentionsReach = cmp.Or(opt.MentionsReach, maxMentions)
	return &Server{
		opt: opt, requests: map[string]*signIn{}, tokens: map[string]*access{}, nonces: map[string]int64{}, pages: map[string]pageMark{},
		windows: map[string]*window{}, media: map[string]*MediaFault{}, horizon: map[string]string{}, deleted: map[string]bool{},
		protected: map[string]bool{}, suspended: map[string]bool{}, stats: Stats{ByPath: map[string]int{}}, billed: map[string]bool{},
		hidden: newHiding(), shelves: map[string]shelf{}, mentioned: map[string]shelf{}, specs: readSpecs(), understood: []Vocabulary{TweetWords, PostWords},
		gone: map[string]bool{}, overcount: map[string]int{},
	}
}

// Register registers one more callback URL with the app.
func (s *Server) Register(callback string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opt.CallbackURLs = append(slices.Clone(s.opt.CallbackURLs), callback)
}

func (s *Server) registered(callback string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.opt.CallbackURLs, callback)
}

// endpoint is the name that limits, statistics and logs know a request by.
func endpoint(r *http.Request) string {
	path := r.URL.Path
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case len(parts) == 4 && parts[0] == "2" && parts[1] == "users" && (parts[3] == "tweets" || parts[3] == "mentions"):
		path = "/2/users/:id/" + parts[3]
	case len(parts) == 3 && parts[0] == "2" && parts[1] == "webhooks":
		path = "/2/webhooks/:id"
	case len(parts) == 4 && parts[1] == "activity" && parts[2] == "subscriptions":
		path = "/2/activity/subscriptions/:id"
	case len(parts) == 3 && parts[0] == "2" && parts[1] == "tweets":
		path = "/2/tweets/:id"
	case len(parts) == 3 && parts[0] == "2" && parts[1] == "users" && parts[2] != "me":
		path = "/2/users/:id"
	}
	return r.Method + " " + path
}

// now is the time on X's clock.
func (s *Server) now() time.Time { return s.opt.Now().Add(s.opt.Skew) }

// ServeHTTP answers as api.x.com does.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := endpoint(r)
	page := strings.HasSuffix(name, " /oauth/authenticate") || strings.HasSuffix(name, " /oauth/authorize")
	s.countRequest(name, page)
	after := s.called(name)
	fault := s.faultFor(r)
	if !fault.wait(r) {
		return
	}
	a := &answer{header: http.Header{}}
	switch {
	case fault.Drop:
		s.opt.Log.Debug("X drops the connection", "request", name)
		after()
		panic(http.ErrAbortHandler)
	case fault.Status != 0:
		a.problem(fault.Status, cmp.Or(http.StatusText(fault.Status), "Error"), "")
		if fault.Body != "" {
			a.body = []byte(fault.Body)
			if !json.Valid(a.body) {
				a.header.Set("Content-Type", http.DetectContentType(a.body))
			}
		}
	default:
		s.route(a, r, name)
	}
	s.opt.Log.Debug("X answers", "request", name, "status", a.status, "user", a.user, "posts", a.posts)
	a.header.Set("Date", s.now().UTC().Format(http.TimeFormat))
	a.header.Set("X-Transaction-Id", fmt.Sprintf("%016x", s.sent.Add(1)))
	after()
	a.send(w, fault.CutAfter)
}

func (s *Server) route(a *answer, r *http.Request, name string) {
	switch name {
	case "POST /oauth/request_token":
		s.requestToken(a, r)
	case "POST /oauth/access_token":
		s.accessToken(a, r)
	case "GET /oauth/authenticate", "GET /oauth/authorize":
		s.showSignIn(a, r)
	case "POST /oauth/authenticate", "POST /oauth/authorize":
		s.submitSignIn(a, r)
	case "GET /2/openapi.json":
		s.specification(a)
	case "GET /2/usage/credits":
		s.api(a, r, name, s.showCredits)
	case "GET /2/usage/tweets":
		s.api(a, r, name, s.showUsage)
	case "POST /oauth2/token":
		s.appToken(a, r)
	case "GET /2/tweets/search/all":
		s.api(a, r, name, s.searchAll)
	case "GET /2/tweets/counts/all":
		s.api(a, r, name, s.countAll)
	case "GET /2/webhooks":
		s.api(a, r, name, s.listWebhooks)
	case "POST /2/webhooks":
		s.api(a, r, name, s.addWebhook)
	case "PUT /2/webhooks/:id":
		s.api(a, r, name, s.checkWebhook)
	case "DELETE /2/webhooks/:id":
		s.api(a, r, name, s.removeWebhook)
	case "GET /2/activity/subscriptions":
		s.api(a, r, name, s.listSubscriptions)
	case "POST /2/activity/subscriptions":
		s.api(a, r, name, s.subscribe)
	case "DELETE /2/activity/subscriptions/:id":
		s.api(a, r, name, s.unsubscribe)
	case "GET /2/users/me":
		s.api(a, r, name, s.me)
	case "GET /2/users/:id":
		s.api(a, r, name, s.lookupUser)
	case "GET /2/users/:id/tweets":
		s.api(a, r, name, s.timeline)
	case "GET /2/users/:id/mentions":
		s.api(a, r, name, s.mentions)
	case "GET /2/tweets":
		s.api(a, r, name, s.lookup)
	case "GET /2/tweets/:id":
		s.api(a, r, name, s.lookupOne)
	default:
		a.problem(http.StatusNotFound, "Not Found", "")
	}
}

// api is what all calls of the API v2 have in common: the signature, the account
// behind the token, the limits.
func (s *Server) api(a *answer, r *http.Request, name string, call func(*answer, *http.Request, string)) {
	app, answered := s.byApp(a, r, name)
	if answered {
		return
	}
	var signed signed
	var err error
	if !app {
		signed, err = s.verify(r, s.accessSecret)
	}
	if err != nil {
		s.opt.Log.Debug("X refuses the signature", "request", name, "reason", err)
		a.problem(http.StatusUnauthorized, "Unauthorized", "")
		return
	}
	if !app {
		s.mu.Lock()
		a.user = s.tokens[signed.token].account
		s.mu.Unlock()
	}
	if !s.take(a, name) {
		a.problem(http.StatusTooManyRequests, "Too Many Requests", "")
		return
	}
	if s.refused(a, name) {
		return
	}
	call(a, r, a.user)
}

// Protect makes an account's posts visible to itself only, or to all again.
func (s *Server) Protect(account string, protected bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.protected[account] = protected
	s.revision++
}

// Suspend makes an account's posts visible to nobody, or to all again.
func (s *Server) Suspend(account string, suspended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.suspended[account] = suspended
	s.revision++
}

// Leave takes an account off X, as its owner does, or brings it back. Its token still
// signs.
func (s *Server) Leave(account string, left bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone[account] = left
	s.revision++
}

// Overcount has X state so many more posts of an account than it shows.
func (s *Server) Overcount(account string, posts int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.overcount[account] = posts
}

// ForgetTokens makes every page token that was given out invalid, as happens at X after
// a while.
func (s *Server) ForgetTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.pages)
}
