package x

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"xarchive/tests/sandbox/corpus"
)

// lookup answers GET /2/tweets?ids=.
func (s *Server) lookup(a *answer, r *http.Request, user string) {
	q := s.readQuery(r, "GET /2/tweets")
	w := q.wanted()
	value := q.values.Get("ids")
	ids := strings.Split(value, ",")
	switch {
	case !q.values.Has("ids") || value == "":
		q.fault("ids", value, "The `ids` query parameter can not be empty")
	case len(ids) > 100:
		q.fault("ids", value, fmt.Sprintf("The number of values in the `ids` query parameter list [%d] is not between 1 and 100", len(ids)))
	}
	for _, id := range ids {
		if value != "" && !isID(id) {
			q.fault("ids", value, fmt.Sprintf("The `ids` query parameter value [%s] is not valid", id))
		}
	}
	if len(q.faults) > 0 {
		a.invalid(q.faults)
		return
	}
	s.answerPosts(a, result{}, ids, "ids", w, user)
}

// lookupOne answers GET /2/tweets/:id.
func (s *Server) lookupOne(a *answer, r *http.Request, user string) {
	q := s.readQuery(r, "GET /2/tweets/:id")
	w := q.wanted()
	id := strings.TrimPrefix(r.URL.Path, "/2/tweets/")
	if !isID(id) {
		q.fault("id", id, fmt.Sprintf("The `id` query parameter value [%s] is not valid", id))
	}
	if len(q.faults) > 0 {
		a.invalid(q.faults)
		return
	}
	s.answerPosts(a, result{one: true}, []string{id}, "id", w, user)
}

// answerPosts answers posts by id; those that cannot be had are errors.
func (s *Server) answerPosts(a *answer, res result, ids []string, parameter string, w wanted, user string) {
	muted := s.muted(ids)
	var posts []corpus.Post
	asked := map[string]bool{}
	for _, id := range ids {
		if asked[id] || muted[id] {
			continue
		}
		asked[id] = true
		switch p, how := s.look(id, user); how {
		case shown:
			posts = append(posts, p)
		case missing:
			res.errors = append(res.errors, notFound("tweet", parameter, id))
		case hidden:
			res.errors = append(res.errors, notAuthorized("tweet", parameter, id))
		}
	}
	s.send(a, res, posts, w, user)
}

// send answers posts, and counts them as read.
func (s *Server) send(a *answer, res result, posts []corpus.Post, w wanted, user string) {
	res.newer = w.newer
	s.collect(&res, posts, w, user)
	s.countReads(posts)
	a.posts = len(posts)
	a.result(res)
}

// pageMark is what a page token stands for. It goes on only with the question it
// was given for: endpoint, since_id, until_id, start_time, end_time, exclude and account
// must be the same. Fields and max_results may change.
type pageMark struct {
	question string
	from     string // id that the page ends before
	newer    bool   // the page is on the newer side of from
}

// timeline answers GET /2/users/:id/tweets.
func (s *Server) timeline(a *answer, r *http.Request, user string) {
	s.answerTimeline(a, r, user, "GET /2/users/:id/tweets", s.reachable)
}

// mentions answers GET /2/users/:id/mentions.
func (s *Server) mentions(a *answer, r *http.Request, user string) {
	s.answerTimeline(a, r, user, "GET /2/users/:id/mentions", func(account string, _ map[string]bool) []corpus.Post { return s.mentioning(account) })
}

