package activity_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/activity"
	"xarchive/handler/internal/capture/capturetest"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
	"xarchive/handler/internal/web"
	"xarchive/tests/sandbox/blobs"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/x"
)

const address = "https://connector.example" + activity.Path

// world is a world whose X reaches the connector's door.
type world struct {
	*capturetest.World
	door  http.Handler
	words *twitter.Words
}

// RoundTrip implements http.RoundTripper: X knocks.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := httptest.NewRecorder()
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w.door.ServeHTTP(answer, r)
	return answer.Result(), nil
}

func newWorld(t *testing.T, on bool) *world {
	w := &world{words: new(twitter.Words)}
	w.World = capturetest.New(t, func(o *x.Options) { o.Webhooks = w })
	mux := web.New(func(w http.ResponseWriter, _ *http.Request, status int) { w.WriteHeader(status) })
	activity.NewDoor(activity.DoorOptions{On: on, State: w.State, Now: time.Now, Log: w.Logger(), Strangers: w.Logger(),
		Secret: func(context.Context) (string, error) { return "secret", nil },
		Refuse: func(w http.ResponseWriter, _ *http.Request, status int) { w.WriteHeader(status) }}).Register(mux)
	w.door = mux
	return w
}

// keeper is an instance that remembers nothing.
func (w *world) keeper(change func(*activity.KeeperOptions)) *activity.Keeper {
	o := activity.KeeperOptions{On: true, Address: address, State: w.State, Archive: w.Archive, Capture: w.Capture(), Gone: w.Gone(), Now: time.Now, Log: w.Logger(),
		Open: func(context.Context) (activity.X, error) {
			return w.words.App(w.X.Client(), "https://api.x.com", twitter.App{Key: "key", Secret: "secret"}), nil
		}}
	if change != nil {
		change(&o)
	}
	return activity.NewKeeper(o)
}

// run is what a tick does: new posts, then events for half a minute.
func (w *world) run(k *activity.Keeper) {
	w.T.Helper()
	w.Tick()
	ctx, cancel := context.WithTimeout(w.T.Context(), 30*time.Second)
	defer cancel()
	if _, err := k.Run(ctx); err != nil {
		w.T.Fatal(err)
	}
}

func (w *world) open() (names []string) {
	for _, name := range w.Blobs.Names("state") {
		if strings.HasPrefix(name, "activity/open/") {
			names = append(names, name)
		}
	}
	return names
}

// hooks describes what X knows.
func (w *world) hooks() string { return fmt.Sprint(w.X.Webhooks()) }

func (w *world) tell(kind string, p corpus.Post) {
	w.T.Helper()
	w.Must(w.X.Tell(w.T.Context(), kind, p))
}

// TestDeletion: a deletion that X tells of is recorded when X confirms it, with X as who told; and
// so is the return of the post. What was archived stays as it is.
func TestDeletion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, true)
		posts := w.Post(3)
		time.Sleep(time.Minute)
		w.run(w.keeper(nil))
		time.Sleep(time.Hour) // the timeline is not read again so far back
		w.run(w.keeper(nil))
		before := string(w.Read(posts[1].ID + ".eml"))
		w.X.Delete(posts[1].ID)
		w.tell("post.delete", posts[1])
		time.Sleep(time.Minute)
		w.run(w.keeper(nil))
		var note struct{ Is, By, Why string }
		w.Must(json.Unmarshal(w.Read(posts[1].ID+".gone.json"), &note))
		if note.Is != "gone" || note.By != "activity" || note.Why == "" || len(w.open()) != 0 {
			t.Errorf("%+v, open %v", note, w.open())
		}
		w.X.Restore(posts[1].ID)
		w.tell("post.create", posts[1])
		time.Sleep(time.Minute)
		w.run(w.keeper(nil))
		w.Must(json.Unmarshal(w.Read(posts[1].ID+".back.json"), &note))
		if note.Is != "back" || note.By != "activity" || len(w.open()) != 0 || string(w.Read(posts[1].ID+".eml")) != before {
			t.Errorf("%+v, open %v", note, w.open())
		}
		if a, err := w.State.Activity(t.Context()); err != nil || a.Problem != nil || a.LastEvent.IsZero() {
			t.Errorf("%+v, %v", a, err)
		}
	})
}

