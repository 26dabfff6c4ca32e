package export_test

import (
	"archive/zip"
	"encoding/csv"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/export"
)

// TestEveryFormat: each format has every message with the archived bytes, and a
// manifest that names them all in their order.
func TestEveryFormat(t *testing.T) {
	w := newWorld(t)
	w.fill(t)
	entries := w.entries(t)
	for _, format := range export.Formats() {
		t.Run(string(format), func(t *testing.T) {
			dest := filepath.Join(t.TempDir(), "out")
			status := run(t, w.options(format, dest))
			if status.Messages != len(entries) || status.Kept != 0 || status.LeftOut != 0 {
				t.Errorf("status %+v, expected %d messages", status, len(entries))
			}
			files := tree(t, dest)
			lines, table := files["out.manifest.jsonl"], files["out.manifest.csv"]
			messages := map[string]string{} // by path
			if format == export.Zip {
				messages = unzip(t, dest)
				lines, table = messages["manifest.jsonl"], messages["manifest.csv"]
				if !strings.Contains(messages["export.json"], `"account": "7"`) {
					t.Errorf("export.json is %q", messages["export.json"])
				}
			} else {
				if !strings.Contains(files["out.export.json"], `"account": "7"`) {
					t.Errorf("export.json is %q", files["out.export.json"])
				}
				for path, data := range files {
					if in, ok := strings.CutPrefix(path, "out/"); ok {
						messages[in] = data
					}
				}
			}
			items := manifest(t, lines)
			if len(items) != len(entries) {
				t.Fatalf("the manifest has %d lines, expected %d", len(items), len(entries))
			}
			for i, e := range entries {
				m := items[i]
				if m.Source != e.Name || m.SHA256 != e.SHA256 || m.PostID != e.PostID || m.Account != account || m.Kind != string(e.Kind) ||
					m.Posted != e.Created.Format(time.RFC3339) || m.Size != int64(len(w.content(e.Name))) {
					t.Errorf("line %d of the manifest is %+v, expected %+v", i, m, e)
				}
				if format == export.Mbox {
					if !strings.HasPrefix(files["out"][*m.Offset:], "From ") {
						t.Errorf("line %d of the manifest has offset %d, where no message begins", i, *m.Offset)
					}
					continue
				}
				if data, ok := messages[m.Path]; !ok || data != w.content(e.Name) {
					t.Errorf("%s of %s: there is %v, with %d bytes, expected the archived %d", m.Path, e.Name, ok, len(data), m.Size)
				}
				delete(messages, m.Path)
			}
			rows, err := csv.NewReader(strings.NewReader(table)).ReadAll()
			if err != nil || len(rows) != len(entries)+1 || rows[1][6] != entries[0].SHA256 {
				t.Errorf("manifest.csv has %d rows, %v; expected %d", len(rows), err, len(entries)+1)
			}
			if format == export.Zip {
				for _, own := range []string{"manifest.csv", "manifest.jsonl", "export.json"} {
					delete(messages, own)
				}
			}
			if len(messages) > 0 && format != export.Mbox {
				t.Errorf("there are files that the manifest does not name: %q", slices.Collect(maps.Keys(messages)))
			}
			if _, err := os.Stat(dest + ".part"); !os.IsNotExist(err) {
				t.Errorf("out.part is left: %v", err)
			}
		})
	}
}

// unzip reads a zip file with Go's own reader, and has unzip test it.
func unzip(t *testing.T, path string) map[string]string {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	files := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r) // compares the CRC
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		files[f.Name] = string(data)
	}
	if program, err := exec.LookPath("unzip"); err == nil {
		if out, err := exec.CommandContext(t.Context(), program, "-tq", path).CombinedOutput(); err != nil {
			t.Errorf("unzip: %v\n%s", err, out)
		}
	}
	return files
}

