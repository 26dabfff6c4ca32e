package api

import (
	"context"
	"net/http"
	"sync"
	"time"

	"xarchive/handler/internal/health"
	"xarchive/handler/internal/web"
)

// GET /api/health says in JSON how everything stands, from the same judgement as the
// pages.
//
// A caller without credentials is told the gravest level, in one word, and when it was
// judged: enough for a probe to raise an alarm, and nothing of which account or why. The
// answer is kept for half a minute, so that strangers do not decide what is asked of
// the storage account. A caller with the Compliance Center's credentials is told
// everything that the overview says.
//
// The status is 200 whenever there is a judgement, however grave: a platform that
// restarts what is not well would mend nothing here. It is 503 if the state cannot be
// read, of which nothing is claimed.

// healthKept is how long an answer to callers without credentials is kept.
const healthKept = 30 * time.Second

// standing is the answer to everybody.
type standing struct {
	Level   string    `json:"level"` // well, working, lost, needs-you; unknown if the state cannot be read
	At      time.Time `json:"at"`    // UTC, when it was judged
	Message string    `json:"message,omitempty"`
}

// standings is the answer to a caller with credentials.
type standings struct {
	standing
	LastTick finding       `json:"timer"`
	Events   *finding      `json:"events,omitempty"` // how X sends its events; absent if it is not to
	Settings []finding     `json:"settings"`
	Damaged  []string      `json:"damaged"`
	Jobs     []jobStanding `json:"jobs"`
}

type jobStanding struct {
	JobID     string   `json:"jobId"`
	AccountID string   `json:"accountId"`
	Account   string   `json:"account"`
	Level     string   `json:"level"`
	Read      verdict  `json:"read"`
	Delivered verdict  `json:"delivered"`
	Mentions  *verdict `json:"mentions,omitempty"` // what others write that mentions the account; absent where it is not read
}

type verdict struct {
	Level    string    `json:"level"`
	Until    time.Time `json:"until,omitzero"`
	Findings []finding `json:"findings"`
}

type finding struct {
	Level string `json:"level"`
	Title string `json:"title,omitempty"`
	Text  string `json:"text"`
}

func findings(list []health.Finding) []finding {
	out := []finding{}
	for _, f := range list {
		out = append(out, newFinding(f))
	}
	return out
}

func newFinding(f health.Finding) finding { return finding{f.Level.Word(), f.Title, f.Text} }

// mentions is what there is to say of posts of others; nil where they are not read.
func mentions(j health.Standing) *verdict {
	if !j.Mentioning {
		return nil
	}
	v := newVerdict(j.Mentions)
	return &v
}

func newVerdict(v health.Verdict) verdict {
	return verdict{v.Level().Word(), v.Until, findings(v.Findings)}
}

// kept is the last answer to a caller without credentials.
type kept struct {
	sync.Mutex
	status int
	answer standing
}

func (a *API) health(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Header.Get("Authorization") == "" {
		status, said := a.keptHealth(r.Context())
		answer(w, status, said)
		return
	}
	if err := a.access.Call(r); err != nil {
		a.fail(w, r, a.strangers, err)
		return
	}
	status, said, report := a.judge(r.Context())
	all := standings{standing: said, LastTick: newFinding(report.Timer), Settings: findings(report.Settings), Damaged: append([]string{}, report.Damaged...), Jobs: []jobStanding{}}
	if report.Events != nil {
		f := newFinding(*report.Events)
		all.Events = &f
	}
	for _, j := range report.Jobs {
		all.Jobs = append(all.Jobs, jobStanding{j.Job.ID, j.Job.AccountID, j.Name(), j.Level().Word(), newVerdict(j.Read), newVerdict(j.Deliver), mentions(j)})
	}
	answer(w, status, all)
}

// keptHealth judges, unless that was done a moment ago. Callers that come together
// wait for one judgement.
func (a *API) keptHealth(ctx context.Context) (int, standing) {
	a.lastHealth.Lock()
	defer a.lastHealth.Unlock()
	if age := a.now().Sub(a.lastHealth.answer.At); a.lastHealth.status != 0 && age >= 0 && age < healthKept {
		return a.lastHealth.status, a.lastHealth.answer
	}
	// It is for others, too: that this caller goes away does not end it.
	status, said, _ := a.judge(context.WithoutCancel(ctx))
	said.Message = "" // what is behind it is not for everybody
	a.lastHealth.status, a.lastHealth.answer = status, said
	return status, said
}

func (a *API) judge(ctx context.Context) (int, standing, health.Report) {
	report, err := a.judged.Report(ctx)
	if err != nil {
		problem := web.Explain(ctx, a.log, "judging how everything stands", err)
		return http.StatusServiceUnavailable, standing{"unknown", report.At, problem.Message}, report
	}
	return http.StatusOK, standing{Level: report.Level().Word(), At: report.At}, report
}
