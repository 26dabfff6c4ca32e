package mentions_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/capture"
	"xarchive/handler/internal/capture/capturetest"
	"xarchive/handler/internal/mentions"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/x"
)

// other is who mentions the account.
const other = "8"

// world is a world in which others write about the account.
type world struct {
	*capturetest.World
	said   []corpus.Post // by the other, oldest first
	gaps   atomic.Int32  // reported
	budget capture.Budget
	reach  int
	page   int // posts a page; 0 for as many as X gives
}

func newWorld(t *testing.T, reach int) *world {
	w := &world{reach: reach}
	w.World = capturetest.New(t, func(o *x.Options) {
		o.MentionsReach = reach
		o.Limits["GET /2/users/:id/mentions"] = 1 << 30
	})
	return w
}

// Gap implements mentions.Report.
func (w *world) Gap(context.Context, string) { w.gaps.Add(1) }

// reader is an instance that remembers nothing.
func (w *world) reader() *mentions.Reader {
	return mentions.New(mentions.Options{State: w.State, Capture: w.Capture(), On: true, Budget: w.budget, Report: w, Now: time.Now, Log: w.Logger(), Reach: w.reach, PageSize: w.page})
}

// mention has the other mention the account n times, so far apart.
func (w *world) mention(n int, apart time.Duration) {
	for range n {
		time.Sleep(apart)
		w.said = append(w.said, w.X.Post(other, corpus.Post{Text: fmt.Sprintf("@%s says number %d", capturetest.Handle, len(w.said))}))
	}
}

// tick is what a tick does: new posts, then mentions for half a minute.
func (w *world) tick() {
	w.T.Helper()
	w.Tick()
	ctx, cancel := context.WithTimeout(w.T.Context(), 30*time.Second)
	defer cancel()
	_, err := w.reader().Run(ctx)
	w.Must(err)
}

func (w *world) mentions() state.Mentions {
	w.T.Helper()
	m, err := w.State.Mentions(context.WithoutCancel(w.T.Context()), capturetest.Account)
	w.Must(err)
	return m
}

// archived returns which posts are archived, by the number of their messages.
func (w *world) archived() map[string]int {
	have := map[string]int{}
	for _, name := range w.Names(".eml") {
		have[strings.TrimSuffix(name, ".eml")]++
	}
	return have
}

// wantAll checks that each post is archived once, and nothing else is.
func (w *world) wantAll(posts ...[]corpus.Post) {
	w.T.Helper()
	have, n := w.archived(), 0
	for _, p := range slices.Concat(posts...) {
		n++
		if have[p.ID] != 1 {
			w.T.Errorf("post %s of %s, %q, is archived %d times", p.ID, p.CreatedAt, p.Text, have[p.ID])
		}
	}
	if len(have) != n {
		w.T.Errorf("%d messages in the archive, want %d", len(have), n)
	}
}

// TestMentions: what others write about the account is archived in its folder, as a
// mention by somebody else; its own posts are counted as before, and one that mentions
// itself is archived once, as its own.
func TestMentions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0)
		own := w.Post(3)
		w.mention(5, time.Second)
		time.Sleep(time.Second)
		itself := w.X.Post(capturetest.Account, corpus.Post{Text: "we are @" + capturetest.Handle})
		answer := w.X.Post(other, corpus.Post{Text: "@" + capturetest.Handle + " no", Refs: []corpus.Ref{{Type: "replied_to", ID: own[0].ID}}})
		w.X.Post(other, corpus.Post{Text: "about nobody"})
		time.Sleep(time.Minute)
		w.tick()
		time.Sleep(5 * time.Minute)
		w.mention(1, time.Second)
		time.Sleep(time.Minute)
		w.tick()
		w.wantAll(own, w.said, []corpus.Post{itself, answer})
		if a, m := w.Record(), w.mentions(); a.PostsTotal != 4 || m.Archived != 7 || len(m.Gaps) != 0 || m.Problem != nil ||
			!m.Covered.Contains(state.Range{To: time.Now().Add(-time.Minute)}) || m.Run != nil {
			t.Errorf("%d posts of its own; %+v", a.PostsTotal, m)
		}
		for id, want := range map[string][]string{
			w.said[0].ID: {"X-Twitter-Kind: Mention", "X-Twitter-Author-ID: 8", "X-Twitter-Mentions-ID: 7", "From: \"Contoso 8 (@contoso8)\" <contoso8@x.invalid>",
				"Subject: Mention of @contoso7 by @contoso8: @contoso7 says number 0", "This is a post of @contoso8, not of @contoso7. It is archived because it mentions"},
			answer.ID: {"X-Twitter-Kind: Mention", "In-Reply-To: <" + own[0].ID + "@x.com>"},
			itself.ID: {"X-Twitter-Kind: Tweet", "Subject: we are @contoso7"},
		} {
			eml := strings.ReplaceAll(strings.ReplaceAll(string(w.Read(id+".eml")), "=\r\n", ""), "\r\n ", " ")
			for _, part := range want {
				if !strings.Contains(eml, part) {
					t.Errorf("the message of %s does not say %q:\n%s", id, part, eml)
				}
			}
		}
	})
}

