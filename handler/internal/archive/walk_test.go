package archive_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/blob/blobtest"
	"xarchive/handler/internal/post"
	"xarchive/tests/sandbox/blobs"
)

// walk returns what a walk yields: names of messages, and of foreign blobs.
func walk(t *testing.T, a *archive.Archive, from, to time.Time, after string) (names, foreign []string) {
	t.Helper()
	for e, err := range a.Walk(t.Context(), "7", from, to, after) {
		switch {
		case errors.Is(err, archive.ErrForeign):
			foreign = append(foreign, e.Name)
		case err != nil:
			t.Fatal(err)
		default:
			names = append(names, e.Name)
		}
	}
	return names, foreign
}

// TestWalkAgainstAPlainFilter compares walks with a filter over a sorted list: posts of
// years, several a second, with supplements; windows of every length, many with
// ends on posts and over the ends of months and years; from every position.
func TestWalkAgainstAPlainFilter(t *testing.T) {
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 7))
		c := blobtest.Container(t)
		a := archive.New(c)
		var model []archive.Entry
		var times []time.Time
		begin := time.Date(2019, 12, 30, 0, 0, 0, 0, time.UTC)
		for i := range 120 {
			at := begin.Add(time.Duration(rng.Int64N(int64(6 * 24 * time.Hour)))) // around a year's end
			switch rng.IntN(3) {
			case 0:
				at = begin.AddDate(0, 0, rng.IntN(2000)).Add(time.Duration(rng.IntN(86400)) * time.Second)
			case 1:
				if len(times) > 0 {
					at = times[rng.IntN(len(times))]
				}
			}
			at = at.Truncate(time.Second) // as X gives it
			times = append(times, at)
			id := fmt.Sprint(1 + i*37%1009)
			model = append(model, put(t, a, "7", message(id, at)))
			if rng.IntN(4) == 0 {
				model = append(model, put(t, a, "7", archive.Message{Key: id + ".media", PostID: id, Created: at, Kind: post.Tweet}))
			}
		}
		put(t, a, "77", message("5", times[0])) // another account
		slices.SortFunc(model, archive.Oldest)
		for range 60 {
			from, to := times[rng.IntN(len(times))], times[rng.IntN(len(times))]
			switch rng.IntN(5) {
			case 0:
				to = from.Add(time.Duration(rng.Int64N(int64(80 * time.Hour))))
			case 1:
				from, to = from.Truncate(24*time.Hour), from.Truncate(24*time.Hour).Add(time.Duration(1+rng.IntN(4))*24*time.Hour)
			case 2:
				from, to = time.Time{}, to.Add(-time.Millisecond)
			}
			after, behind := "", true
			if rng.IntN(2) == 0 {
				after, behind = model[rng.IntN(len(model))].Name, false
			}
			var want []string
			for _, e := range model {
				if behind && !e.Created.Before(from) && !e.Created.After(to) {
					want = append(want, e.Name)
				}
				behind = behind || e.Name == after
			}
			got, foreign := walk(t, a, from, to, after)
			if !slices.Equal(got, want) || len(foreign) > 0 {
				t.Fatalf("seed %d, %v to %v after %q:\n%q, foreign %q\nexpected\n%q", seed, from, to, after, got, foreign, want)
			}
		}
	}
}

// Foreign blobs are named, and hide nothing.
func TestWalkPastForeignBlobs(t *testing.T) {
	c := blobtest.Container(t)
	a := archive.New(c)
	one, two := put(t, a, "7", message("1", noon)), put(t, a, "7", message("2", noon.AddDate(0, 0, 9)))
	for _, name := range []string{"7/2024/06/10/0.eml", "7/2024/06/10/notes.txt", "7/ids/5", "7/abcd/06/10/1.eml", "7/2024/xy/10/1.eml", "7/readme", "7/2024/06/19/9.eml", "7/2024/06/19/deep/2.eml"} {
		if _, err := c.Write(t.Context(), name, []byte("x"), blob.Condition{}); err != nil {
			t.Fatal(err)
		}
	}
	names, foreign := walk(t, a, noon.AddDate(-1, 0, 0), noon.AddDate(1, 0, 0), "")
	if !slices.Equal(names, []string{one.Name, two.Name}) {
		t.Errorf("messages %q, expected both", names)
	}
	slices.Sort(foreign)
	if want := []string{"7/2024/06/10/0.eml", "7/2024/06/19/9.eml", "7/2024/06/19/deep/2.eml", "7/2024/xy/10/1.eml"}; !slices.Equal(foreign, want) {
		t.Errorf("foreign %q, expected %q", foreign, want)
	}
}