// TestNotConfirmed: while X still gives a post that it has said is deleted nothing is recorded,
// and it is asked again; after a day what it answers counts.
func TestNotConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, true)
		posts := w.Post(2)
		time.Sleep(time.Minute)
		w.run(w.keeper(nil))
		w.tell("post.delete", posts[0])
		w.tell("post.delete", posts[1])
		time.Sleep(time.Minute)
		w.run(w.keeper(nil))
		if len(w.Names(".json")) != 0 || len(w.open()) != 2 {
			t.Fatalf("noted: %v, open %v", w.Names(".json"), w.open())
		}
		w.X.Delete(posts[0].ID)
		time.Sleep(time.Hour)
		w.run(w.keeper(nil))
		if got := w.Names(".json"); !slices.Equal(got, []string{posts[0].ID + ".gone.json"}) || len(w.open()) != 1 {
			t.Errorf("noted: %v, open %v", got, w.open())
		}
		time.Sleep(25 * time.Hour)
		w.run(w.keeper(nil))
		if len(w.open()) != 0 || !strings.Contains(w.Log.String(), "what it answers counts") {
			t.Errorf("open %v", w.open())
		}
	})
}

// TestDeletedBeforeItWasRead: that is said, and nothing else can be done.
func TestDeletedBeforeItWasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, true)
		w.Post(1)
		time.Sleep(time.Minute)
		w.run(w.keeper(nil))
		p := w.X.Post(capturetest.Account, corpus.Post{Text: "oops"})
		w.X.Delete(p.ID)
		w.tell("post.delete", p)
		time.Sleep(time.Minute)
		w.run(w.keeper(nil))
		if len(w.open()) != 0 || !strings.Contains(w.Log.String(), "it was gone before it was read") {
			t.Errorf("open %v", w.open())
		}
	})
}

type nothing struct{}

func (nothing) Ask(context.Context, int) (int, func(), error) { return 0, func() {}, nil }

// TestBudget: nothing is asked that the month's limit does not leave.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, true)
		posts := w.Post(1)
		time.Sleep(time.Minute)
		w.run(w.keeper(nil))
		time.Sleep(time.Hour)
		w.run(w.keeper(nil))
		w.X.Delete(posts[0].ID)
		w.tell("post.delete", posts[0])
		asked := w.X.Stats().ByPath["GET /2/tweets"]
		time.Sleep(time.Minute)
		w.run(w.keeper(func(o *activity.KeeperOptions) { o.Budget = nothing{} }))
		if w.X.Stats().ByPath["GET /2/tweets"] != asked || len(w.open()) != 1 {
			t.Errorf("asked %d times, open %v", w.X.Stats().ByPath["GET /2/tweets"]-asked, w.open())
		}
	})
}

// TestFirst: an account of which X tells that it has posted comes first, until its turn.
func TestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, true)
		w.Post(1)
		time.Sleep(time.Minute)
		k := w.keeper(nil)
		w.run(k)
		if got := k.First(t.Context()); len(got) != 0 {
			t.Errorf("%v", got)
		}
		p := w.Post(1)[0]
		w.tell("post.create", p)
		if got := k.First(t.Context()); !got[capturetest.Account] {
			t.Errorf("%v", got)
		}
		time.Sleep(time.Minute)
		w.run(k)
		if got := k.First(t.Context()); len(got) != 0 || w.Read(p.ID+".eml") == nil {
			t.Errorf("%v", got)
		}
		if off := w.keeper(func(o *activity.KeeperOptions) { o.On = false }).First(t.Context()); off != nil {
			t.Errorf("off: %v", off)
		}
	})
}

// TestKept: the webhook and what is sent to it are as they are to be, whatever was there: made
// once, checked again when X takes it for dead, without accounts that no job archives,
// at the new address when the connector moves, and away when it is switched off.
func TestKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, true)
		w.Post(1)
		time.Sleep(time.Minute)
		for range 3 {
			w.run(w.keeper(nil))
			time.Sleep(61 * time.Minute)
		}
		all := w.X.Webhooks()
		if len(all) != 1 || all[0].URL != address || !all[0].Valid || !slices.Equal(all[0].Accounts, []string{"7", "7"}) {
			t.Fatalf("%v", w.hooks())
		}
		if err := w.keeper(nil).Check(t.Context()); err != nil {
			t.Errorf("check: %v", err)
		}
		w.X.Invalidate()
		if err := w.keeper(nil).Check(t.Context()); fault.CauseOf(err) != fault.XRefused {
			t.Errorf("check of a dead webhook: %v", err)
		}
		w.run(w.keeper(nil))
		if all = w.X.Webhooks(); !all[0].Valid {
			t.Errorf("not checked again: %v", w.hooks())
		}
		w.Must(w.State.TakeAccount(t.Context(), "8", "job8", time.Now()))
		w.Must(w.State.UpdateJob(t.Context(), "job8", func(j *state.Job) error { j.AccountID, j.Handle = "8", "contoso8"; return nil }))
		_, err := w.keeper(nil).Run(t.Context())
		w.Must(err)
		if all = w.X.Webhooks(); !slices.Equal(all[0].Accounts, []string{"7", "7", "8", "8"}) {
			t.Errorf("another job: %v", w.hooks())
		}
		w.Must(w.State.DeleteJob(t.Context(), "job8"))
		_, err = w.keeper(nil).Run(t.Context())
		w.Must(err)
		if all = w.X.Webhooks(); !slices.Equal(all[0].Accounts, []string{"7", "7"}) {
			t.Errorf("a job is gone: %v", w.hooks())
		}
		moved := func(o *activity.KeeperOptions) { o.Address = "https://elsewhere.example" + activity.Path }
		_, err = w.keeper(moved).Run(t.Context())
		w.Must(err)
		if all = w.X.Webhooks(); len(all) != 1 || all[0].URL == address || len(all[0].Accounts) != 2 {
			t.Errorf("moved: %v", w.hooks())
		}
		off := func(o *activity.KeeperOptions) { o.On = false }
		_, err = w.keeper(off).Run(t.Context())
		w.Must(err)
		if _, err := w.State.Activity(t.Context()); len(w.X.Webhooks()) != 0 || err == nil {
			t.Errorf("switched off: %v, %v", w.hooks(), err)
		}
	})
}

