package x

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"xarchive/tests/sandbox/corpus"
)

// appToken answers POST /oauth2/token: the app signs in with its keys (RFC 6749, section
// 4.4). Key and secret are form-encoded before they are joined, as X asks.
// https://docs.x.com/fundamentals/authentication/oauth-2-0/application-only
func (s *Server) appToken(a *answer, r *http.Request) {
	key, secret, basic := r.BasicAuth()
	key, keyErr := url.QueryUnescape(key)
	secret, secretErr := url.QueryUnescape(secret)
	good := basic && keyErr == nil && secretErr == nil && subtle.ConstantTimeCompare([]byte(key), []byte(s.opt.ConsumerKey)) == 1 &&
		subtle.ConstantTimeCompare([]byte(secret), []byte(s.opt.ConsumerSecret)) == 1
	if !good {
		a.raw(http.StatusForbidden, []byte(`{"errors":[{"code":99,"message":"Unable to verify your credentials","label":"authenticity_token_error"}]}`))
		return
	}
	if err := r.ParseForm(); err != nil || r.PostForm.Get("grant_type") != "client_credentials" {
		a.raw(http.StatusBadRequest, []byte(`{"errors":[{"code":170,"message":"Missing required parameter: grant_type","label":"forbidden_missing_parameter"}]}`))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.appBearer == "" {
		s.appBearer = "AAAA" + rand.Text()
	}
	a.raw(http.StatusOK, fmt.Appendf(nil, `{"token_type":"bearer","access_token":%q}`, s.appBearer))
}

// ForgetAppToken makes the app's token invalid.
func (s *Server) ForgetAppToken() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.appBearer = ""
}

// onlyForApps are the calls that X answers to an app's token alone, alsoForApps those
// that it answers to both.
var (
	onlyForApps     = []string{"GET /2/tweets/search/all", "GET /2/tweets/counts/all", "GET /2/usage/tweets"}
	activityForApps = []string{"GET /2/webhooks", "POST /2/webhooks", "PUT /2/webhooks/:id", "DELETE /2/webhooks/:id", "GET /2/activity/subscriptions",
		"POST /2/activity/subscriptions", "DELETE /2/activity/subscriptions/:id"}
	alsoForApps = []string{"GET /2/tweets", "GET /2/tweets/:id", "GET /2/users/:id"}
)

// byApp tells whether a request comes in the app's name. If it must not, or must, it is
// answered.
func (s *Server) byApp(a *answer, r *http.Request, name string) (app, answered bool) {
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	known := s.appBearer != "" && token == s.appBearer
	s.mu.Unlock()
	switch {
	case bearer && !known:
		a.problem(http.StatusUnauthorized, "Unauthorized", "")
		return false, true
	case !bearer && slices.Contains(activityForApps, name): // some take an account's token, too, by X's specification; the connector has none for them
		fallthrough
	case !bearer && slices.Contains(onlyForApps, name), bearer && !slices.Contains(onlyForApps, name) && !slices.Contains(alsoForApps, name) && !slices.Contains(activityForApps, name):
		a.raw(http.StatusForbidden, []byte(`{"title":"Unsupported Authentication","detail":"Authenticating with this token is forbidden for this endpoint.","type":"https://api.twitter.com/2/problems/unsupported-authentication","status":403}`))
		return false, true
	}
	return bearer, false
}

// searchPace is how long X wants between two searches.
const searchPace = time.Second

// tooFast tells whether a search comes less than a second after the one before.
func (s *Server) tooFast() bool {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	fast := now.Sub(s.searched) < searchPace
	s.searched = now
	return fast
}

// Search says what the search of all posts finds beside what an account has posted
// itself. X's keyword search gives no reposts since May 2026; whether from: counts as
// one is not known.
func (s *Server) SearchReposts(found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.searchReposts = found
}

