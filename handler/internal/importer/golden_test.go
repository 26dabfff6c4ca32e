package importer_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"xarchive/handler/internal/importer"
	"xarchive/tests/sandbox/importservice"
)

var update = flag.Bool("update", false, "write the files under testdata")

// TestGolden: the items of the messages under review in package message, byte for
// byte.
func TestGolden(t *testing.T) {
	messages, err := filepath.Glob("../message/testdata/*.eml")
	if err != nil || len(messages) < 5 {
		t.Fatalf("%d messages, %v; want 5 or more", len(messages), err)
	}
	for _, from := range messages {
		eml, err := os.Open(from)
		if err != nil {
			t.Fatal(err)
		}
		defer eml.Close()
		var got bytes.Buffer
		if err := importer.FromMessage(&got, eml, map[string]string{"ann": "ann@contoso.example"}); err != nil {
			t.Fatalf("%s: %v", from, err)
		}
		if err := importservice.CheckItem(got.Bytes()); err != nil {
			t.Errorf("%s: %v", from, err)
		}
		file := filepath.Join("testdata", strings.TrimSuffix(filepath.Base(from), ".eml")+".json")
		if *update {
			if err := os.MkdirAll("testdata", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s differs from what is written now (go test -update writes it):\n%s", file, &got)
		}
	}
}

// TestSupplement: the item of a supplement has a name of its own and is in the thread
// of its post.
func TestSupplement(t *testing.T) {
	for file, want := range map[string]struct{ id, thread, parent, preview string }{
		"supplement-media":   {"1800000000000000004.media", "1800000000000000004", "1800000000000000004", "Media of: Look"},
		"supplement-missing": {"1800000000000000006.missing", "1800000000000000005", "1800000000000000006", "Earlier version missing: Second words"},
	} {
		eml, err := os.Open(filepath.Join("../message/testdata", file+".eml"))
		if err != nil {
			t.Fatal(err)
		}
		defer eml.Close()
		var out bytes.Buffer
		if err := importer.FromMessage(&out, eml, nil); err != nil {
			t.Fatal(err)
		}
		var got struct{ ID, ThreadID, ParentID, MessagePreviewText string }
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if got.ID != want.id || got.ThreadID != want.thread || got.ParentID != want.parent || got.MessagePreviewText != want.preview {
			t.Errorf("%s: %+v, want %+v", file, got, want)
		}
		if name := importer.FileName(got.ID); name != want.id+".json" {
			t.Errorf("%s: file name %s", file, name)
		}
	}
}