// TestRefused: X's refusals are written down and said, cost new posts nothing, and are no error of
// the tick; without an https address X is not asked at all.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, true)
		posts := w.Post(1)
		w.X.Fail(func(r *http.Request) x.Fault {
			if strings.HasPrefix(r.URL.Path, "/2/webhooks") {
				return x.Fault{Status: 403}
			}
			return x.Fault{}
		})
		time.Sleep(time.Minute)
		w.run(w.keeper(nil))
		a, err := w.State.Activity(t.Context())
		if err != nil || a.Problem == nil || a.Problem.Cause != fault.XForbidden || !a.Until.After(time.Now()) {
			t.Errorf("%+v, %v", a, err)
		}
		if w.Read(posts[0].ID+".eml") == nil || !strings.Contains(w.Log.String(), "X does not send its events") {
			t.Error("new posts have waited, or nobody says so")
		}
		w.X.Fail(nil)
		time.Sleep(20 * time.Minute)
		w.run(w.keeper(nil))
		if a, err = w.State.Activity(t.Context()); err != nil || a.Problem != nil {
			t.Errorf("%+v, %v", a, err)
		}
		asked := w.X.Stats().Requests
		k := w.keeper(func(o *activity.KeeperOptions) { o.Address = "http://localhost:7071" + activity.Path })
		_, err = k.Run(t.Context())
		w.Must(err)
		if a, err = w.State.Activity(t.Context()); err != nil || a.Problem == nil || a.Problem.Cause != fault.Settings || w.X.Stats().Requests != asked {
			t.Errorf("%+v, %v", a, err)
		}
	})
}

// TestRefusedInPart: what X refuses for one subscription keeps no other from being made.
func TestRefusedInPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, true)
		w.Post(1)
		refused := 0
		w.X.Fail(func(r *http.Request) x.Fault {
			if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/subscriptions") && refused == 0 {
				refused++
				return x.Fault{Status: 403}
			}
			return x.Fault{}
		})
		time.Sleep(time.Minute)
		w.run(w.keeper(nil))
		a, err := w.State.Activity(t.Context())
		if err != nil || a.Problem == nil || a.Problem.Cause != fault.XForbidden || refused != 1 {
			t.Errorf("%+v, %v; %d refused", a, err, refused)
		}
		if made := w.X.Stats().ByPath["POST /2/activity/subscriptions"]; made != 2 {
			t.Errorf("%d subscriptions are asked for, want both", made)
		}
	})
}

