package audit_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"xarchive/handler/internal/audit"
	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/blob/blobtest"
	"xarchive/handler/internal/fault"
)

func TestMain(m *testing.M) { os.Exit(blobtest.Run(m)) }

// on runs a test in memory and on Azurite.
func on(t *testing.T, test func(t *testing.T, c *blob.Container)) {
	t.Run("memory", func(t *testing.T) { test(t, blobtest.Container(t)) })
	t.Run("Azurite", func(t *testing.T) { test(t, blobtest.Azurite(t)) })
}

func admin(ctx context.Context) context.Context {
	return audit.By(ctx, audit.Actor{Who: audit.SharedSecret, Door: "page", From: "198.51.100.7", Session: audit.SessionName("an id")})
}

func begin(t *testing.T, l *audit.Log, c audit.Change) func(error) error {
	t.Helper()
	failed, err := l.Begin(admin(t.Context()), c)
	if err != nil {
		t.Fatal(err)
	}
	return failed
}

func newest(t *testing.T, l *audit.Log, before, n int) []audit.Record {
	t.Helper()
	list, broken, err := l.Newest(t.Context(), before, n)
	if err != nil || len(broken) > 0 {
		t.Fatalf("%v, broken %v", err, broken)
	}
	return list
}

// TestLog: a change is written down before it is made, with who makes it; a failure after
// it; several instances make one chain, in which no number is missing.
func TestLog(t *testing.T) {
	on(t, func(t *testing.T, c *blob.Container) {
		instances := []*audit.Log{audit.New(c, time.Now), audit.New(c, time.Now)}
		if got := newest(t, instances[0], 0, 10); len(got) != 0 {
			t.Errorf("an empty log has %v", got)
		}
		begin(t, instances[0], audit.Change{What: audit.SettingsSaved, Detail: "twitter-api-key"})
		got := newest(t, instances[1], 0, 10)
		if len(got) != 1 || got[0].What != audit.SettingsSaved || got[0].From != "198.51.100.7" || got[0].Who != audit.SharedSecret || got[0].Session == "" || got[0].At.IsZero() {
			t.Fatalf("the log has %+v", got)
		}
		cause := fault.New(fault.KeyVault, "a detail for the log alone")
		if err := begin(t, instances[1], audit.Change{What: audit.JobDeleted, JobID: "j"})(cause); !errors.Is(err, cause) {
			t.Errorf("the change's error became %v", err)
		}
		got = newest(t, instances[0], 0, 10)
		if len(got) != 3 || got[0].What != audit.ChangeHasFailed || got[0].Of != 2 || got[0].Detail != "key_vault" || got[1].What != audit.JobDeleted {
			t.Errorf("after a failure the log has %+v", got)
		}
		if err := begin(t, instances[0], audit.Change{What: audit.JobSaved})(nil); err != nil {
			t.Error(err)
		}

		var all sync.WaitGroup
		for _, l := range instances {
			for range 8 {
				all.Go(func() {
					if _, err := l.Begin(admin(t.Context()), audit.Change{What: audit.SessionBegun}); err != nil {
						t.Error(err)
					}
				})
			}
		}
		all.Wait()
		late := audit.New(c, time.Now)
		if got := newest(t, late, 0, 100); len(got) != 20 || got[0].N != 20 || got[19].N != 1 {
			t.Errorf("%d records, want 20", len(got))
		}
		if got := newest(t, late, 15, 5); len(got) != 5 || got[0].N != 14 || got[4].N != 10 {
			t.Errorf("from number 14 on: %+v", got)
		}
	})
}

// TestAlteredLog: a record that was altered, replaced or removed shows.
func TestAlteredLog(t *testing.T) {
	c := blobtest.Container(t)
	l := audit.New(c, time.Now)
	for i := range 5 {
		begin(t, l, audit.Change{What: audit.JobSaved, JobID: fmt.Sprint("j", i+1)})
	}
	const third = "audit/00000003.json"
	was, info, err := c.Read(t.Context(), third)
	if err != nil {
		t.Fatal(err)
	}
	for what, now := range map[string]string{"altered": strings.Replace(string(was), "j3", "jX", 1), "replaced": "{}", "removed": ""} {
		if now == "" {
			err = c.Remove(t.Context(), third, blob.Condition{})
		} else {
			_, err = c.Write(t.Context(), third, []byte(now), blob.Condition{ETag: info.ETag})
		}
		if err != nil {
			t.Fatal(err)
		}
		_, broken, err := audit.New(c, time.Now).Newest(t.Context(), 0, 10)
		if err != nil || len(broken) != 1 || !strings.Contains(broken[0].Error(), "record 3") || !errors.Is(broken[0], audit.ErrBroken) {
			t.Errorf("%s: %v, %v", what, broken, err)
		}
		if what != "removed" {
			_, info, err = c.Read(t.Context(), third)
			if err != nil {
				t.Fatal(err)
			}
			continue
		}
		if _, err := c.Write(t.Context(), third, was, blob.Condition{Absent: true}); err != nil {
			t.Fatal(err)
		}
		if _, info, err = c.Read(t.Context(), third); err != nil {
			t.Fatal(err)
		}
	}
}