// TestMentionsAreListed: each message of a mention is in the manifest, once, and goes back
// to an answer of X that is kept.
func TestMentionsAreListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0)
		w.mention(3, time.Second)
		time.Sleep(time.Minute)
		for range 4 { // within the overlap
			w.tick()
			time.Sleep(time.Minute)
		}
		var lines []string
		for _, name := range w.Blobs.Names("archive") {
			if strings.HasSuffix(name, ".jsonl") {
				b, _ := w.Blobs.Get("archive", name)
				lines = append(lines, strings.Split(strings.TrimSpace(string(b.Content)), "\n")[1:]...)
			}
		}
		for _, p := range w.said {
			n := 0
			for _, line := range lines {
				if strings.Contains(line, `"`+p.ID+`"`) && strings.Contains(line, `"kind":"Mention"`) && strings.Contains(line, `"path":"raw/7/`) {
					n++
				}
			}
			if n != 1 {
				t.Errorf("mention %s is listed %d times:\n%s", p.ID, n, strings.Join(lines, "\n"))
			}
		}
	})
}

// TestKilledBetweenPages: a run that is killed at every single call of X goes on below what
// it has; nothing is missing and nothing is read twice but the page that was on its way.
func TestKilledBetweenPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 800)
		w.Post(1)
		time.Sleep(time.Minute)
		w.tick()
		w.mention(450, time.Second)
		time.Sleep(time.Minute)
		for range 5 {
			ctx, kill := context.WithCancel(t.Context())
			calls := 0
			w.X.OnCall(func(_ int, endpoint string) {
				if endpoint != "GET /2/users/:id/mentions" {
					return
				}
				if calls++; calls == 2 {
					kill()
				}
			})
			_, _ = w.reader().Run(ctx)
			w.X.OnCall(nil)
			kill()
			time.Sleep(5 * time.Minute)
		}
		time.Sleep(time.Minute)
		w.tick()
		w.tick()
		have := w.archived()
		for _, p := range w.said {
			if have[p.ID] != 1 {
				t.Fatalf("mention %s is archived %d times", p.ID, have[p.ID])
			}
		}
		if m := w.mentions(); m.Archived != 450 || len(m.Gaps) != 0 || m.Run != nil || !m.Covered.Contains(state.Range{To: time.Now().Add(-10 * time.Minute)}) {
			t.Errorf("archived %d, gaps %v, run %+v, covered %v", m.Archived, m.Gaps, m.Run, m.Covered)
		}
		if got := w.X.Stats().BilledReads; got > 452+10 {
			t.Errorf("%d reads are billed for 450 mentions", got)
		}
	})
}