// A walk that is to go on behind a message that is not there says so: to begin its day
// again would yield messages twice.
func TestWalkBehindNothing(t *testing.T) {
	a := archive.New(blobtest.Container(t))
	put(t, a, "7", message("1", noon))
	for e, err := range a.Walk(t.Context(), "7", noon.AddDate(-1, 0, 0), noon.AddDate(1, 0, 0), "7/2024/06/10/gone.eml") {
		if !errors.Is(err, archive.ErrPosition) {
			t.Errorf("%+v, %v; expected ErrPosition", e, err)
		}
	}
}

// A walk's requests depend on the days in its window that have messages alone.
func TestWalkRequests(t *testing.T) {
	c, s := blobtest.Server(t)
	a := archive.New(c)
	day := func(year, month, day int) time.Time {
		return time.Date(year, time.Month(month), day, 23, 59, 59, 0, time.UTC)
	}
	put(t, a, "7", message("1", day(2016, 1, 31)))
	for i := range 300 { // much else: 150 days of 2020
		put(t, a, "7", message(fmt.Sprint(1000+i), day(2020, 1, 1).AddDate(0, 0, i/2)))
	}
	put(t, a, "7", message("2", day(2024, 12, 31)))
	put(t, a, "7", message("3", day(2025, 1, 1)))
	for _, test := range []struct {
		name     string
		from, to time.Time
		lists    int
		messages int
	}{
		{"a day", day(2020, 1, 5).Truncate(24 * time.Hour), day(2020, 1, 5), 1, 2},
		{"an hour", day(2020, 1, 5).Add(-time.Hour), day(2020, 1, 5), 1, 2},
		{"a day without messages", day(2021, 1, 5).Truncate(24 * time.Hour), day(2021, 1, 5), 1, 0},
		{"a day over the year's end", day(2024, 12, 31), day(2025, 1, 1), 2, 2},
		{"a month without messages", day(2021, 1, 1), day(2021, 2, 1), 1, 0},
		// years, then year, month and day of each message's
		{"four years", day(2021, 1, 1), day(2025, 6, 1), 1 + 2*3, 2},
		{"ten years before 2020", day(2009, 6, 1), day(2019, 12, 31), 1 + 3, 1},
		{"behind a position", day(2009, 6, 1), day(2025, 12, 31), 1 + 3*3, 2},
	} {
		after := ""
		if test.name == "behind a position" {
			after = archive.Name("7", day(2020, 5, 29), "1299")
		}
		s.ResetCalls()
		names, _ := walk(t, a, test.from, test.to, after)
		if calls := s.Calls(); len(names) != test.messages || calls.All() != calls.List || calls.List != test.lists {
			t.Errorf("%s: %d messages, %d requests, %d of them listings; expected %d messages, %d listings", test.name, len(names), calls.All(), calls.List, test.messages, test.lists)
		}
	}
}

// A failure ends the walk; a walk may be left.
func TestWalkFails(t *testing.T) {
	c, s := blobtest.Server(t)
	a := archive.New(c)
	for i := range 3 {
		put(t, a, "7", message(fmt.Sprint(i+1), noon.AddDate(0, 0, i)))
	}
	for _, to := range []time.Time{noon.Add(time.Hour), noon.AddDate(1, 0, 0)} {
		s.Before(func(o blobs.Op) error { return &blobs.Answer{Status: 403, Code: "AuthorizationFailure"} })
		n := 0
		for _, err := range a.Walk(t.Context(), "7", noon, to, "") {
			if n++; err == nil || errors.Is(err, archive.ErrForeign) {
				t.Errorf("yielded %v; expected the service's refusal", err)
			}
		}
		if n != 1 {
			t.Errorf("yielded %d times, expected one error", n)
		}
		s.Before(nil)
		for range a.Walk(t.Context(), "7", noon, to, "") {
			break
		}
	}
}

// A walk goes on where an earlier one stopped.
func ExampleArchive_Walk() {
	s := blobs.New(blobs.Options{})
	a := archive.New(blobtest.On(s).Container("archive"))
	ctx := context.Background()
	for i := range 3 {
		m := archive.Message{Key: fmt.Sprint(i + 1), PostID: fmt.Sprint(i + 1), Created: time.Date(2024, 12, 30+i, 9, 0, 0, 0, time.UTC), Kind: post.Tweet}
		if _, _, err := a.Put(ctx, "7", m, text("Subject: hello\r\n")); err != nil {
			fmt.Println(err)
		}
	}
	start, end := time.Date(2024, 12, 1, 0, 0, 0, 0, time.UTC), time.Date(2025, 1, 31, 23, 59, 59, 0, time.UTC)
	position := ""
	for e := range a.Walk(ctx, "7", start, end, position) {
		position = e.Name
		break // a tick ends here
	}
	for e, err := range a.Walk(ctx, "7", start, end, position) {
		fmt.Println(e.Name, strings.Repeat("?", len(e.SHA256)-64), err)
	}
	// Output:
	// 7/2024/12/31/2.eml  <nil>
	// 7/2025/01/01/3.eml  <nil>
}
