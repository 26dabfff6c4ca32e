package capture_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/twitter"
	"xarchive/tests/sandbox/x"
)

// The tests of this file have X reach back 320 posts, in pages of 10.

// stopAt has X's n-th answer from now on be an outage, until it is called again with 0.
func (w *world) stopAt(n int) {
	w.x.Fail(nil)
	w.x.OnCall(nil)
	if n == 0 {
		return
	}
	calls := 0
	w.x.OnCall(func(int, string) {
		if calls++; calls == n {
			w.x.Down(true)
		}
	})
}

// TestGapWhilePostsArrive: posts that arrive while a long run is interrupted push
// others out of X's reach. Their time is not covered, and said to be a gap.
func TestGapWhilePostsArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(3)
		w.mustTick()
		time.Sleep(time.Hour)
		w.post(318) // all within reach
		time.Sleep(time.Minute)
		w.stopAt(20)
		if err := w.tick(); err == nil {
			t.Fatal("X was down, and the tick did not fail")
		}
		w.stopAt(0)
		w.x.Down(false)
		w.post(25)
		for range 3 {
			time.Sleep(time.Minute)
			w.mustTick()
		}
		have := len(w.archived())
		if have >= len(w.posted) {
			t.Fatalf("all %d posts are archived: nothing was beyond reach", have)
		}
		w.nothingIsMissing()
		if a := w.record(); len(a.Gaps) != 1 {
			t.Errorf("gaps %v, want one", a.Gaps)
		}
		if w.log.count("level=ERROR", "posts may be missing") != 1 {
			t.Error("the log does not say so, once")
		}
	})
}

// TestNoFalseAlarm: an account whose posts are all within reach has no gap, however
// near the reach, and however often the run is interrupted.
func TestNoFalseAlarm(t *testing.T) {
	for name, c := range map[string]struct {
		before, posts int // known before, new
		stop          int // page at which X goes down; 0: it does not
		meanwhile     int // posts that come while X is down
	}{
		"a first read near the reach":               {0, 315, 0, 0},
		"a first read exactly at the reach":         {0, 320, 0, 0},
		"a first read, interrupted":                 {0, 310, 7, 5},
		"news near the reach":                       {5, 310, 0, 0},
		"news near the reach, interrupted":          {5, 300, 12, 10},
		"a short run that was interrupted for long": {5, 60, 3, 20},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				if c.before > 0 {
					w.post(c.before)
					w.mustTick()
					time.Sleep(26 * time.Hour)
				}
				w.post(c.posts)
				time.Sleep(time.Minute)
				if c.stop > 0 {
					w.stopAt(c.stop)
					if err := w.tick(); err == nil {
						t.Fatal("X was down, and the tick did not fail")
					}
					w.stopAt(0)
					w.x.Down(false)
					time.Sleep(2 * time.Hour)
					w.post(c.meanwhile)
				}
				for range 3 {
					time.Sleep(time.Minute)
					w.mustTick()
				}
				w.wantArchived(w.posted...)
				if a := w.record(); len(a.Gaps) > 0 {
					t.Errorf("gaps %v", a.Gaps)
				}
			})
		})
	}
}

// TestDeletedBeforeCounting: posts are deleted after a first read has read them and
// before X is asked how many there are. They must not make up in number for others that
// were beyond X's reach.
func TestDeletedBeforeCounting(t *testing.T) {
	for name, come := range map[string]int{"and no more come": 0, "and as many come": 3} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.post(322) // two are beyond reach
				read := slices.Clone(w.posted)
				var once sync.Once
				w.x.OnCall(func(_ int, endpoint string) {
					if endpoint == "GET /2/users/:id" {
						once.Do(func() {
							for _, p := range read[100:103] {
								w.x.Delete(p.ID)
							}
						})
					}
				})
				var coming sync.Once
				w.x.AfterCall(func(n int, _ string) {
					if n == 32 { // the last page
						coming.Do(func() { w.post(come) })
					}
				})
				for range 3 {
					time.Sleep(time.Minute)
					w.mustTick()
				}
				w.nothingIsMissing()
			})
		})
	}
}