// TestBeyondReach: of 900 mentions since the last run X gives 800. The time of the others is a
// gap, which is reported once, and is not covered; its own posts are not concerned.
func TestBeyondReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 800)
		w.Post(1)
		w.mention(10, time.Second)
		time.Sleep(time.Minute)
		w.tick()
		before := w.mentions().Covered.End()
		w.mention(900, 2*time.Second)
		time.Sleep(time.Minute)
		for range 4 {
			w.tick()
			time.Sleep(5 * time.Minute)
		}
		m := w.mentions()
		if len(m.Gaps) != 1 || w.gaps.Load() != 1 || m.Gaps[0].Why != state.BeyondReach || m.Gaps[0].From.After(before) ||
			!m.Gaps[0].To.Equal(w.said[110].CreatedAt.Truncate(time.Second).Add(time.Second)) {
			t.Fatalf("gaps %v, reported %d; covered to %s before, the oldest of the 800 is of %s", m.Gaps, w.gaps.Load(), before, w.said[110].CreatedAt)
		}
		if m.Archived != 810 || m.Covered.Contains(state.Range{From: w.said[60].CreatedAt, To: w.said[60].CreatedAt.Add(1)}) ||
			!m.Covered.Contains(state.Range{From: m.Gaps[0].To, To: time.Now().Add(-10 * time.Minute)}) {
			t.Errorf("%d archived, covered %v", m.Archived, m.Covered)
		}
		if a := w.Record(); len(a.Gaps) != 0 || a.Problem != nil {
			t.Errorf("the account's own: gaps %v, problem %+v", a.Gaps, a.Problem)
		}
		if !strings.Contains(w.Log.String(), "posts that mention the account may be missing") {
			t.Error("nobody says so")
		}
	})
}

// TestWithinReach: of a long run that X does give to its end nothing is a gap: 790 since the
// last run, and a known one below.
func TestWithinReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 800)
		w.Post(1)
		w.mention(10, time.Second)
		time.Sleep(time.Hour) // they are no longer read again
		w.tick()
		w.mention(790, 2*time.Second)
		time.Sleep(time.Minute)
		for range 2 {
			w.tick()
			time.Sleep(5 * time.Minute)
		}
		if m := w.mentions(); len(m.Gaps) != 0 || m.Archived != 800 || !m.Covered.Contains(state.Range{To: time.Now().Add(-10 * time.Minute)}) {
			t.Errorf("%d archived, gaps %v, covered %v", m.Archived, m.Gaps, m.Covered)
		}
	})
}

// TestFirstRead: of an account with more mentions than X gives back the older ones are a gap
// from the beginning; of one with few nothing is.
func TestFirstRead(t *testing.T) {
	for n, gaps := range map[int]int{100: 0, 900: 1} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 800)
			w.mention(n, time.Second)
			w.Post(1)
			time.Sleep(time.Minute)
			w.tick()
			m := w.mentions()
			if len(m.Gaps) != gaps || m.Archived != min(n, 800) {
				t.Fatalf("%d mentions: %d archived, gaps %v", n, m.Archived, m.Gaps)
			}
			if gaps == 1 && !m.Gaps[0].From.IsZero() {
				t.Errorf("the gap begins at %s", m.Gaps[0].From)
			}
		})
	}
}

// TestShownLate: a mention that X shows late, with a smaller id, is found by the next run.
func TestShownLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0)
		own := w.Post(1)
		w.mention(3, time.Second)
		w.X.ShowLate(w.said[1].ID, time.Now().Add(4*time.Minute))
		time.Sleep(time.Minute)
		w.tick()
		if w.archived()[w.said[1].ID] != 0 {
			t.Fatal("X does not hide it")
		}
		time.Sleep(5 * time.Minute)
		w.tick()
		w.wantAll(own, w.said)
	})
}

// budget grants what is left of it.
type budget struct{ left, asked int }

func (b *budget) Ask(_ context.Context, want int) (int, func(), error) {
	b.asked++
	granted := min(want, b.left)
	return granted, func() {}, nil
}

