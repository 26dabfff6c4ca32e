package browser

import (
	"fmt"
	"testing"
	"time"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/corpus"
)

// TestHistory: a person has an account's older posts counted, sees what they cost, confirms,
// and the timer's ticks read them; a second time it is stopped. All of it without
// JavaScript, and written down.
func TestHistory(t *testing.T) {
	t.Parallel()
	all, ids := people(t, 1)
	s := worldOf(t, all, nil)
	s.X.Post(ids[0], corpus.Post{Text: "A new post", CreatedAt: time.Now().Add(-time.Hour)})
	if err := s.Connect(t.Context(), "job", ids[0]); err != nil {
		t.Fatal(err)
	}
	tick(t, s)
	const older = 30
	for i := range older { // below what the timeline is asked for by now, as what is beyond its reach
		at := time.Now().AddDate(0, 0, -40).Add(time.Duration(i) * time.Minute)
		s.X.Post(ids[0], corpus.Post{ID: corpus.NewID(at, i), CreatedAt: at, Text: fmt.Sprint("An older post, number ", i)})
	}
	billed := s.X.Stats()

	p := newTab(t, s)
	p.withoutScript()
	look := func(name string) {
		p.withScript()
		p.look(name)
		p.withoutScript()
	}
	p.open("/Status/Account?job=job")
	p.signIn(sandbox.APISecretKey)
	p.press("Read older posts")
	p.heading("Older posts")
	p.sees("First, count them", "bills $0.01 for each month")
	look("history-ask")
	p.press("Count the posts")
	p.sees("The posts are being counted", "Stop")
	tick(t, s)
	p.press("Look again")
	p.sees("The posts are counted", fmt.Sprintf("X counts %d posts in", older+1), "costs up to $0.16")
	look("history-counted")
	if got := s.X.Stats(); got.BilledReads != billed.BilledReads || got.Counts == 0 {
		t.Errorf("the estimate costs %d posts and %d counts", got.BilledReads-billed.BilledReads, got.Counts)
	}
	p.fill("Posts that may be read, at most", "100")
	p.press("Read them …")
	p.sees("Read these posts?", "Up to 100 posts are read, which costs up to $0.50")
	look("history-confirm")
	tick(t, s)
	if got := s.X.Stats().BilledReads; got != billed.BilledReads {
		t.Errorf("%d posts are read before that is confirmed", got-billed.BilledReads)
	}
	p.press("Read them, for up to $0.50 and what they refer to")
	p.sees("The posts are being read", "of at most 100")
	look("history-reading")
	tick(t, s)
	p.press("Look again")
	p.sees("All is read", fmt.Sprintf("New in the archive %d", older), "complete")
	look("history-ended")
	p.open("/Status/Account?job=job")
	p.sees(fmt.Sprintf("Posts %d", older+1))
	look("account-with-history")

	t.Log("it can be stopped")
	p.open("/Status/History?job=job")
	p.press("Count the posts")
	p.press("Stop")
	p.sees("Stopped", "a person stopped it", "First, count them")
	p.open("/Views/Changes")
	p.sees("Older posts counted", "Older posts to be read", "100 posts at most, 0.50 US dollars", "Reading of older posts stopped")
	if err := s.CheckReads(t.Context()); err != nil {
		t.Error(err)
	}
}
