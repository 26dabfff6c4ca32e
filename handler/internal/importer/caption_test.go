package importer_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"xarchive/handler/internal/importer"
)

// TestCaptions: every attachment of an item is named in its text by the name that it
// has in the item, and no picture is shown that an item cannot show.
func TestCaptions(t *testing.T) {
	messages, err := filepath.Glob("../message/testdata/*.eml")
	if err != nil || len(messages) < 20 {
		t.Fatalf("%d messages, %v; want 20 or more", len(messages), err)
	}
	for _, name := range messages {
		eml, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer eml.Close()
		var out bytes.Buffer
		if err := importer.FromMessage(&out, eml, nil); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var item struct {
			Content            string
			ContentAttachments []struct{ AttachmentFileName string }
		}
		if err := json.Unmarshal(out.Bytes(), &item); err != nil {
			t.Fatal(err)
		}
		for _, a := range item.ContentAttachments {
			if !strings.Contains(item.Content, ": "+a.AttachmentFileName) {
				t.Errorf("%s: the text does not name %s:\n%s", name, a.AttachmentFileName, item.Content)
			}
		}
		if strings.Contains(item.Content, "<img") {
			t.Errorf("%s: the text shows a picture", name)
		}
	}
}

// TestNoticePreview: X's notice in place of a text is not the author's words in an item.
func TestNoticePreview(t *testing.T) {
	eml, err := os.Open("../message/testdata/notice-instead-of-text-1896893384094646272.eml")
	if err != nil {
		t.Fatal(err)
	}
	defer eml.Close()
	var out bytes.Buffer
	if err := importer.FromMessage(&out, eml, nil); err != nil {
		t.Fatal(err)
	}
	var item struct {
		MessagePreviewText string
		PreContext         []struct{ MessagePreviewText, Content string }
	}
	if err := json.Unmarshal(out.Bytes(), &item); err != nil {
		t.Fatal(err)
	}
	const lead = "X did not give this post's text; in its place it gave this notice:"
	if !strings.HasPrefix(item.MessagePreviewText, lead) || len(item.PreContext) != 1 || !strings.HasPrefix(item.PreContext[0].MessagePreviewText, lead) ||
		!strings.Contains(item.PreContext[0].Content, "X did not give this post&#39;s text") {
		t.Errorf("item %+v", item)
	}
}
