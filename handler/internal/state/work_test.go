package state_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/state"
)

func TestPagesAndAnswers(t *testing.T) {
	onAzurite(t, func(t *testing.T, s *state.Store) {
		ctx := t.Context()
		raw := state.Retained{JSON: []byte(`{"data":[] , "meta":{}}`), At: time.Date(2026, 6, 10, 12, 0, 1, 0, time.UTC),
			Raw: []archive.Raw{{Path: "raw/7/2026/06/10/ab.json.gz", SHA256: "ab", RequestID: "1f"}}}
		another := state.Retained{JSON: []byte("another")}
		same := func(got state.Retained) bool { return reflect.DeepEqual(got, raw) }
		for _, key := range []string{"run", "run2", "runner"} {
			must(t, s.PutPage(ctx, "7", key, 3, raw))
			must(t, s.PutAnswer(ctx, "7", key, []string{"1", "2"}, raw))
		}
		must(t, s.PutPage(ctx, "77", "run", 3, raw))
		if got, err := s.Page(ctx, "7", "run", 3); err != nil || !same(got) {
			t.Errorf("page %+v, %v; expected it byte for byte, with its origin", got, err)
		}
		is(t, "a page twice", s.PutPage(ctx, "7", "run", 3, another), state.ErrLost)
		must(t, s.PutAnswer(ctx, "7", "run", []string{"1", "2"}, another))
		if got, err := s.Answer(ctx, "7", "run", []string{"1", "2"}); err != nil || !same(got) {
			t.Errorf("answer %+v, %v; expected the first", got, err)
		}
		_, err := s.Answer(ctx, "7", "run", []string{"12"})
		is(t, "an answer to other ids", err, state.ErrNotFound)
		must(t, s.RemovePages(ctx, "7", "run2"))
		for key, want := range map[string]error{"run": state.ErrNotFound, "run2": nil, "runner": state.ErrNotFound} {
			_, err := s.Page(ctx, "7", key, 3)
			is(t, "page of "+key, err, want)
			_, err = s.Answer(ctx, "7", key, []string{"1", "2"})
			is(t, "answer of "+key, err, want)
		}
		_, err = s.Page(ctx, "77", "run", 3)
		is(t, "another account's page", err, nil)
		must(t, s.RemovePages(ctx, "7"))
		_, err = s.Page(ctx, "7", "run2", 3)
		is(t, "page of run2", err, state.ErrNotFound)
	})
}

func TestItems(t *testing.T) {
	s, server := newStore(t)
	ctx := t.Context()
	claim := task(t, s, "j", "t")
	defer claim.Release()
	for n, ids := range []string{"ab", "cd", "ef"} {
		items := []state.Item{{ID: ids[:1], Modified: now}, {ID: ids[1:], FileName: "f"}}
		must(t, claim.PutItems(ctx, n, items))
	}
	must(t, claim.PutItems(ctx, 1, []state.Item{{ID: "x"}})) // replaced
	var got string
	server.ResetCalls()
	for item, err := range s.Items(ctx, "j", "t", 0, 2) {
		must(t, err)
		got += item.ID
	}
	if calls := server.Calls(); got != "abx" || calls.All() != 2 {
		t.Errorf("items %q in %d calls, expected abx in two", got, calls.All())
	}
	for range s.Items(ctx, "j", "t", 0, 3) {
		break
	}
	n := 0
	for _, err := range s.Items(ctx, "j", "t", 2, 9) {
		if n++; n == 3 {
			is(t, "a chunk that is not there", err, state.ErrNotFound)
		}
	}
	if n != 3 {
		t.Errorf("yielded %d times, expected two items and an error", n)
	}
	_, err := s.Found(ctx, "j", "t")
	is(t, "before capture has looked", err, state.ErrNotFound)
	must(t, s.PutFound(ctx, "j", "t", state.Found{Names: []string{"n"}, Gone: map[string]string{"1": "deleted"}, At: now}))
	if f, err := s.Found(ctx, "j", "t"); err != nil || f.Names[0] != "n" || f.Gone["1"] != "deleted" || !f.At.Equal(now) {
		t.Errorf("found %+v, %v", f, err)
	}
}

