package capture_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/message"
	"xarchive/handler/internal/post"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/x"
)

// ending is how the whole text of a long post ends.
const ending = " and this is how it ends"

// long posts a text that X cuts off in its text, with the whole in the note.
func (w *world) long() corpus.Post {
	time.Sleep(time.Second)
	now := time.Now().UTC()
	id := corpus.NewID(now, 4000)
	whole := strings.Repeat("words ", 60) + ending
	p := w.x.Post(account, corpus.Post{ID: id, CreatedAt: now, Raw: fmt.Appendf(nil,
		`{"id":%q,"text":%q,"display_text_range":[0,250],"author_id":%q,"created_at":%q,"edit_history_tweet_ids":[%q],"note_tweet":{"text":%q}}`,
		id, whole[:249]+"…", account, now.Format("2006-01-02T15:04:05.000Z"), id, whole)})
	w.posted = append(w.posted, p)
	return p
}

// TestWordsSwitchedOff: X stops understanding one vocabulary in the middle of a first
// read of 3,000 posts. Not one of them is archived cut off, or without its author, or
// without the post that it quotes.
func TestWordsSwitchedOff(t *testing.T) {
	for _, to := range []x.Vocabulary{x.PostWords, x.TweetWords} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.page, w.reach = 100, 3200
			w.x = x.New(x.Options{Corpus: newCorpus(t, nil), ConsumerKey: "key", ConsumerSecret: "secret"})
			quoted := w.x.Post("8", corpus.Post{Text: "quoted by many"})
			var long, quoting []string
			for n := range 3000 {
				switch n % 10 {
				case 3:
					long = append(long, w.long().ID)
				case 7:
					time.Sleep(time.Second)
					p := w.x.Post(account, corpus.Post{Text: "look", Refs: []corpus.Ref{{Type: "quoted", ID: quoted.ID}}})
					w.posted, quoting = append(w.posted, p), append(quoting, p.ID)
				default:
					w.post(1)
				}
			}
			w.x.Understand(1 - to)
			pages := 0
			w.x.OnCall(func(_ int, endpoint string) {
				if endpoint == "GET /2/users/:id/tweets" {
					if pages++; pages == 15 {
						w.x.Understand(to)
					}
				}
			})
			time.Sleep(time.Minute)
			w.mustTick()
			w.wantArchived(w.posted...)
			var words = map[string]int{}
			for _, p := range w.posted {
				m, err := message.Read(strings.NewReader(w.message(p.ID)))
				if err != nil {
					t.Fatal(err)
				}
				got := m.Post
				for _, v := range []post.Vocabulary{post.TweetWords, post.PostWords} {
					if strings.HasSuffix(string(m.Document), fmt.Sprintf(`,"vocabulary":%q}`, v)) {
						words[string(v)]++
					}
				}
				if got.Author.Username != "contoso7" {
					t.Errorf("post %s is archived with the author %+v", p.ID, got.Author)
				}
				if slices.Contains(long, p.ID) && !strings.HasSuffix(got.Text.Plain(), ending) {
					t.Errorf("post %s is archived cut off: %q", p.ID, got.Text.Plain())
				}
				if ref := got.Ref(post.Quoted); slices.Contains(quoting, p.ID) && (ref == nil || ref.Post == nil || ref.Post.Author.Username != "contoso8") {
					t.Errorf("post %s is archived without the post that it quotes: %+v", p.ID, ref)
				}
			}
			if words["tweet"] < 1000 || words["post"] < 1000 || words["tweet"]+words["post"] != 3000 {
				t.Errorf("archived in %v, want some in each vocabulary and each saying which", words)
			}
		})
	}
}

