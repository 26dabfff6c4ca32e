package x

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// me answers GET /2/users/me.
func (s *Server) me(a *answer, r *http.Request, user string) {
	q := s.readQuery(r, "GET /2/users/me")
	fields, expand := q.list("user.fields"), q.list("expansions")
	tweets := wanted{tweet: q.postFields(), newer: q.vocabulary == PostWords}
	if len(q.faults) > 0 {
		a.invalid(q.faults)
		return
	}
	s.countUser(user)
	a.result(s.oneUser(user, user, fields, expand, tweets))
}

// Credit has X tell the app its balance, in US dollars.
func (s *Server) Credit(dollars float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.credits = &dollars
}

// showCredits answers GET /2/usage/credits, which is not in X's specification.
func (s *Server) showCredits(a *answer, _ *http.Request, _ string) {
	s.mu.Lock()
	credits := s.credits
	s.mu.Unlock()
	if credits == nil {
		a.problem(http.StatusNotFound, "Not Found", "")
		return
	}
	a.json(http.StatusOK, map[string]any{"data": map[string]any{"free_balance": 0, "free_grants": []any{}, "prepaid_balance": *credits, "total_balance": *credits}})
}

// CapBegins has the app's month of reads begin again in so many days; without it the
// month is the calendar's.
func (s *Server) CapBegins(days int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.capDays = &days
}

// showUsage answers GET /2/usage/tweets: of the app's usage, the days until its monthly
// cap begins again. (OpenAPI 2.166, getUsage)
func (s *Server) showUsage(a *answer, r *http.Request, _ string) {
	q := s.readQuery(r, "GET /2/usage/tweets")
	fields := q.list("usage.fields")
	if len(q.faults) > 0 {
		a.invalid(q.faults)
		return
	}
	now := s.now().UTC()
	days := int(time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC).Sub(now.Truncate(24*time.Hour)) / (24 * time.Hour))
	s.mu.Lock()
	if s.capDays != nil {
		days = *s.capDays
	}
	s.mu.Unlock()
	data := map[string]any{}
	if fields["cap_reset_day"] {
		data["cap_reset_day"] = days
	}
	a.json(http.StatusOK, map[string]any{"data": data})
}

// oneUser is a user with what the expansions ask for.
func (s *Server) oneUser(id, viewer string, fields, expand map[string]bool, tweets wanted) result {
	for _, name := range []string{"id", "name", "username"} {
		fields[name] = true
	}
	for _, name := range []string{"id", "text", "edit_history_tweet_ids"} {
		tweets.tweet[name] = true
	}
	res := result{one: true, newer: tweets.newer}
	var u map[string]json.RawMessage
	_ = json.Unmarshal(s.user(id), &u)
	for _, name := range []string{"most_recent_tweet_id", "pinned_tweet_id"} {
		var post string
		if !expand[name] {
			continue
		}
		fields[name] = true
		if json.Unmarshal(u[name], &post) == nil && post != "" {
			(&collector{s, viewer, tweets, &res, map[string]bool{}}).tweet(name, post)
		}
	}
	res.data = []json.RawMessage{s.userObject(id, fields)}
	if res.newer {
		res.data[0] = InPostWords(res.data[0])
	}
	return res
}

// lookupUser answers GET /2/users/:id. (OpenAPI 2.166, getUsersById)
func (s *Server) lookupUser(a *answer, r *http.Request, viewer string) {
	q := s.readQuery(r, "GET /2/users/:id")
	fields, expand := q.list("user.fields"), q.list("expansions")
	tweets := wanted{tweet: q.postFields(), newer: q.vocabulary == PostWords}
	id := strings.TrimPrefix(r.URL.Path, "/2/users/")
	if !isID(id) {
		q.fault("id", id, fmt.Sprintf("The `id` query parameter value [%s] is not valid", id))
	}
	if len(q.faults) > 0 {
		a.invalid(q.faults)
		return
	}
	if refused, ok := s.refuseUser(id); ok {
		a.result(result{one: true, errors: []partial{refused}})
		return
	}
	s.countUser(id)
	a.result(s.oneUser(id, viewer, fields, expand, tweets))
}

// refuseUser tells why a user is not shown. A protected account's profile is.
func (s *Server) refuseUser(id string) (partial, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.suspended[id] {
		p := notFound("user", "id", id)
		p.Title, p.Detail, p.Type = "Forbidden", "User has been suspended: ["+id+"].", problems+"resource-unavailable"
		return p, true
	}
	if s.gone[id] {
		return notFound("user", "id", id), true
	}
	if _, known := s.opt.Corpus.User(id); !known && !slices.Contains(s.opt.Corpus.Accounts(), id) {
		return notFound("user", "id", id), true
	}
	return partial{}, false
}

// userObject is a user that was asked for. The posts of our accounts are counted:
// public_metrics.tweet_count is what there is at this moment. A user beside posts, in
// includes, keeps the bytes of the corpus instead.
func (s *Server) userObject(id string, fields map[string]bool) json.RawMessage {
	raw := s.user(id)
	if !fields["public_metrics"] || !slices.Contains(s.opt.Corpus.Accounts(), id) {
		return project(raw, fields)
	}
	var u struct {
		Metrics map[string]json.RawMessage `json:"public_metrics"`
	}
	_ = json.Unmarshal(raw, &u) // without metrics, those that X always has are made up
	metrics := map[string]json.RawMessage{"followers_count": zero, "following_count": zero, "listed_count": zero}
	maps.Copy(metrics, u.Metrics)
	metrics["tweet_count"] = marshal(s.count(id))
	given := marshal(metrics)
	had := false
	out := rewrite(raw, func(name string, value json.RawMessage) json.RawMessage {
		switch {
		case name == "public_metrics":
			had = true
			return given
		case !fields[name]:
			return nil
		}
		return value
	})
	if had {
		return out
	}
	return slices.Concat(bytes.TrimSuffix(bytes.TrimSpace(out), []byte("}")), []byte(`,"public_metrics":`), given, []byte("}"))
}

var zero = json.RawMessage("0")