// found is what a search for an account's posts finds, newest first, and the start and
// end that were asked for. Only from: is understood.
func (s *Server) found(q *query) (posts []corpus.Post, start, end time.Time) {
	text := q.values.Get("query")
	handle, from := strings.CutPrefix(text, "from:")
	account, known := s.opt.Corpus.UserByHandle(handle)
	switch {
	case text == "":
		q.fault("query", text, "The `query` query parameter can not be empty")
		return nil, start, end
	case len(text) > 1024:
		q.fault("query", text, "Rules must be 1024 characters or less")
		return nil, start, end
	case !from || strings.ContainsAny(handle, " ()"):
		q.fault("query", text, "This stand-in understands from:<handle> only")
		return nil, start, end
	}
	now := s.now()
	start, end = q.time("start_time"), q.time("end_time")
	switch {
	case !end.IsZero() && end.After(now.Add(-10*time.Second)):
		q.fault("end_time", q.values.Get("end_time"), fmt.Sprintf("Invalid 'end_time':'%s'. 'end_time' must be a minimum of 10 seconds prior to the request time.", q.values.Get("end_time")))
	case !end.IsZero() && !start.IsZero() && !start.Before(end):
		q.fault("start_time", q.values.Get("start_time"), fmt.Sprintf("Invalid 'start_time':'%s'. 'start_time' must be before 'end_time'.", q.values.Get("start_time")))
	}
	if end.IsZero() {
		end = now.Add(-30 * time.Second)
	}
	if start.IsZero() {
		start = end.AddDate(0, 0, -30)
	}
	s.mu.Lock()
	reposts, hidden := s.searchReposts, s.protected[account] || s.suspended[account] || s.gone[account]
	s.mu.Unlock()
	if !known || hidden {
		return nil, start, end
	}
	for _, p := range s.existing(account) {
		second := p.CreatedAt.Truncate(time.Second)
		if second.Before(start) || !second.Before(end) || !reposts && p.Kind == corpus.Retweet {
			continue
		}
		posts = append(posts, p)
	}
	return posts, start, end
}

// searchAll answers GET /2/tweets/search/all.
func (s *Server) searchAll(a *answer, r *http.Request, user string) {
	if s.tooFast() {
		a.header.Set("x-rate-limit-reset", fmt.Sprint(s.now().Unix()+1))
		a.problem(http.StatusTooManyRequests, "Too Many Requests", "")
		return
	}
	q := s.readQuery(r, "GET /2/tweets/search/all")
	w := q.wanted()
	most := 500
	if w.tweet["context_annotations"] {
		most = 100
	}
	size := q.number("max_results", 10, 10, most)
	posts, start, end := s.found(q)
	question := fmt.Sprint("search ", q.values.Get("query"), start, end)
	var mark pageMark
	for _, name := range []string{"next_token", "pagination_token"} {
		if !q.values.Has(name) {
			continue
		}
		token := q.values.Get(name)
		s.mu.Lock()
		var known bool
		mark, known = s.pages[token]
		s.mu.Unlock()
		if !known || mark.question != question {
			q.fault(name, token, fmt.Sprintf("The `%s` query parameter value [%s] is not valid", name, token))
		}
	}
	if slices.Contains(strings.Split(q.values.Get("user.fields"), ","), "parody") {
		q.fault("user.fields", q.values.Get("user.fields"), "The following user fields are not allowed with application-only authentication: [parody]")
	}
	if len(q.faults) > 0 {
		a.invalid(q.faults)
		return
	}
	page, m := s.page(posts, size, mark, question)
	m.PreviousToken = ""
	m.ResultCount, m.NewestID, m.OldestID = len(page), "", ""
	if len(page) > 0 {
		m.NewestID, m.OldestID = page[0].ID, page[len(page)-1].ID
	}
	s.send(a, result{meta: &m}, page, w, user)
}

// countAll answers GET /2/tweets/counts/all: a number for each day, of 31 days at most,
// the rest on further pages. Reposts are counted if the search gives them.
func (s *Server) countAll(a *answer, r *http.Request, _ string) {
	q := s.readQuery(r, "GET /2/tweets/counts/all")
	posts, start, end := s.found(q)
	if g := q.values.Get("granularity"); g != "day" {
		q.fault("granularity", g, "This stand-in counts by day only")
	}
	if len(q.faults) > 0 {
		a.invalid(q.faults)
		return
	}
	name, total := "tweet_count", "total_tweet_count"
	if q.vocabulary == PostWords {
		name, total = "post_count", "total_post_count"
	}
	next := ""
	if end.Sub(start) > 31*24*time.Hour {
		start, next = end.AddDate(0, 0, -31), "more"
	}
	data, sum := []map[string]any{}, 0
	for from := start; from.Before(end); {
		to := from.Truncate(24*time.Hour).AddDate(0, 0, 1)
		if to.After(end) {
			to = end
		}
		n := 0
		for _, p := range posts {
			if second := p.CreatedAt.Truncate(time.Second); !second.Before(from) && second.Before(to) {
				n++
			}
		}
		data = append(data, map[string]any{"start": from.UTC().Format(time.RFC3339), "end": to.UTC().Format(time.RFC3339), name: n})
		sum, from = sum+n, to
	}
	m := map[string]any{total: sum}
	if next != "" {
		m["next_token"] = next
	}
	s.mu.Lock()
	s.stats.Counts++
	s.mu.Unlock()
	a.json(http.StatusOK, map[string]any{"data": data, "meta": m})
}
