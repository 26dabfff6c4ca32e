package twitter

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"

	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/x"
)

// TestReads: every answer is counted, those too that are of no use; what is counted is
// what X bills, and an answer that could not be counted is none.
func TestReads(t *testing.T) {
	for _, understood := range [][]x.Vocabulary{{x.TweetWords, x.PostWords}, {x.PostWords}} {
		w := newWorld(t)
		w.x.Understand(understood...)
		read := map[string]bool{}
		var purposes []Purpose
		c := w.client.Counting(func(_ context.Context, r Reads) error {
			for _, id := range r.IDs {
				name := r.At.Format("2006-01-02 ")
				if r.Purpose == Users {
					name += "user "
				}
				read[name+id] = true
			}
			if !slices.Contains(purposes, r.Purpose) {
				purposes = append(purposes, r.Purpose)
			}
			return nil
		})
		ids := w.corpus.All(corpus.PressAccount)
		ctx := t.Context()
		a, err := c.Timeline(ctx, corpus.PressAccount, Query{})
		if err != nil || a.Page.Count == 0 {
			t.Fatalf("%d posts, %v", a.Page.Count, err)
		}
		_, err = c.Lookup(ctx, []string{ids[0].ID, "1"})
		_, errAudit := c.Lookup(For(ctx, Audits), []string{ids[1].ID})
		_, errUser := c.User(For(ctx, Audits), corpus.PressAccount)
		if err := errors.Join(err, errAudit, errUser); err != nil {
			t.Fatal(err)
		}
		var got []string
		for name := range read {
			got = append(got, name)
		}
		slices.Sort(got)
		if bill := w.x.Billed(); !slices.Equal(got, bill) {
			t.Errorf("%d reads are counted, X bills %d", len(got), len(bill))
		}
		if !slices.Equal(purposes, []Purpose{Posts, LookUps, Audits, Users}) {
			t.Errorf("read for %q", purposes)
		}

		full := errors.New("full")
		c = w.client.Counting(func(context.Context, Reads) error { return full })
		if _, err := c.Timeline(ctx, corpus.PressAccount, Query{}); !errors.Is(err, full) {
			t.Errorf("a page that could not be counted: %v", err)
		}
		if _, err := c.User(ctx, corpus.PressAccount); !errors.Is(err, full) {
			t.Errorf("a user that could not be counted: %v", err)
		}
	}
}

// TestReadsAtTheEnd: X has sent and bills an answer that arrives when its caller's time is
// over; it is counted, and may be used. Nothing is sent after that.
func TestReadsAtTheEnd(t *testing.T) {
	w := newWorld(t)
	ctx, end := context.WithCancel(t.Context())
	sent := 0
	w.x.Fail(func(*http.Request) x.Fault {
		sent++
		end() // while X makes its answer
		return x.Fault{}
	})
	counted := 0
	c := w.client.Counting(func(ctx context.Context, r Reads) error {
		counted += len(r.IDs)
		return ctx.Err()
	})
	if a, err := c.Timeline(ctx, corpus.PressAccount, Query{}); err != nil || a.Page.Count == 0 || counted != a.Page.Count {
		t.Errorf("%d posts, %v; %d are counted", a.Page.Count, err, counted)
	}
	if bill := len(w.x.Billed()); counted != bill || bill == 0 {
		t.Errorf("%d reads are counted, X bills %d", counted, bill)
	}
	if _, err := c.Timeline(ctx, corpus.PressAccount, Query{}); !errors.Is(err, context.Canceled) || sent != 1 {
		t.Errorf("after the end: %v, %d requests", err, sent)
	}
}
