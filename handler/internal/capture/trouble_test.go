package capture_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/state"
	"xarchive/tests/sandbox/blobs"
	"xarchive/tests/sandbox/corpus"
)

// TestRateLimit: X is asked once, however its reset lies, and not again before it; no
// tick waits for it.
func TestRateLimit(t *testing.T) {
	for name, c := range map[string]struct {
		reset time.Duration
		wait  time.Duration // before X is asked again
	}{
		"a reset two seconds past": {-2 * time.Second, 5 * time.Second},
		"always a minute ahead":    {50 * time.Second, 50 * time.Second},
		"in a quarter of an hour":  {15 * time.Minute, 15 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.post(1)
				w.x.RefuseRate(3, c.reset)
				for n := 1; n <= 3; n++ {
					began := time.Now()
					w.mustTick()
					w.mustTick()
					if got := w.x.Stats().Requests; got != n {
						t.Fatalf("X was asked %d times, want %d", got, n)
					}
					if time.Since(began) > 0 {
						t.Errorf("a tick waited %s", time.Since(began))
					}
					time.Sleep(c.wait + time.Second)
				}
				w.mustTick()
				w.wantArchived(w.posted...)
			})
		})
	}
}

// TestClock: with a clock that is wrong by a minute or four what is new is
// archived and nothing is covered that X has not shown. The skew is recorded.
func TestClock(t *testing.T) {
	for _, skew := range []time.Duration{-4 * time.Minute, -time.Minute, time.Minute, 4 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.skew = skew
			w.post(3)
			w.mustTick()
			a := w.record()
			if a.Covered.End().After(time.Now()) || a.Covered.End().Before(time.Now().Add(-time.Minute)) {
				t.Errorf("by a clock %s behind X's, covered to %s at %s", skew, a.Covered.End(), time.Now())
			}
			if a.Skew != skew {
				t.Errorf("recorded skew %s, want %s", a.Skew, skew)
			}
			if w.log.count("level=WARN", "clock") != 1 {
				t.Error("the log does not say that the clock is wrong, once")
			}
			w.wantArchived(w.posted...)
		})
	}
}

// TestOneTickInTheFuture: a tick with a clock a day ahead costs nothing but itself.
func TestOneTickInTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(3)
		w.skew = -24 * time.Hour // our clock is ahead
		_ = w.tick()             // X may refuse the signature
		w.skew = 0
		w.post(2)
		time.Sleep(time.Minute)
		w.mustTick()
		w.wantArchived(w.posted...)
		if end := w.record().Covered.End(); end.After(time.Now()) {
			t.Errorf("covered to %s at %s", end, time.Now())
		}
	})
}

// TestRunOfTheFuture: a run that an older version began with a clock a day ahead, and
// that has read nothing, does not hold the account up.
func TestRunOfTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r, err := w.state.LoadAccount(t.Context(), account)
		if err != nil {
			t.Fatal(err)
		}
		r.Account.Run = &state.Run{Key: "1", EndTime: time.Now().Add(24 * time.Hour)}
		if err := r.Save(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.post(3)
		time.Sleep(time.Minute)
		w.mustTick()
		w.wantArchived(w.posted...)
	})
}

// TestFairness: two accounts with long histories leave every other account its turn,
// and those that had none come first in the next tick.
func TestFairness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(250)
		for i := 1; i < 20; i++ {
			w.job(fmt.Sprint(7 + i))
			w.x.Post(fmt.Sprint(7+i), corpus.Post{Text: "one post"})
		}
		w.blobs.Before(func(blobs.Op) error {
			time.Sleep(20 * time.Millisecond)
			return nil
		})
		for range 5 {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			if _, err := w.capture().Run(ctx); err != nil {
				t.Fatal(err)
			}
			cancel()
			time.Sleep(time.Minute)
		}
		for i := range 20 {
			id := fmt.Sprint(7 + i)
			a, err := w.state.Account(t.Context(), id)
			if err != nil || a.PostsTotal == 0 {
				t.Errorf("account %s was not read in five ticks: %+v, %v", id, a, err)
			}
		}
	})
}

// TestProgress: ticks of a few seconds, with slow storage, get
// through a page, post by post: no message is written more than twice.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(100)
		w.page, w.reach = 100, 3200
		var mu sync.Mutex
		puts := map[string]int{}
		w.blobs.Before(func(op blobs.Op) error {
			mu.Lock()
			if op.Name == "PutBlob" && op.Container == "archive" {
				puts[op.Blob]++
			}
			mu.Unlock()
			time.Sleep(600 * time.Millisecond)
			return nil
		})
		for range 12 {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			if _, err := w.capture().Run(ctx); err != nil {
				t.Fatal(err)
			}
			cancel()
			if len(w.archived()) == 100 && w.record().Run == nil {
				break
			}
		}
		w.wantArchived(w.posted...)
		for name, n := range puts {
			if n > 2 { // one that was under way when a tick ended is written again
				t.Errorf("%s was written %d times", name, n)
			}
		}
	})
}

