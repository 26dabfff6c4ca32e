package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/export"
)

// TestProgress: a terminal sees one line that is written over, anything else a
// line for each thousand messages or half a minute.
func TestProgress(t *testing.T) {
	show := func(terminal bool) string {
		var out bytes.Buffer
		now := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
		p := &progress{w: &out, terminal: terminal, now: func() time.Time { return now }, shown: now}
		for i := range 2500 {
			now = now.Add(20 * time.Millisecond)
			p.update(export.Status{Looked: i + 1, Messages: i + 1, Bytes: int64(i+1) * 1500, At: time.Date(2023, 5, 6, 0, 0, 0, 0, time.UTC)})
			if i == 1200 {
				p.line("left out: a")
			}
		}
		p.end()
		return out.String()
	}
	var out bytes.Buffer
	steps := &progress{w: &out, now: time.Now, shown: time.Now()}
	for _, done := range []int{1, 5000, 1, 1500} { // the next step begins anew
		steps.show(done, func() string { return fmt.Sprint(done) })
	}
	if out.String() != "5000\n1500\n" {
		t.Errorf("two steps: %q", out.String())
	}
	plain := show(false)
	want := fmt.Sprintln("1000 messages, 1.5 MB, up to 2023-05-06") + fmt.Sprintln("left out: a") + fmt.Sprintln("2000 messages, 3 MB, up to 2023-05-06")
	if plain != want {
		t.Errorf("plain lines:\n%s\nexpected:\n%s", plain, want)
	}
	shown := show(true)
	if n := strings.Count(shown, "\n"); n != 1 || !strings.Contains(shown, "\rleft out: a\n") {
		t.Errorf("on a terminal there are %d lines that stay, expected the one that is left out:\n%q", n, shown)
	}
	if updates := strings.Count(shown, " messages, "); updates < 200 || updates > 260 {
		t.Errorf("the line was written %d times, expected 250", updates)
	}
	if !strings.HasSuffix(shown, " \r") {
		t.Errorf("the line is not taken away at the end: %q", shown[len(shown)-60:])
	}
}

// TestSizes: bytes for people.
func TestSizes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 bytes", 999: "999 bytes", 1000: "1 KB", 1549: "1.5 KB", 56_700_000: "56.7 MB", 1 << 60: "1152921.5 TB"} {
		if got := size(n); got != want {
			t.Errorf("%d bytes are %q, expected %q", n, got, want)
		}
	}
}