// TestChangedAnswer: answers that lack what X must send are not stored, the cursor does
// not move, and the account says why. When X is itself again, nothing is missing.
func TestChangedAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(2)
		w.mustTick()
		before := w.record()
		time.Sleep(time.Hour)
		w.post(1)
		w.x.Fail(func(*http.Request) x.Fault {
			id := corpus.NewID(time.Now(), 1)
			return x.Fault{Status: 200, Body: fmt.Sprintf(`{"data":[{"id":%q,"text":"no author, no history"}],"meta":{"result_count":1}}`, id)}
		})
		for range 2 {
			if err := w.tick(); fault.CauseOf(err) != fault.XChanged {
				t.Errorf("the tick ends with %v, want that X changed its answer", err)
			}
			a := w.record()
			if a.Problem == nil || a.Problem.Cause != fault.XChanged || a.Cursor != before.Cursor || !a.Covered.End().Equal(before.Covered.End()) {
				t.Errorf("problem %+v, cursor %s, covered to %s", a.Problem, a.Cursor, a.Covered.End())
			}
			w.wantArchived(w.posted[:2]...)
			time.Sleep(time.Minute)
		}
		w.x.Fail(nil)
		w.mustTick()
		w.wantArchived(w.posted...)
		if p := w.record().Problem; p != nil {
			t.Errorf("the problem stays: %+v", p)
		}
	})
}

// TestStates: what keeps X from answering is the account's problem, by its own cause.
// X is asked again when that is worth a try, not earlier, and the problem stays until
// X answers.
func TestStates(t *testing.T) {
	for _, c := range []struct {
		why   func(*x.Server, bool)
		cause fault.Cause
		wait  time.Duration // before X is asked again; 0: at every tick
	}{
		{refusing(x.CreditsDepleted), fault.XCredits, time.Hour},
		{refusing(x.UsageCapExceeded), fault.XUsageCap, 24 * time.Hour},
		{refusing(x.NotEnrolled), fault.XNotEnrolled, 0},
		{refusing(x.SignedInSuspended), fault.XSuspended, 0},
		{func(s *x.Server, on bool) { s.Suspend(account, on) }, fault.XSuspended, 0},
		{func(s *x.Server, on bool) { s.Leave(account, on) }, fault.XGone, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.post(1)
			c.why(w.x, true)
			if err := w.tick(); fault.CauseOf(err) != c.cause {
				t.Errorf("the tick ends with %v, want cause %s", err, c.cause)
			}
			asked := w.x.Stats().Requests
			time.Sleep(max(c.wait-time.Minute, time.Minute))
			_ = w.tick() // fails again where X is asked again
			if got := w.x.Stats().Requests > asked; got != (c.wait == 0) {
				t.Errorf("%s: X is asked again within %s: %v", c.cause, c.wait, got)
			}
			if p := w.record().Problem; p == nil || p.Cause != c.cause {
				t.Errorf("problem %+v, want %s", p, c.cause)
			}
			c.why(w.x, false)
			time.Sleep(2 * time.Minute)
			w.mustTick()
			w.wantArchived(w.posted...)
			if p := w.record().Problem; p != nil {
				t.Errorf("the problem stays: %+v", p)
			}
		})
	}
}

// TestCapRenews: when the monthly cap is reached, X is asked again when it begins again,
// by the day that X names, and what was posted meanwhile is archived.
func TestCapRenews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(1)
		w.mustTick()
		time.Sleep(6 * time.Hour) // it is past six in the morning, UTC
		w.post(2)
		w.x.CapBegins(1)
		w.x.Refuse(x.UsageCapExceeded)
		_ = w.tick()
		midnight := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 1)
		if a := w.record(); !a.CapRenews.Equal(midnight) || a.RateReset.Before(midnight) || a.RateReset.Sub(midnight) > time.Second {
			t.Errorf("the cap begins again on %s, and X is asked again on %s, want %s", a.CapRenews, a.RateReset, midnight)
		}
		time.Sleep(time.Until(midnight) - time.Minute)
		asked := w.x.Stats().Requests
		w.mustTick()
		if got := w.x.Stats().Requests; got != asked {
			t.Errorf("X was asked %d times before the cap's day", got-asked)
		}
		w.x.Refuse(x.Nothing)
		time.Sleep(2 * time.Minute)
		w.mustTick()
		w.wantArchived(w.posted...)
		if a := w.record(); a.Problem != nil || !a.CapRenews.IsZero() {
			t.Errorf("problem %+v, the cap begins again on %s", a.Problem, a.CapRenews)
		}
	})
}

// refusing has X refuse calls for a reason, or not.
func refusing(why x.Refusal) func(*x.Server, bool) {
	return func(s *x.Server, on bool) {
		if !on {
			why = x.Nothing
		}
		s.Refuse(why)
	}
}
