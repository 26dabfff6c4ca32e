package export_test

import (
	"archive/zip"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"xarchive/handler/internal/export"
)

// TestPythonReadsMaildir: Python's mailbox module has every message, with its bytes.
func TestPythonReadsMaildir(t *testing.T) {
	w := newWorld(t)
	w.fill(t)
	dest := filepath.Join(t.TempDir(), "out")
	run(t, w.options(export.Maildir, dest))
	out := python(t, `
import hashlib, mailbox, sys
box = mailbox.Maildir(sys.argv[1], create=False)
for key in box.keys():
    box[key]  # parses
    print(hashlib.sha256(open(box._path + "/" + box._lookup(key), "rb").read()).hexdigest())
`, dest)
	got := strings.Fields(out)
	slices.Sort(got)
	if want := w.hashes(t); !slices.Equal(got, want) {
		t.Errorf("Python has %d messages, expected the %d that are archived\n%s", len(got), len(want), out)
	}
}

// TestPythonReadsMbox: Python's mailbox module finds the same messages in the same
// order, and each is the archived one once its quoting is taken off. mailbox leaves that to its
// caller.
func TestPythonReadsMbox(t *testing.T) {
	w := newWorld(t)
	w.fill(t)
	dest := filepath.Join(t.TempDir(), "out")
	run(t, w.options(export.Mbox, dest))
	out := python(t, `
import hashlib, json, mailbox, re, sys
box = mailbox.mbox(sys.argv[1], create=False)
lines = [json.loads(l) for l in open(sys.argv[1] + ".manifest.jsonl")]
for key, line in zip(box.keys(), lines, strict=True):
    message = box[key]
    assert re.fullmatch(r"\S+ \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}", message.get_from()), message.get_from()
    with open(sys.argv[1], "rb") as f:
        start, end = box._toc[key]
        f.seek(start); f.readline()
        data = re.sub(rb"(?m)^>(>*From )", rb"\1", f.read(end - f.tell()))
    print(hashlib.sha256(data[:line["size"]]).hexdigest())
`, dest)
	var want []string
	for _, e := range w.entries(t) {
		want = append(want, e.SHA256)
	}
	if got := strings.Fields(out); !slices.Equal(got, want) {
		t.Errorf("Python has %d messages, expected the %d that are archived, in their order\n%s", len(got), len(want), out)
	}
}

// TestPythonReadsZip: Python's zipfile finds no fault, and the manifest's hashes are those of
// the files.
func TestPythonReadsZip(t *testing.T) {
	w := newWorld(t)
	w.fill(t)
	dest := filepath.Join(t.TempDir(), "out.zip")
	run(t, w.options(export.Zip, dest))
	out := python(t, `
import csv, hashlib, io, sys, zipfile
z = zipfile.ZipFile(sys.argv[1])
assert z.testzip() is None
rows = list(csv.DictReader(io.TextIOWrapper(z.open("manifest.csv"))))
for r in rows:
    assert hashlib.sha256(z.read(r["path"])).hexdigest() == r["sha256"], r
    y, m, d, *_ = z.getinfo(r["path"]).date_time
    assert r["posted"].startswith("%04d-%02d-%02d" % (y, m, d)), r
assert [i.filename for i in z.infolist()[:len(rows)]] == [r["path"] for r in rows]
print(len(rows))
`, dest)
	if got := strings.TrimSpace(out); got != fmt.Sprint(len(w.names)) {
		t.Errorf("Python has %s messages, expected %d", got, len(w.names))
	}
}

// TestCheckOfTheDocs: the command that docs/operations.md gives for checking a zip file later
// finds nothing in one that is whole, and what was changed in another.
func TestCheckOfTheDocs(t *testing.T) {
	docs, err := os.ReadFile("../../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(docs), "python3 -c '")
	script, _, found := strings.Cut(rest, "' posts.zip`")
	if !found {
		t.Fatal("docs/operations.md has no command for checking a zip file")
	}
	w := newWorld(t)
	w.fill(t)
	w.alter(t, w.entries(t)[3], "altered") // left out; its line has no path
	dest := filepath.Join(t.TempDir(), "posts.zip")
	run(t, w.options(export.Zip, dest))
	if got := python(t, script, dest); got != "[]\n" {
		t.Errorf("it prints %q of a whole file, expected []", got)
	}

	// One message has a byte more; zip's own checksum is right.
	changed := filepath.Join(t.TempDir(), "changed.zip")
	f, err := os.Create(changed)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := zip.NewWriter(f)
	wrong := ""
	for name, data := range unzip(t, dest) {
		if wrong == "" && strings.HasSuffix(name, ".eml") {
			wrong, data = name, data+"x"
		}
		entry, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := entry.Write([]byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if got := python(t, script, changed); got != "['"+wrong+"']\n" {
		t.Errorf("it prints %q, expected %s", got, wrong)
	}
}
