package post

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestThousandsOfReferences: a document whose references lead to ever more is not followed
// without end; its post is one that is set aside. One with a few references is read.
func TestThousandsOfReferences(t *testing.T) {
	document := func(references, within int) []byte {
		var own, inner []string
		for range references {
			own = append(own, fmt.Sprintf(`{"type":"quoted","id":"%d"}`, 100+len(own)))
		}
		for range within {
			inner = append(inner, fmt.Sprintf(`{"type":"quoted","id":"%d"}`, 100+len(inner)))
		}
		var posts []string
		for i := range references {
			posts = append(posts, fmt.Sprintf(`{"id":"%d","text":"x","created_at":"2026-01-01T00:00:00Z","referenced_tweets":[%s]}`, 100+i, strings.Join(inner, ",")))
		}
		return fmt.Appendf(nil, `{"data":{"id":"7","text":"x","created_at":"2026-01-01T00:00:00Z","referenced_tweets":[%s]},"includes":{"tweets":[%s]}}`, strings.Join(own, ","), strings.Join(posts, ","))
	}
	if _, err := Parse(document(2001, 41)); !errors.Is(err, ErrTooMany) {
		t.Errorf("thousands of references: %v", err)
	}
	p, err := Parse(document(5, 2))
	if err != nil || len(p.References) != 5 || len(p.References[0].Post.References) != 2 {
		t.Errorf("a few references: %+v, %v", p, err)
	}
	// A post whose references were not sent is bounded, too.
	if _, err := Parse([]byte(`{"data":{"id":"7","text":"x","created_at":"2026-01-01T00:00:00Z","referenced_tweets":[` +
		strings.TrimSuffix(manyReferences(1000), ",") + `]}}`)); !errors.Is(err, ErrTooMany) {
		t.Errorf("a thousand references to nothing: %v", err)
	}
}

func manyReferences(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"type":"quoted","id":"%d"},`, 100+i)
	}
	return b.String()
}