// TestBudget: nothing is read that the month's limit does not leave, which is said; new posts
// are read all the same, and mentions go on when there is room.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0)
		b := &budget{left: 14} // less than the smallest page with what it may lead to
		w.budget = b
		own := w.Post(1)
		w.mention(60, time.Second)
		time.Sleep(time.Minute)
		w.tick()
		if m := w.mentions(); m.Archived != 0 || m.Problem == nil || !m.Until.After(time.Now()) || w.X.Stats().ByPath["GET /2/users/:id/mentions"] != 0 || b.asked == 0 {
			t.Errorf("%+v", m)
		}
		if w.archived()[own[0].ID] != 1 || !strings.Contains(w.Log.String(), "its own posts do not") {
			t.Errorf("own posts: %v", w.archived())
		}
		b.left = 60 // pages of 20
		time.Sleep(time.Hour)
		w.tick()
		w.wantAll(own, w.said)
		if got := w.X.Stats().ByPath["GET /2/users/:id/mentions"]; got < 3 {
			t.Errorf("%d pages for 60 mentions, though 20 may be read at a time", got)
		}
	})
}

// TestTrouble: whatever X answers for mentions, new posts are archived in the same tick, the
// account has no problem for it, and the mentions are made up for.
func TestTrouble(t *testing.T) {
	for name, fault := range map[string]x.Fault{
		"unavailable": {Status: 503}, "forbidden": {Status: 403}, "credits": {Status: 402, Body: `{"title":"CreditsDepleted"}`},
		"nonsense": {Status: 200, Body: `{"data":7}`}, "rate": {Status: 429}, "broken off": {Drop: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 0)
				w.mention(2, time.Second)
				own := w.Post(1)
				w.X.Fail(func(r *http.Request) x.Fault {
					if strings.HasSuffix(r.URL.Path, "/mentions") {
						return fault
					}
					return x.Fault{}
				})
				time.Sleep(time.Minute)
				for range 3 {
					w.tick()
					time.Sleep(5 * time.Minute)
					own = append(own, w.Post(1)...)
					time.Sleep(time.Minute)
				}
				w.Tick()
				w.wantAll(own)
				if a, m := w.Record(), w.mentions(); a.Problem != nil || a.RateReset.After(time.Now()) || m.Problem == nil || m.Archived != 0 || len(m.Covered) != 0 {
					t.Errorf("account: problem %+v, reset %s; mentions: %+v", a.Problem, a.RateReset, m)
				}
				w.X.Fail(nil)
				time.Sleep(25 * time.Hour)
				w.tick()
				w.wantAll(own, w.said)
				if m := w.mentions(); m.Problem != nil {
					t.Errorf("%+v", m.Problem)
				}
			})
		})
	}
}

// TestPictureThatComesLater: a mention whose picture X does not give at once is archived
// without it; the picture follows as a second message of the mention, which both say so.
func TestPictureThatComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		for name, content := range map[string]string{
			"accounts.json": `["7","8"]`,
			"posts.json": `{"data":[],"includes":{"users":[{"id":"7","name":"Contoso 7","username":"contoso7"},{"id":"8","name":"Contoso 8","username":"contoso8"}],
				"media":[{"media_key":"3_a","type":"photo","url":"https://pbs.twimg.com/media/a.png"}]}}`,
			"media/a.png": "\x89PNG\r\n\x1a\n" + strings.Repeat("a", 100)} {
			file := filepath.Join(dir, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(content), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		c, err := corpus.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		w := &world{}
		w.World = capturetest.New(t, func(o *x.Options) { o.Corpus = c })
		w.Post(1)
		shown := w.X.Post(other, corpus.Post{Text: "@" + capturetest.Handle + " look", MediaKeys: []string{"3_a"}})
		w.X.FailMedia("a.png", x.MediaFault{Status: 503})
		time.Sleep(time.Minute)
		w.tick()
		if have := w.archived(); have[shown.ID] != 1 || have[shown.ID+".media"] != 0 {
			t.Fatalf("archived: %v", have)
		}
		w.X.FailMedia("a.png", x.MediaFault{})
		time.Sleep(time.Hour)
		w.tick()
		if have := w.archived(); have[shown.ID] != 1 || have[shown.ID+".media"] != 1 {
			t.Fatalf("archived: %v", have)
		}
		for file, says := range map[string]string{shown.ID + ".eml": "X-Twitter-Media-Missing: 3_a", shown.ID + ".media.eml": "filename="} {
			eml := string(w.Read(file))
			if !strings.Contains(eml, says) || !strings.Contains(eml, "X-Twitter-Kind: Mention") || !strings.Contains(eml, "X-Twitter-Mentions-ID: 7") {
				t.Errorf("%s does not say %q, or that it is a mention:\n%s", file, says, eml)
			}
		}
		if a, m := w.Record(), w.mentions(); len(a.Waiting) != 0 || len(a.Lost) != 0 || a.PostsTotal != 1 || m.Archived != 1 {
			t.Errorf("%+v; %+v", a, m)
		}
	})
}