// TestDoor: only what X has signed is taken, once, and not when it is old; a challenge is
// answered only if it cannot be an event.
func TestDoor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, true)
		p := w.Post(1)[0]
		send := func(e x.Event) int {
			t.Helper()
			status, err := w.X.Send(t.Context(), address, e)
			w.Must(err)
			return status
		}
		good := w.X.Event("post.delete", p)
		for name, c := range map[string]struct {
			event  x.Event
			status int
		}{
			"without a signature":    {x.Event{Body: good.Body}, 401},
			"with another's":         {x.Event{Body: good.Body, Signature: w.X.Event("post.delete", p).Signature}, 401},
			"changed on the way":     {x.Event{Body: []byte(strings.Replace(string(good.Body), p.ID, "1", 1)), Signature: good.Signature}, 401},
			"too large":              {x.Event{Body: []byte(strings.Repeat(" ", 2<<20)), Signature: good.Signature}, 413},
			"of another account":     {w.X.Event("post.delete", corpus.Post{ID: p.ID, AuthorID: "8"}), 200},
			"of a type not asked":    {w.X.Event("like.create", p), 200},
			"of a post that is none": {w.X.Event("post.delete", corpus.Post{ID: "../../x", AuthorID: p.AuthorID}), 200},
		} {
			if got := send(c.event); got != c.status || len(w.open()) != 0 {
				t.Errorf("%s: status %d, want %d; kept %v", name, got, c.status, w.open())
			}
		}
		for range 2 { // X sends it twice
			if got := send(good); got != 200 || len(w.open()) != 1 {
				t.Errorf("status %d, kept %v", got, w.open())
			}
		}
		events, _, err := w.State.Events(t.Context())
		w.Must(err)
		w.Must(w.State.EndEvent(t.Context(), events[0]))
		if got := send(good); got != 200 || len(w.open()) != 0 {
			t.Errorf("played again: status %d, kept %v", got, w.open())
		}
		stale := w.X.Event("post.delete", p)
		time.Sleep(4 * 24 * time.Hour)
		if got := send(stale); got != 200 || len(w.open()) != 0 {
			t.Errorf("an old one: status %d, kept %v", got, w.open())
		}
		for asked, want := range map[string]int{"abcDEF-_=123": 200, "": 400, string(good.Body): 400, `{}`: 400, strings.Repeat("a", 300): 400} {
			r, err := http.NewRequest(http.MethodGet, address+"?"+url.Values{"crc_token": {asked}}.Encode(), nil)
			w.Must(err)
			resp, err := w.RoundTrip(r)
			w.Must(err)
			if resp.StatusCode != want {
				t.Errorf("challenge %.20q: status %d, want %d", asked, resp.StatusCode, want)
			}
		}
		w.Blobs.Before(func(blobs.Op) error { return errors.New("down") })
		if got := send(w.X.Event("post.delete", p)); got < 500 {
			t.Errorf("while storage is down: status %d; X is to come again", got)
		}
	})
}

// TestStrangersAtTheDoor: whoever has a challenge answered has a signature of its text. That makes
// no event of it, whatever the text is in JSON; and no stranger writes lines without bound, also
// while the app's secret cannot be read.
func TestStrangersAtTheDoor(t *testing.T) {
	var own, bounded strings.Builder
	fails := false
	mux := web.New(func(w http.ResponseWriter, _ *http.Request, status int) { w.WriteHeader(status) })
	activity.NewDoor(activity.DoorOptions{On: true, Now: time.Now,
		Log: slog.New(slog.NewTextHandler(&own, nil)), Strangers: slog.New(slog.NewTextHandler(&bounded, nil)),
		Secret: func(context.Context) (string, error) {
			if fails {
				return "", fault.New(fault.KeyVault, "down")
			}
			return "secret", nil
		}}).Register(mux)
	ask := func(method, query, body, signature string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, activity.Path+query, strings.NewReader(body))
		r.Header.Set("X-Twitter-Webhooks-Signature", signature)
		answer := httptest.NewRecorder()
		mux.ServeHTTP(answer, r)
		return answer
	}
	for _, text := range []string{"null", "123", "true", "abc"} {
		var got struct {
			Token string `json:"response_token"`
		}
		if err := json.Unmarshal(ask("GET", "?crc_token="+text, "", "").Body.Bytes(), &got); err != nil || got.Token == "" {
			t.Fatalf("challenge %s: %+v, %v", text, got, err)
		}
		if answer := ask("POST", "", text, got.Token); answer.Code != 401 {
			t.Errorf("%s as an event: status %d", text, answer.Code)
		}
	}
	fails = true
	for _, method := range []string{"GET", "POST"} {
		if answer := ask(method, "?crc_token=abc", "{}", "x"); answer.Code < 500 {
			t.Errorf("%s without the secret: status %d", method, answer.Code)
		}
	}
	if own.Len() > 0 || strings.Count(bounded.String(), "\n") != 6 {
		t.Errorf("lines without bound:\n%s\nbounded:\n%s", own.String(), bounded.String())
	}
}

// TestDoorIsShut: without the setting nobody is there.
func TestDoorIsShut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, false)
		p := w.Post(1)[0]
		status, err := w.X.Send(t.Context(), address, w.X.Event("post.delete", p))
		w.Must(err)
		resp, err := http.NewRequest(http.MethodGet, address+"?crc_token=abc", nil)
		w.Must(err)
		answer, err := w.RoundTrip(resp)
		w.Must(err)
		if status != 404 || answer.StatusCode != 404 || len(w.open()) != 0 {
			t.Errorf("status %d and %d, kept %v", status, answer.StatusCode, w.open())
		}
	})
}