// TestHiddenPostsNearTheReach: X counts posts that it does not show. A run that ends
// early for that is no proof of the timeline's end.
func TestHiddenPostsNearTheReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(330)
		for _, p := range w.posted[200:260] {
			w.x.Withhold(p.ID)
		}
		time.Sleep(time.Minute)
		w.mustTick()
		a := w.record()
		if len(a.Gaps) != 1 || !a.Missing().Contains(instant(w.posted[5].CreatedAt)) {
			t.Errorf("gaps %v, want one that holds the posts which X does not reach", a.Gaps)
		}
	})
}

// TestPageTokenRefused: the run goes on below its oldest post, and no post is billed
// twice. A run that had read no post begins again.
func TestPageTokenRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(45)
		calls := 0
		w.x.AfterCall(func(int, string) {
			if calls++; calls == 2 {
				w.x.ForgetTokens()
			}
		})
		time.Sleep(time.Minute)
		w.mustTick()
		w.wantArchived(w.posted...)
		if got := w.x.Stats().PostReads; got != 45 {
			t.Errorf("%d post reads, want 45", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(45)
		for _, p := range w.posted[25:] {
			w.x.Withhold(p.ID) // two empty pages come first
		}
		calls := 0
		w.x.AfterCall(func(int, string) {
			if calls++; calls == 2 {
				w.x.ForgetTokens()
			}
		})
		time.Sleep(time.Minute)
		for range 2 {
			if err := w.tick(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		w.wantArchived(w.posted[:25]...)
		if got := w.x.Stats().BilledReads; got != 25 {
			t.Errorf("%d post reads are billed, want 25", got)
		}
	})
}

// TestCircle: a timeline that leads round in a circle ends the run, not the tick.
func TestCircle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(30)
		time.Sleep(time.Minute)
		page, err := twitterPage(w)
		if err != nil {
			t.Fatal(err)
		}
		w.x.Fail(func(r *http.Request) x.Fault {
			if r.URL.Query().Get("pagination_token") == "" {
				return x.Fault{}
			}
			return x.Fault{Status: 200, Body: page}
		})
		if err := w.tick(); err == nil {
			t.Error("no error")
		}
		if got := w.x.Stats().Requests; got > 5 {
			t.Errorf("X was asked %d times", got)
		}
		if a := w.record(); len(a.Covered) > 0 {
			t.Errorf("covered %v", a.Covered)
		}
	})
}

// TestEndlessPages: a timeline that gives one empty page after the other ends the turn,
// and is read to its end once X is well, with nothing mended by hand.
func TestEndlessPages(t *testing.T) {
	for _, wellPages := range []int{0, 1} { // before the endless ones
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.post(30)
			time.Sleep(time.Minute)
			n := 0
			w.x.Fail(func(r *http.Request) x.Fault {
				if !strings.HasSuffix(r.URL.Path, "/tweets") || r.URL.Query().Get("pagination_token") == "" && wellPages > 0 {
					return x.Fault{}
				}
				n++
				return x.Fault{Status: 200, Body: fmt.Sprintf(`{"meta":{"result_count":0,"next_token":"endless%d"}}`, n)}
			})
			if err := w.tick(); err == nil {
				t.Error("no error")
			}
			if a := w.record(); len(a.Covered) > 0 {
				t.Errorf("covered %v", a.Covered)
			}
			w.x.Fail(nil)
			for range 5 {
				time.Sleep(time.Minute)
				_ = w.tick() // each brings it a page further
			}
			w.wantArchived(w.posted...)
			if a := w.record(); len(a.Covered) == 0 || a.Run != nil || a.Problem != nil {
				t.Errorf("covered %v, run %+v, problem %v", a.Covered, a.Run, a.Problem)
			}
			w.noPages()
		})
	}
}

// twitterPage is X's first page as it is now, with a token of a next page.
func twitterPage(w *world) (string, error) {
	token, secret := w.x.Token(account)
	c := twitter.NewClient(w.x.Client(), "https://api.x.com", twitter.App{Key: "key", Secret: "secret"}, twitter.Token{Token: token, Secret: secret})
	a, err := c.Timeline(w.t.Context(), account, twitter.Query{Size: w.page})
	return string(a.Raw), err
}