// TestOff: without the setting X is not asked.
func TestOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0)
		w.mention(1, time.Second)
		w.Tick()
		r := mentions.New(mentions.Options{State: w.State, Capture: w.Capture(), Report: w, Now: time.Now, Log: w.Logger()})
		if n, err := r.Run(t.Context()); n != 0 || err != nil || w.X.Stats().ByPath["GET /2/users/:id/mentions"] != 0 {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// TestNoMentionIsMissing: whatever happens in between (many or few mentions, X that hides some
// for a while, processes that are killed, hours without a tick), in the end every mention
// is archived once, or its time is a gap that was reported, and is not covered.
func TestNoMentionIsMissing(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			dice := rand.New(rand.NewPCG(seed, 1))
			w := newWorld(t, 60)
			w.page = 5
			own := w.Post(1)
			for range 12 {
				w.mention(dice.IntN(8), time.Duration(dice.IntN(40))*time.Second)
				switch dice.IntN(8) {
				case 0:
					w.mention(40+dice.IntN(60), time.Second)
				case 1:
					if len(w.said) > 0 {
						w.X.ShowLate(w.said[len(w.said)-1].ID, time.Now().Add(90*time.Second)) // at midnight two minutes are read again
					}
				case 2:
					time.Sleep(time.Duration(dice.IntN(30)) * time.Hour)
				}
				time.Sleep(time.Minute + time.Duration(dice.IntN(300))*time.Second)
				w.Tick()
				ctx, kill := context.WithCancel(t.Context())
				if calls := dice.IntN(6); calls > 0 {
					w.X.OnCall(func(n int, endpoint string) {
						if calls--; calls == 0 {
							kill()
						}
					})
				}
				if _, err := w.reader().Run(ctx); err != nil && ctx.Err() == nil {
					t.Fatal(err)
				}
				w.X.OnCall(nil)
				kill()
			}
			for range 3 {
				time.Sleep(5 * time.Minute)
				w.tick()
			}
			have, m := w.archived(), w.mentions()
			for i, p := range w.said {
				at := p.CreatedAt.Truncate(time.Second)
				second := state.Range{From: at, To: at.Add(time.Second)}
				switch covered := m.Covered.Contains(second); {
				case have[p.ID] > 1:
					t.Errorf("seed %d: mention %d is archived %d times", seed, i, have[p.ID])
				case have[p.ID] == 0 && covered:
					t.Errorf("seed %d: mention %d of %s is missing, and its time is covered: %v, gaps %v", seed, i, at, m.Covered, m.Gaps)
				case have[p.ID] == 0 && !slices.ContainsFunc(m.Gaps, func(g state.Gap) bool { return !g.From.After(at) && g.To.After(at) }):
					t.Errorf("seed %d: mention %d of %s is missing without a gap: %v, covered %v", seed, i, at, m.Gaps, m.Covered)
				}
			}
			if m.Run != nil || int(w.gaps.Load()) < len(m.Gaps) || have[own[0].ID] != 1 || m.Covered.End().Before(time.Now().Add(-10*time.Minute)) {
				t.Errorf("seed %d: run %+v, %d gaps reported of %v, covered %v", seed, m.Run, w.gaps.Load(), m.Gaps, m.Covered)
			}
		})
	}
}