// answerTimeline answers with a page of what an account's timeline has, newest first,
// which must not be changed.
func (s *Server) answerTimeline(a *answer, r *http.Request, user, endpoint string, all func(account string, exclude map[string]bool) []corpus.Post) {
	q := s.readQuery(r, endpoint)
	w := q.wanted()
	account := strings.Split(r.URL.Path, "/")[3]
	if !isID(account) {
		q.fault("id", account, fmt.Sprintf("The `id` query parameter value [%s] is not valid", account))
	}
	size := q.number("max_results", 10, 5, 100)
	since, until := q.id("since_id"), q.id("until_id")
	start, end := q.time("start_time"), q.time("end_time")
	exclude := q.excluded()
	now := s.now()
	switch {
	case !end.IsZero() && end.After(now.Add(-10*time.Second)):
		q.fault("end_time", q.values.Get("end_time"), fmt.Sprintf("Invalid 'end_time':'%s'. 'end_time' must be a minimum of 10 seconds prior to the request time.", q.values.Get("end_time")))
	case !end.IsZero() && !start.IsZero() && !start.Before(end):
		q.fault("start_time", q.values.Get("start_time"), fmt.Sprintf("Invalid 'start_time':'%s'. 'start_time' must be before 'end_time'.", q.values.Get("start_time")))
	case start.After(now):
		q.fault("start_time", q.values.Get("start_time"), fmt.Sprintf("Invalid 'start_time':'%s'. 'start_time' must be before the request time.", q.values.Get("start_time")))
	}
	question := strings.Join([]string{endpoint, account, since, until, start.String(), end.String(), fmt.Sprint(exclude)}, " ")
	var mark pageMark
	if q.values.Has("pagination_token") {
		token := q.values.Get("pagination_token")
		s.mu.Lock()
		var known bool
		mark, known = s.pages[token]
		s.mu.Unlock()
		if !known || mark.question != question {
			q.fault("pagination_token", token, fmt.Sprintf("The `pagination_token` query parameter value [%s] is not valid", token))
		}
	}
	if len(q.faults) > 0 {
		a.invalid(q.faults)
		return
	}
	if refused, ok := s.refuseAccount(account, user); ok {
		a.result(result{errors: []partial{refused}})
		return
	}
	posts := between(all(account, exclude), since, until)
	if !start.IsZero() || !end.IsZero() || len(exclude) > 0 {
		posts = slices.DeleteFunc(slices.Clone(posts), func(p corpus.Post) bool {
			second := p.CreatedAt.Truncate(time.Second)
			return !start.IsZero() && second.Before(start) || !end.IsZero() && second.After(end) ||
				exclude["replies"] && p.Kind == corpus.Reply || exclude["retweets"] && p.Kind == corpus.Retweet
		})
	}
	if s.opt.PageSize > 0 {
		size = min(size, s.opt.PageSize)
	}
	page, m := s.page(posts, size, mark, question)
	page = s.leaveOut(page)
	m.ResultCount, m.NewestID, m.OldestID = len(page), "", ""
	if len(page) > 0 {
		m.NewestID, m.OldestID = page[0].ID, page[len(page)-1].ID
	}
	s.send(a, result{meta: &m}, page, w, user)
}

// refuseAccount tells why an account's timeline cannot be read: an answer with
// errors and without meta.
func (s *Server) refuseAccount(account, viewer string) (partial, bool) {
	if p, refused := s.refuseUser(account); refused {
		return p, true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.protected[account] && account != viewer {
		return notAuthorized("user", "id", account), true
	}
	return partial{}, false
}

// page cuts a page out of a timeline and makes the tokens of its neighbours.
func (s *Server) page(posts []corpus.Post, size int, mark pageMark, question string) ([]corpus.Post, meta) {
	from, to := 0, len(posts)
	if mark.from != "" {
		at, _ := slices.BinarySearchFunc(posts, mark.from, func(p corpus.Post, id string) int { return corpus.CompareIDs(id, p.ID) })
		if mark.newer {
			to = at // posts[:at] are newer than the mark
			from = max(0, to-size)
		} else {
			from = at
			if at < len(posts) && posts[at].ID == mark.from {
				from++
			}
		}
	}
	to = min(to, from+size)
	page := posts[from:to]
	var m meta
	if len(page) > 0 {
		if to < len(posts) {
			m.NextToken = s.mark(pageMark{question, page[len(page)-1].ID, false})
		}
		if from > 0 && mark.from != "" {
			m.PreviousToken = s.mark(pageMark{question, page[0].ID, true})
		}
	}
	return page, m
}

func (s *Server) mark(m pageMark) string {
	token := "7140dibdnow9c7btw" + strings.ToLower(rand.Text())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages[token] = m
	return token
}
