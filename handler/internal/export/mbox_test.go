package export

import (
	"bufio"
	"bytes"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// TestQuoting: whatever a message has, no line of it begins a message of an mbox, and
// it can be had back exactly. The buffers are small, so that lines do not fit.
func TestQuoting(t *testing.T) {
	pieces := []string{"From ", ">", ">>>", "\n", "\r\n", "From", "F", " ", "x", strings.Repeat(">", 40), strings.Repeat("From ", 9)}
	rng := rand.New(rand.NewPCG(4155, 0))
	for range 20_000 {
		var text strings.Builder
		for range rng.IntN(12) {
			text.WriteString(pieces[rng.IntN(len(pieces))])
		}
		var quoted, back bytes.Buffer
		last, err := quote(&quoted, bufio.NewReaderSize(strings.NewReader(text.String()), 16))
		if err != nil {
			t.Fatal(err)
		}
		if s := text.String(); s != "" && last != s[len(s)-1] {
			t.Fatalf("%q ends with %q, not %q", s, s[len(s)-1], last)
		}
		if bytes.HasPrefix(quoted.Bytes(), fromLine) || bytes.Contains(quoted.Bytes(), []byte("\nFrom ")) {
			t.Fatalf("%q becomes %q, which begins a message", text.String(), quoted.String())
		}
		if want := quotable.ReplaceAllString(text.String(), ">$0"); quoted.String() != want {
			t.Fatalf("%q becomes %q, expected %q", text.String(), quoted.String(), want)
		}
		if err := unquote(&back, bufio.NewReaderSize(&quoted, 16)); err != nil {
			t.Fatal(err)
		}
		if back.String() != text.String() {
			t.Fatalf("%q comes back as %q", text.String(), back.String())
		}
	}
}

// quotable is mboxrd's rule in one line.
var quotable = regexp.MustCompile(`(?m)^>*From `)
