package manifest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/blob/blobtest"
	"xarchive/handler/internal/manifest"
)

var noon = time.Date(2026, 6, 10, 12, 0, 0, 0, time.UTC)

func lines(keys ...string) (out []manifest.Line) {
	for _, key := range keys {
		out = append(out, manifest.Line{Key: key, PostID: key, Path: "7/2026/06/10/" + key + ".eml", SHA256: "ab", Kind: "Tweet", Posted: noon, Captured: noon})
	}
	return out
}

// read returns the keys of a chain and how many of its links are broken.
func read(t *testing.T, s *manifest.Store, newest manifest.Link) (keys string, broken int) {
	t.Helper()
	parts, err := s.Parts(t.Context(), "7")
	if err != nil {
		t.Fatal(err)
	}
	var last manifest.Link
	check := func(err error) {
		if errors.Is(err, manifest.ErrBroken) {
			broken++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, part := range parts {
		b, err := s.Blob(t.Context(), "7", part.N)
		check(err)
		if err != nil {
			last = manifest.Link{N: part.N}
			continue
		}
		check(b.Follows(last))
		check(b.Link.Is("7", newest))
		for _, line := range b.Lines {
			keys += line.Key + " "
		}
		last = b.Link
	}
	check(last.Ends("7", newest))
	return strings.TrimSpace(keys), broken
}

// TestChain: lines come back in order, and every change of the chain is found: a blob
// altered, removed, added at the end, or cut off there.
func TestChain(t *testing.T) {
	make := func() (*blob.Container, *manifest.Store, manifest.Link) {
		c := blobtest.Container(t)
		s := manifest.New(c)
		link := manifest.Link{}
		for _, keys := range [][]string{{"1", "2"}, {"3"}, {"4", "5"}} {
			var err error
			if link, err = s.Append(t.Context(), "7", link, "2026-06-10", lines(keys...)); err != nil {
				t.Fatal(err)
			}
		}
		return c, s, link
	}
	_, s, link := make()
	if keys, broken := read(t, s, link); keys != "1 2 3 4 5" || broken != 0 || link.N != 3 {
		t.Errorf("%q, %d broken links, newest %+v", keys, broken, link)
	}
	blobName := func(n int) string { return fmt.Sprintf("7/manifest/%08d.jsonl", n) }
	for name, change := range map[string]func(c *blob.Container) error{
		"altered": func(c *blob.Container) error {
			data, _, err := c.Read(t.Context(), blobName(2))
			if err == nil {
				_, err = c.Write(t.Context(), blobName(2), []byte(strings.Replace(string(data), `"ab"`, `"cd"`, 1)), blob.Condition{})
			}
			return err
		},
		"the last one altered": func(c *blob.Container) error {
			data, _, err := c.Read(t.Context(), blobName(3))
			if err == nil {
				_, err = c.Write(t.Context(), blobName(3), []byte(strings.Replace(string(data), `"ab"`, `"cd"`, 1)), blob.Condition{})
			}
			return err
		},
		"removed":           func(c *blob.Container) error { return c.Remove(t.Context(), blobName(2), blob.Condition{}) },
		"the first removed": func(c *blob.Container) error { return c.Remove(t.Context(), blobName(1), blob.Condition{}) },
		"cut off":           func(c *blob.Container) error { return c.Remove(t.Context(), blobName(3), blob.Condition{}) },
		"no manifest": func(c *blob.Container) error {
			_, err := c.Write(t.Context(), blobName(2), []byte("hello"), blob.Condition{})
			return err
		},
	} {
		c, s, link := make()
		if err := change(c); err != nil {
			t.Fatal(err)
		}
		if keys, broken := read(t, s, link); broken == 0 {
			t.Errorf("%s: not found; the lines are %q", name, keys)
		}
	}
}

// TestInterrupted: a blob whose link was never written down stands, and the chain
// goes on behind it.
func TestInterrupted(t *testing.T) {
	s := manifest.New(blobtest.Container(t))
	first, err := s.Append(t.Context(), "7", manifest.Link{}, "2026-06-10", lines("1"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), "7", first, "2026-06-10", lines("2")); err != nil {
		t.Fatal(err)
	}
	link, err := s.Append(t.Context(), "7", first, "2026-06-10", lines("2", "3")) // as if the link of "2" was lost
	if err != nil || link.N != 3 {
		t.Fatalf("%+v, %v", link, err)
	}
	if keys, broken := read(t, s, link); keys != "1 2 2 3" || broken != 0 {
		t.Errorf("%q, %d broken links", keys, broken)
	}
}
