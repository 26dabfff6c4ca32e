package export_test

import (
	"archive/zip"
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"xarchive/handler/internal/export"
	"xarchive/handler/internal/post"
)

// TestStream: a streamed zip file has each message byte for byte, oldest first, and a
// manifest that names them and what was left out.
func TestStream(t *testing.T) {
	w := newWorld(t)
	w.fill(t)
	unzip := func(q export.Query) (files map[string]string, order []string, status export.Status) {
		t.Helper()
		var b bytes.Buffer
		o := w.options(export.Zip, "")
		o.Query.From, o.Query.To, o.Query.Kinds, o.Query.Text = q.From, q.To, q.Kinds, q.Text
		status, err := export.Stream(t.Context(), &b, o)
		if err != nil {
			t.Fatal(err)
		}
		r, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatal(err)
		}
		files = map[string]string{}
		for _, f := range r.File {
			in, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(in)
			if err != nil {
				t.Fatal(err)
			}
			files[f.Name], order = string(data), append(order, f.Name)
		}
		return files, order, status
	}
	files, order, status := unzip(export.Query{})
	var want []string
	for _, e := range w.entries(t) {
		want = append(want, e.Name)
		if files[e.Name] != w.content(e.Name) {
			t.Errorf("%s is not as it is archived", e.Name)
		}
	}
	if want = append(want, "manifest.csv", "manifest.jsonl", "export.json"); !slices.Equal(order, want) {
		t.Errorf("the file has %q, expected %q", order, want)
	}
	if status.Messages != len(want)-3 || status.LeftOut != 0 || strings.Count(files["manifest.jsonl"], "\n") != status.Messages || !strings.Contains(files["export.json"], `"whole": true`) {
		t.Errorf("%+v, %s", status, files["export.json"])
	}
	if items := manifest(t, files["manifest.jsonl"]); items[0].Source != want[0] || items[0].SHA256 == "" {
		t.Errorf("the manifest begins with %+v", items[0])
	}

	w.post(t, 400, "a needle in it")
	if files, _, status = unzip(export.Query{Text: "NEEDLE IN"}); status.Messages != 1 || len(files) != 4 {
		t.Errorf("by text: %+v", status)
	}
	_, _, all := unzip(export.Query{})
	if _, _, some := unzip(export.Query{Kinds: []post.Kind{post.Reply}}); some.Messages == 0 || some.Messages >= all.Messages {
		t.Errorf("by kind %+v, all %+v", some, all)
	}

	altered := w.entries(t)[1]
	w.alter(t, altered, "other bytes")
	files, order, status = unzip(export.Query{})
	if status.LeftOut != 1 || slices.Contains(order, altered.Name) || !strings.Contains(files["manifest.csv"], altered.Name+",,altered: ") {
		t.Errorf("with an altered message: %+v\n%s", status, files["manifest.csv"])
	}
}
