package main

import (
	"strings"
	"testing"
	"time"

	"xarchive/tests/sandbox/blobs"
)

func TestTable(t *testing.T) {
	f := figure{"capture, posts", "post", spent{usage{2500 * time.Millisecond, 100 << 20},
		blobs.Counts{Read: 10, Write: 2000, List: 490, BytesIn: 3_000_000, BytesOut: 1_000_000}, blobs.Counts{Write: 500}, 10}, 1000}
	want := "| capture, posts | post | 3 | 2.5 | 0.01 | 4,000 | 2.5 | 100 |\n"
	if got := table([]figure{f}); !strings.HasSuffix(got, want) {
		t.Errorf("the table ends with %q, expected %q", got, want)
	}
}

func TestReplace(t *testing.T) {
	document := "before\n" + begin + "\nold\n" + end + "\nafter\n"
	got, err := replace(document, "new\n")
	if want := "before\n" + begin + "\n\nnew\n\n" + end + "\nafter\n"; err != nil || got != want {
		t.Errorf("%q, %v; expected %q", got, err, want)
	}
	again, err := replace(got, "new\n")
	if err != nil || again != got {
		t.Errorf("the same figures change the document: %q, %v", again, err)
	}
	for _, faulty := range []string{"", begin, end, end + begin, begin + end + begin + end} {
		if _, err := replace(faulty, "new"); err == nil {
			t.Errorf("%q: no error, although the markers are not there once", faulty)
		}
	}
}