// TestLayouts: the paths that other programs rely on.
func TestLayouts(t *testing.T) {
	w := newWorld(t)
	w.post(t, 0, "one")
	w.put(t, supplementOf("100"), "From: someone@x.invalid\r\nTo: archive@contoso.example\r\n\r\ntext\r\n")
	w.put(t, supplementOf("101"), "From: someone@x.invalid\r\nTo: archive@t.invalid\r\n\r\ntext\r\n")
	for _, c := range []struct {
		format  export.Format
		mailbox string
		paths   []string
	}{
		{export.EML, "", []string{"7/2023/12/30/100.eml", "7/2023/12/30/100.media.eml", "7/2023/12/30/101.media.eml"}},
		{export.Maildir, "", []string{"new/1703973600.A7K100.media.x.com", "new/1703973600.A7K100.x.com", "new/1703973600.A7K101.media.x.com"}},
		{export.ReviewSet, "", []string{"archive@contoso.example/100.media.eml", "press@contoso.example/100.eml", "someone@x.invalid/101.media.eml"}},
		{export.ReviewSet, "Legal@contoso.example", []string{"legal@contoso.example/100.media.eml", "legal@contoso.example/101.media.eml", "press@contoso.example/100.eml"}},
	} {
		dest := filepath.Join(t.TempDir(), "out")
		o := w.options(c.format, dest)
		o.Query.Mailbox = c.mailbox
		run(t, o)
		var got []string
		for path := range tree(t, dest) {
			if in, ok := strings.CutPrefix(path, "out/"); ok {
				got = append(got, in)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, c.paths) {
			t.Errorf("%s: %q, expected %q", c.format, got, c.paths)
		}
		if c.format != export.Maildir {
			continue
		}
		for _, sub := range []string{"cur", "tmp"} {
			if info, err := os.Stat(filepath.Join(dest, sub)); err != nil || !info.IsDir() {
				t.Errorf("the Maildir has no folder %s: %v", sub, err)
			}
		}
		if info, err := os.Stat(filepath.Join(dest, c.paths[1])); err != nil || !info.ModTime().Equal(begin) {
			t.Errorf("a message's time is not its post's: %v", err)
		}
	}
}

// TestFilters: from and to are inclusive, kinds and texts choose.
func TestFilters(t *testing.T) {
	w := newWorld(t)
	for i := range 12 {
		w.post(t, i, map[bool]string{true: "Look, a NADEL &amp; thread", false: "nothing"}[i%3 == 0])
	}
	// One whose metadata tell no kind is a Reply by what is in it.
	m, raw := proper(t, 14, "nothing")
	m.Kind = "" // and so its metadata are
	w.put(t, m, raw)
	from := func(s string) time.Time { at, _ := export.ParseFrom(s); return at }
	to := func(s string) time.Time { at, _ := export.ParseTo(s); return at }
	for _, c := range []struct {
		name  string
		query export.Query
		want  []string
	}{
		{"a day", export.Query{From: from("2023-12-31"), To: to("2023-12-31")}, []string{"101", "102", "103"}},
		{"ends on posts", export.Query{From: begin, To: begin.Add(7 * time.Hour)}, []string{"100", "101"}},
		{"before a post", export.Query{To: begin.Add(-time.Second)}, nil},
		{"a kind", export.Query{Kinds: kinds(t, "reply")}, []string{"102", "106", "110", "114"}},
		{"two kinds", export.Query{Kinds: kinds(t, "Quote, TWEET"), To: begin.Add(21 * time.Hour)}, []string{"100", "103"}},
		{"a text in other letters, with what X escapes", export.Query{Text: "nadel & THREAD"}, []string{"100", "103", "106", "109"}},
		{"the text of what is retweeted, not of what is quoted", export.Query{Text: "needles"}, []string{"101", "105", "109"}},
		{"kind and text", export.Query{Kinds: kinds(t, "Tweet"), Text: "nadel"}, []string{"100"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dest := filepath.Join(t.TempDir(), "out")
			o := w.options(export.EML, dest)
			o.Query, o.Query.Account, o.Query.Format = c.query, account, export.EML
			run(t, o)
			var got []string
			for _, i := range manifest(t, tree(t, dest)["out.manifest.jsonl"]) {
				got = append(got, i.PostID)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("exported %q, expected %q", got, c.want)
			}
		})
	}
}

// TestTimes: dates are whole days in UTC.
func TestTimes(t *testing.T) {
	at, err := export.ParseFrom("2024-02-29")
	if err != nil || !at.Equal(time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("from a date: %v, %v", at, err)
	}
	at, err = export.ParseTo("2024-02-29")
	if err != nil || !at.Equal(time.Date(2024, 2, 29, 23, 59, 59, 999_999_999, time.UTC)) {
		t.Errorf("to a date: %v, %v", at, err)
	}
	at, err = export.ParseTo("2024-02-29T12:00:00+02:00")
	if err != nil || !at.Equal(time.Date(2024, 2, 29, 10, 0, 0, 0, time.UTC)) {
		t.Errorf("to a time: %v, %v", at, err)
	}
	for _, bad := range []string{"", "yesterday", "2024-02-30", "29.02.2024", "2024-02-29 12:00"} {
		if _, err := export.ParseFrom(bad); err == nil || !strings.Contains(err.Error(), "2024-03-31") {
			t.Errorf("%q: %v, expected an error that shows how to write a time", bad, err)
		}
	}
}