func TestLateAndDelivered(t *testing.T) {
	s, _ := newStore(t)
	ctx := t.Context()
	if got, err := s.Delivered(ctx, "j", "7"); err != nil || got != nil {
		t.Errorf("delivered %v, %v; expected nothing", got, err)
	}
	hour := func(n int) time.Time { return now.Add(time.Duration(n) * time.Hour) }
	must(t, s.AddDelivered(ctx, "j", "7", state.Range{From: hour(0), To: hour(1)}))
	must(t, s.AddDelivered(ctx, "j", "7", state.Range{From: hour(1), To: hour(2)}))
	must(t, s.AddDelivered(ctx, "j", "8", state.Range{From: hour(5), To: hour(6)}))
	if got, err := s.Delivered(ctx, "j", "7"); err != nil || !slices.Equal(got, state.Ranges{{From: hour(0), To: hour(2)}}) {
		t.Errorf("delivered %v, %v; expected one range of two hours", got, err)
	}
	for _, key := range []string{"1", "1.media", "1"} {
		must(t, s.AddLate(ctx, "j", state.Late{AccountID: "7", Name: "n", Key: key, Noted: now}))
	}
	must(t, s.AddLate(ctx, "j2", state.Late{Key: "2"}))
	late, damaged, err := s.Late(ctx, "j")
	if err != nil || len(damaged) > 0 || len(late) != 2 || late[0].Key != "1" || late[1].Key != "1.media" {
		t.Errorf("late %+v, %+v, %v; expected two", late, damaged, err)
	}
	must(t, s.RemoveLate(ctx, "j", "1"))
	must(t, s.RemoveLate(ctx, "j", "1"))
	if late, _, err := s.Late(ctx, "j"); err != nil || len(late) != 1 {
		t.Errorf("late %+v, %v; expected one", late, err)
	}
}

func TestAside(t *testing.T) {
	s, server := newStore(t)
	ctx := t.Context()
	posts := []state.AsidePost{
		{AccountID: "7", PostID: "1", Raw: []byte("{\xff"), Version: "a"}, {AccountID: "7", Raw: []byte("x")}, {AccountID: "7", Raw: []byte("y")}}
	for _, p := range append(posts, posts...) {
		_, err := s.PutAside(ctx, p)
		must(t, err)
	}
	if added, err := s.PutAside(ctx, state.AsidePost{AccountID: "7", PostID: "1", Raw: []byte("other")}); err != nil || added {
		t.Errorf("again: added %v, %v", added, err)
	}
	list, _, err := s.Aside(ctx, "7")
	if err != nil || len(list) != 3 || string(list[0].Raw) != "{\xff" {
		t.Errorf("aside %+v, %v; expected three, the first byte for byte", list, err)
	}
	list[0].Version = "b"
	must(t, s.RetriedAside(ctx, list[0]))
	for _, p := range list[1:] {
		must(t, s.RemoveAside(ctx, p))
	}
	if list, _, err := s.Aside(ctx, "7"); err != nil || len(list) != 1 || list[0].Version != "b" {
		t.Errorf("aside %+v, %v; expected one, retried by version b", list, err)
	}

	raw(t, server, "jobs/j.json", "{")
	_, damaged, err := s.Jobs(ctx)
	if err != nil || len(damaged) != 1 {
		t.Fatalf("damaged %+v, %v", damaged, err)
	}
	for i, want := range []bool{true, false} {
		if added, err := s.PutDamaged(ctx, damaged[0]); err != nil || added != want {
			t.Errorf("damaged record, time %d: added %v, %v", i+1, added, err)
		}
	}
	if _, there := server.Get("test", "jobs/j.json"); !there {
		t.Error("the record is gone; it must stay where it is")
	}
}

func TestSignIns(t *testing.T) {
	s, _ := newStore(t)
	ctx := t.Context()
	for token, expires := range map[string]time.Time{"live": now.Add(time.Hour), "old": now} {
		must(t, s.PutSignIn(ctx, state.SignIn{Token: token, RedirectURL: "r", CreatedAt: now, ExpiresAt: expires}))
	}
	if live, err := s.SignIns(ctx, now); err != nil || len(live) != 1 || live[0].Token != "live" {
		t.Errorf("%+v, %v; expected the live one", live, err)
	}
	if in, err := s.SignIn(ctx, "live", now); err != nil || in.RedirectURL != "r" {
		t.Errorf("%+v, %v", in, err)
	}
	_, err := s.SignIn(ctx, "old", now)
	is(t, "an expired one", err, state.ErrNotFound)
	_, err = s.SignIn(ctx, "other", now)
	is(t, "another", err, state.ErrNotFound)
	must(t, s.TakeSignIn(ctx, "live"))
	is(t, "taking it twice", s.TakeSignIn(ctx, "live"), state.ErrNotFound)
}