// TestMentionIsReadAgain: the document that the archive keeps says that it is a mention.
func TestMentionIsReadAgain(t *testing.T) {
	raw := []byte(`{"data":{"id":"1800000000000000003","text":"@ann hi","author_id":"8","created_at":"2024-06-10T08:00:00.000Z","entities":{"mentions":[{"start":0,"end":4,"username":"ann","id":"7"}]}}}`)
	p, err := post.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	d := post.Document{ID: p.ID, JSON: raw, Post: p}.AsMention("7")
	if d.Err != nil || d.Post.Kind() != post.Mentioning || d.Post.Mentions.Username != "ann" || !strings.HasPrefix(string(d.JSON), strings.TrimSuffix(string(raw), "}")) {
		t.Errorf("%s: %+v, %v", d.JSON, d.Post, d.Err)
	}
	if again := d.AsMention("7"); string(again.JSON) != string(d.JSON) {
		t.Errorf("twice: %s", again.JSON)
	}
	if own := (post.Document{ID: p.ID, JSON: raw, Post: p}).AsMention("8"); string(own.JSON) != string(raw) {
		t.Errorf("its author's own: %s", own.JSON)
	}
	if _, err := post.Parse([]byte("{}")); err == nil || errors.Is(err, post.ErrNoTime) {
		t.Errorf("%v", err)
	}
}

// TestMentionThatIsSetAside: a post of others that no message can be made of is not taken
// for one of the account's own, when X's number of these is compared: it would hide one
// that is missing.
func TestMentionThatIsSetAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0)
		w.Post(3)
		w.mention(1, time.Second)
		name := capturetest.Account + "/" + w.said[0].CreatedAt.UTC().Format("2006/01/02/") + w.said[0].ID + ".eml"
		_, err := w.Storage.Container("archive").Write(t.Context(), name, []byte("foreign"), blob.Condition{})
		w.Must(err)
		time.Sleep(time.Minute)
		w.tick()
		if n := w.Record().SetAside.Posts; n != 1 {
			t.Fatalf("%d posts are set aside", n)
		}
		time.Sleep(24 * time.Hour)
		w.Post(1)
		time.Sleep(time.Minute)
		w.tick()
		time.Sleep(24 * time.Hour)
		w.tick()
		if s := w.Record().Stated; s == nil || s.Archived != 4 || s.Missing != 0 {
			t.Errorf("compared: %+v", s)
		}
	})
}

// TestEmptyAnswer: while X's mentions lack all that it gave a moment ago, and still has, no
// time is covered, and what it left out is archived when it is there. What its authors
// deleted is no such sign.
func TestEmptyAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0)
		own := w.Post(1)
		w.mention(3, time.Second)
		time.Sleep(time.Minute)
		w.tick()
		covered := w.mentions().Covered.End()
		w.mention(2, time.Second)
		var ids []string
		for _, p := range w.said {
			ids = append(ids, p.ID)
		}
		time.Sleep(time.Minute)
		w.X.Fail(func(r *http.Request) x.Fault {
			if strings.HasSuffix(r.URL.Path, "/mentions") {
				w.X.LeaveOut(1, ids...)
			}
			return x.Fault{}
		})
		w.tick()
		if m := w.mentions(); !m.Covered.End().Equal(covered) || m.Problem == nil {
			t.Errorf("covered to %s, before %s; problem %v", m.Covered.End(), covered, m.Problem)
		}
		w.X.Fail(nil)
		time.Sleep(time.Hour)
		w.tick()
		w.wantAll(own, w.said)
		for _, id := range ids {
			w.X.Delete(id)
		}
		covered = w.mentions().Covered.End()
		time.Sleep(time.Minute)
		w.tick()
		if m := w.mentions(); !m.Covered.End().After(covered) || m.Problem != nil || len(m.Gaps) != 0 {
			t.Errorf("covered to %s, before %s; problem %v, gaps %v", m.Covered.End(), covered, m.Problem, m.Gaps)
		}
	})
}
