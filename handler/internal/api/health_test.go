package api

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/jobs/jobstest"
	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/state"
)

// TestHealth: a stranger is told one word and a time; who has the credentials is told
// everything.
func TestHealth(t *testing.T) {
	w := newWorld(t)
	stranger := func(status int, level string) {
		t.Helper()
		got, text, header := w.call("GET", "/api/health", "", "Authorization", "")
		var said map[string]any
		if err := json.Unmarshal([]byte(text), &said); err != nil || got != status || said["level"] != level || header.Get("Cache-Control") != "no-store" {
			t.Errorf("want %d with level %s, got %d %s, %v", status, level, got, text, err)
		}
		if names := slices.Sorted(maps.Keys(said)); !slices.Equal(names, []string{"at", "level"}) {
			t.Errorf("a stranger is told %v", names)
		}
	}
	stranger(200, "needs-you") // keys of the Entra app
	for _, name := range []string{secrets.AADApplicationID, secrets.AADApplicationSecret, secrets.AADApplicationURI} {
		w.Vault.Put(name, "x")
	}
	stranger(200, "needs-you") // the answer of a moment ago
	w.Pass(healthKept)
	stranger(200, "working")

	now := w.Now()
	w.Save(state.Job{ID: "j-1", AccountID: jobstest.Press, AccountName: "Contoso", CreatedAt: now.Add(-time.Hour)})
	record, err := w.State.LoadAccount(t.Context(), jobstest.Press)
	if err != nil {
		t.Fatal(err)
	}
	record.Account.Covered = state.Ranges{{To: now.Add(-time.Minute)}}
	record.Account.Problem = &state.Problem{Cause: fault.XCredits, Text: "inner"}
	if err := record.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.Pass(healthKept)
	stranger(200, "needs-you")
	status, text, _ := w.call("GET", "/API/Health", "")
	var all standings
	if err := json.Unmarshal([]byte(text), &all); err != nil || status != 200 {
		t.Fatalf("%d %s %v", status, text, err)
	}
	if len(all.Jobs) != 1 || all.Level != "needs-you" || all.Jobs[0].Read.Level != "needs-you" || all.Jobs[0].Delivered.Level != "working" || all.Jobs[0].Account != "Contoso" ||
		!strings.Contains(all.Jobs[0].Read.Findings[0].Text, "credits at X") || !all.Jobs[0].Read.Until.Equal(now.Add(-time.Minute)) || all.LastTick.Level != "working" {
		t.Errorf("%s", text)
	}
	if strings.Contains(text, "inner") {
		t.Errorf("internals are told: %s", text)
	}
	if status, text, _ := w.call("GET", "/api/health", "", "Authorization", "Basic eDp5"); status != 401 || strings.Contains(text, "Contoso") {
		t.Errorf("wrong credentials: %d %s", status, text)
	}

	w.BreakState(true)
	w.Pass(healthKept)
	stranger(503, "unknown")
	if status, text, _ := w.call("GET", "/api/health", ""); status != 503 || !strings.Contains(text, `"level":"unknown"`) || !strings.Contains(text, "storage account") || strings.Contains(text, jobstest.InnerDetail) {
		t.Errorf("without state: %d %s", status, text)
	}
}

// silent is a storage account that answers nothing.
type silent struct {
	*state.Store
	left chan time.Duration // until the first call is given up
}

func (s silent) LastTick(ctx context.Context) (time.Time, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(time.Hour)
	}
	s.left <- time.Until(deadline)
	<-ctx.Done()
	return time.Time{}, context.Cause(ctx)
}

// TestHealthOfSilentStorage: a storage account that does not answer is said to be so
// within three seconds.
func TestHealthOfSilentStorage(t *testing.T) {
	w := newWorld(t)
	left := make(chan time.Duration, 1)
	w.serveWith(silent{w.State, left})
	status, text, _ := w.call("GET", "/api/health", "")
	if status != 503 || !strings.Contains(text, "The storage account does not answer") {
		t.Errorf("%d %s", status, text)
	}
	if d := <-left; d > 3*time.Second {
		t.Errorf("a call that nobody answers is given up after %s", d)
	}
}