// TestDamagedRecords: a record that cannot be read is set aside with its bytes,
// reported, and stops nothing.
func TestDamagedRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.job("8")
		w.post(2)
		w.put("jobs/broken.json", `{"id": "broken", `)
		w.put("jobs/newer.json", `{"v": 99, "id": "newer", "accountId": "9"}`)
		w.put("accounts/8.json", `[]`)
		for range 2 {
			err := w.tick()
			for _, want := range []string{"jobs/broken.json", "jobs/newer.json", "accounts/8.json"} {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("the tick's error does not name %s: %v", want, err)
				}
			}
			if cause := fault.CauseOf(err); cause != fault.StateDamaged && cause != fault.StateNewer {
				t.Errorf("cause %s", cause)
			}
		}
		w.wantArchived(w.posted...)
		if got := w.asideNames(); len(got) != 3 {
			t.Errorf("set aside: %v, want three records", got)
		}
		if got := w.log.count("level=ERROR", "cannot be read"); got != 3 {
			t.Errorf("%d lines say so, want 3", got)
		}
		if b, _ := w.blobs.Get("state", "jobs/newer.json"); !strings.Contains(string(b.Content), `"v": 99`) {
			t.Errorf("a newer version's record was overwritten: %s", b.Content)
		}
	})
}

// put writes a blob of the state container.
func (w *world) put(name, content string) {
	w.t.Helper()
	if _, err := w.storage.Container("state").Write(w.t.Context(), name, []byte(content), blob.Condition{}); err != nil {
		w.t.Fatal(err)
	}
}

// TestPostWithoutTime: one post that cannot be placed in time is set aside; the
// others of its page are archived. A later version tries it again.
func TestPostWithoutTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(2)
		w.x.Post(account, corpus.Post{ID: "418223901", Raw: []byte(`{"id":"418223901","text":"just setting up","author_id":"7","edit_history_tweet_ids":["418223901"]}`)})
		w.post(1)
		for range 2 {
			time.Sleep(time.Minute)
			w.mustTick()
		}
		w.wantArchived(w.posted...)
		if a := w.record(); a.SetAside.Posts != 1 || a.Covered.End().Before(time.Now().Add(-time.Minute)) {
			t.Errorf("set aside %+v, covered to %s", a.SetAside, a.Covered.End())
		}
		if got := w.asideNames(); len(got) != 1 || !strings.Contains(got[0], "418223901") {
			t.Errorf("set aside: %v", got)
		}
		w.version = "v2"
		w.mustTick()
		list, _, err := w.state.Aside(t.Context(), account)
		if err != nil || len(list) != 1 || list[0].Version != "v2" || !strings.Contains(string(list[0].Raw), "just setting up") {
			t.Errorf("after a later version's try: %+v, %v", list, err)
		}
	})
}

// TestAsideArchivedLater: what was set aside is archived by a version that can.
func TestAsideArchivedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(1)
		w.mustTick()
		id := corpus.NewID(time.Now(), 5)
		r, err := w.state.LoadAccount(t.Context(), account)
		if err != nil {
			t.Fatal(err)
		}
		r.Account.SetAside = state.SetAside{Posts: 1, Version: "v0"}
		if err := r.Save(t.Context()); err != nil {
			t.Fatal(err)
		}
		raw := fmt.Sprintf(`{"data":{"id":%q,"text":"understood at last","author_id":"7"}}`, id)
		if _, err := w.state.PutAside(t.Context(), state.AsidePost{AccountID: account, PostID: id, Raw: []byte(raw), Version: "v0"}); err != nil {
			t.Fatal(err)
		}
		w.mustTick()
		if got := w.archived(); !slices.Contains(got, id) {
			t.Errorf("archived: %v", got)
		}
		if a := w.record(); a.SetAside.Posts != 0 || len(w.asideNames()) != 0 {
			t.Errorf("still set aside: %+v, %v", a.SetAside, w.asideNames())
		}
	})
}

// TestClaimedElsewhere: a tick that finds an account claimed, be it by an instance
// that was killed, says so and counts it; it is no failure.
func TestClaimedElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(5)
		record, err := w.state.LoadAccount(t.Context(), account)
		if err != nil {
			t.Fatal(err)
		}
		if err := record.Save(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := record.Claim(t.Context()); err != nil {
			t.Fatal(err)
		}
		report, err := w.capture().Run(t.Context())
		if err != nil || report.Claimed != 1 || report.Posts != 0 || w.log.count("another instance has claimed the account") != 1 {
			t.Errorf("want one account claimed elsewhere and a line that says so, got %+v, %v", report, err)
		}
		record.Release()
		if report, err = w.capture().Run(t.Context()); err != nil || report.Claimed != 0 || report.Posts != 5 {
			t.Errorf("after it: want 5 posts, got %+v, %v", report, err)
		}
	})
}

// TestLostClaim: an instance that loses its claim says so, and fails nothing.
func TestLostClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(5)
		w.blobs.Before(func(op blobs.Op) error {
			if op.Name == "PutBlob" && op.Blob == "accounts/7.json" {
				if b, ok := w.blobs.Get("state", op.Blob); ok && b.LeaseID != "" {
					return &blobs.Answer{Status: 412, Code: "LeaseIdMismatchWithBlobOperation"}
				}
			}
			return nil
		})
		if err := w.tick(); err != nil {
			t.Errorf("tick: %v", err)
		}
		if w.log.count("another instance goes on") != 1 || w.log.count("canceled") != 0 {
			t.Errorf("the log says: %v", w.log.lines)
		}
		w.blobs.Before(nil)
		w.mustTick()
		w.wantArchived(w.posted...)
	})
}
