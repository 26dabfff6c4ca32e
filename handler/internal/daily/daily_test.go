package daily_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/blob/blobtest"
	"xarchive/handler/internal/daily"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/manifest"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/verify"
	"xarchive/tests/sandbox/blobs"
)

// world is an archive of accounts 7 and 8, each with a hundred messages of ten days, in ten
// blobs of the manifest, made of ten raw answers.
type world struct {
	t        *testing.T
	server   *blobs.Server
	mail     *blob.Container
	archive  *archive.Archive
	manifest *manifest.Store
	state    *state.Store
	now      time.Time
	log      bytes.Buffer
	stamps   int
	stampErr error
}

var posted = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 6, 10, 12, 0, 0, 0, time.UTC)}
	w.server = blobs.New(blobs.Options{Now: func() time.Time { return w.now }})
	w.mail = blobtest.On(w.server).Container("archive")
	w.archive, w.manifest, w.state = archive.New(w.mail), manifest.New(w.mail), state.New(blobtest.On(w.server).Container("state"))
	for _, id := range []string{"7", "8"} {
		var link manifest.Link
		for day := range 10 {
			body := fmt.Appendf(nil, `{"account":%q,"day":%d}`, id, day)
			raw := archive.NewRaw(id, w.now, body, "1f")
			if err := w.archive.PutRaw(t.Context(), raw, w.now, body); err != nil {
				t.Fatal(err)
			}
			var lines []manifest.Line
			for n := range 10 {
				e := w.put(id, fmt.Sprint(10*day+n), posted.AddDate(0, 0, day))
				lines = append(lines, manifest.Line{Key: e.Key, PostID: e.PostID, Path: e.Name, SHA256: e.SHA256, Posted: e.Created, Captured: w.now, Raw: []archive.Raw{raw}})
			}
			var err error
			if link, err = w.manifest.Append(t.Context(), id, link, w.now.Format(time.DateOnly), lines); err != nil {
				t.Fatal(err)
			}
		}
		r, err := w.state.LoadAccount(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		r.Account.Manifest = link
		if err := r.Save(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.now = w.now.Add(2 * time.Hour)
	return w
}

func (w *world) put(account, id string, at time.Time) archive.Entry {
	w.t.Helper()
	e, _, err := w.archive.Put(w.t.Context(), account, archive.Message{Key: id, PostID: id, Created: at, Kind: post.Tweet}, func(out io.Writer) error {
		_, err := io.WriteString(out, "message "+id)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// daily returns a Daily of a process that has just begun.
func (w *world) daily(budget verify.Budget) *daily.Daily {
	return daily.New(daily.Options{State: w.state, Archive: w.archive, Manifest: w.manifest, Now: func() time.Time { return w.now },
		Log: slog.New(slog.NewTextHandler(&w.log, nil)), Budget: budget,
		Stamp: func(_ context.Context, data []byte) ([]byte, error) {
			w.stamps++
			return append([]byte("stamp of "), data...), w.stampErr
		},
		Stamped: func(token, data []byte) (time.Time, bool, error) {
			if string(token) != "stamp of "+string(data) {
				return time.Time{}, false, errors.New("it is of other bytes")
			}
			return w.now, true, nil
		}})
}

func (w *world) known(account string) state.Verification {
	w.t.Helper()
	v, err := w.state.Verification(w.t.Context(), account)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// TestSlices: a round goes through all accounts in bounded slices, each in a process of its
// own, and reads each message once; then it rests for a day.
func TestSlices(t *testing.T) {
	w := newWorld(t)
	const most = 40
	slices := 0
	for w.known("8").Ended.IsZero() {
		w.server.ResetCalls()
		if err := w.daily(verify.Budget{Calls: most}).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if calls := w.server.Calls(); calls.All() > 2*most+20 { // a slice ends with the messages it has begun with
			t.Fatalf("a slice took %+v, its bound is about %d", calls, most)
		}
		w.now = w.now.Add(5 * time.Minute)
		if slices++; slices > 50 {
			t.Fatal("it does not come to its end")
		}
	}
	if slices < 6 {
		t.Errorf("%d slices: this shows nothing", slices)
	}
	for _, id := range []string{"7", "8"} {
		r := w.known(id)
		if r.Pass != nil || r.Last == nil || !r.Last.Report.Sound() || r.Last.Report.Messages != 100 || r.Last.Report.Lines != 100 || r.Last.Report.Raw < 10 || r.Last.Report.Stamps != 1 || r.Sound != r.Last.Began {
			t.Errorf("account %s: %+v", id, r)
		}
	}
	if w.stamps != 2 || strings.Count(w.log.String(), "the archive is verified") != 2 {
		t.Errorf("%d stamps; the log:\n%s", w.stamps, w.log.String())
	}
	d := w.daily(verify.Budget{})
	w.server.ResetCalls()
	for range 10 {
		if err := d.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if calls := w.server.Calls(); calls.All() > 1 {
		t.Errorf("%+v for ten ticks with nothing to do, expected one read", calls)
	}
	w.now = w.now.Add(24 * time.Hour)
	if err := d.Run(t.Context()); err != nil || w.stamps != 2 {
		t.Errorf("the next day: %v, %d stamps; nothing new is to be stamped", err, w.stamps)
	}
	if v := w.known("7"); !v.Sound.After(w.now.Add(-time.Minute)) {
		t.Errorf("the next day's round: %+v", v)
	}
}

// TestFound: each way to tamper with an archive is found, told once a round with a line that
// the alert looks for, kept, and does not keep the other account from its turn.
func TestFound(t *testing.T) {
	flip := func(w *world, name string) {
		data, info, err := w.mail.Read(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2] ^= 1
		if _, err := w.mail.WriteAs(t.Context(), name, data, blob.About{Type: "message/rfc822", Metadata: info.Metadata}, blob.Condition{}); err != nil {
			t.Fatal(err)
		}
	}
	const name = "7/2026/05/04/35.eml"
	for what, c := range map[string]struct {
		tamper func(w *world)
		words  string
	}{
		"a flipped byte":        {func(w *world) { flip(w, name) }, "1 altered (" + name},
		"a removed message":     {func(w *world) { _ = w.mail.Remove(t.Context(), name, blob.Condition{}) }, "1 missing (" + name},
		"an added message":      {func(w *world) { w.put("7", "1000", posted); w.now = w.now.Add(2 * time.Hour) }, "1 added (7/2026/05/01/1000.eml"},
		"a manifest's last one": {func(w *world) { _ = w.mail.Remove(t.Context(), "7/manifest/00000010.jsonl", blob.Condition{}) }, "10 added"},
		"a raw answer": {func(w *world) {
			flip(w, archive.NewRaw("7", w.now.Add(-2*time.Hour), []byte(`{"account":"7","day":3}`), "").Path)
		}, "1 altered (raw/7/"},
	} {
		w := newWorld(t)
		c.tamper(w)
		for range 20 {
			err := w.daily(verify.Budget{Calls: 100}).Run(t.Context())
			if err != nil && (!errors.Is(err, daily.ErrNotSound) || fault.CauseOf(err) != fault.ArchiveAltered) {
				t.Fatal(err)
			}
		}
		v := w.known("7")
		if v.Last == nil || v.Last.Report.Sound() || !strings.Contains(daily.Words(v.Last.Report), c.words) || !v.Sound.IsZero() {
			t.Errorf("%s: %+v", what, v.Last)
		}
		if n := strings.Count(w.log.String(), "the archive is not as it was written"); n != 1 {
			t.Errorf("%s: it is told %d times in a round, want once", what, n)
		}
		if v := w.known("8"); v.Sound.IsZero() {
			t.Errorf("%s: the other account: %+v", what, v)
		}
	}
}

// TestNotYetListed: a message that was archived a moment ago, or by a run that is under way,
// is no fault.
func TestNotYetListed(t *testing.T) {
	w := newWorld(t)
	w.put("7", "1000", posted)
	r, err := w.state.LoadAccount(t.Context(), "8")
	if err != nil {
		t.Fatal(err)
	}
	r.Account.Run = &state.Run{Key: "k", Began: w.now}
	if err := r.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(time.Minute)
	w.put("8", "1000", posted)
	if err := w.daily(verify.Budget{}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"7", "8"} {
		if v := w.known(id); v.Last == nil || !v.Last.Report.Sound() || v.Last.Report.Pending != 1 {
			t.Errorf("account %s: %+v", id, v.Last)
		}
	}
}

// TestAuthorityIsDown: without a time stamp the archive is verified all the same.
func TestAuthorityIsDown(t *testing.T) {
	w := newWorld(t)
	w.stampErr = errors.New("it is down")
	if err := w.daily(verify.Budget{}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v := w.known("7"); v.Last == nil || v.Last.Report.Stamps != 0 || v.Sound.IsZero() || !strings.Contains(w.log.String(), "could not be time-stamped") {
		t.Errorf("%+v\n%s", v, w.log.String())
	}
}
