package export

import (
	"archive/zip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// zipOf makes a zip file of what entries adds, with a manifest that is empty.
func zipOf(t *testing.T, entries func(s *single, j *journal)) string {
	t.Helper()
	p := place{dest: filepath.Join(t.TempDir(), "out.zip"), single: true}
	if err := os.MkdirAll(p.part(""), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{manifestCSV, manifestJSONL, reportName} {
		if err := os.WriteFile(p.part(name), []byte("of "+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	j, err := openJournal(p.part("journal.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	s, err := openSingle(p, &zipFile{now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	entries(s, j)
	if err := s.finish(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	return p.dest
}

// write adds an entry with a text.
func write(t *testing.T, s *single, j *journal, name, text string) {
	t.Helper()
	path := s.place.part("text")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := record{Path: name, Size: int64(len(text)), Posted: time.Date(2024, 5, 6, 7, 8, 10, 0, time.UTC)}
	if err := s.append(func(w io.Writer) error { return appendFile(w, path, &r, s.end) }); err != nil {
		t.Fatal(err)
	}
	if err := j.add(r); err != nil {
		t.Fatal(err)
	}
}

// TestZipBeyond4GiB: an entry of more than 4 GiB, and one behind it. The large one is a
// hole in the file.
func TestZipBeyond4GiB(t *testing.T) {
	const large = 5 << 30
	path := zipOf(t, func(s *single, j *journal) {
		r := record{Path: "large", Size: large, Posted: time.Date(2024, 5, 6, 7, 8, 10, 0, time.UTC)}
		if err := s.append(func(w io.Writer) error { _, err := w.Write(localHeader(r)); return err }); err != nil {
			t.Fatal(err)
		}
		s.end += large
		if err := j.add(r); err != nil {
			t.Fatal(err)
		}
		write(t, s, j, "behind", "the text behind")
	})
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if len(z.File) != 5 || z.File[0].UncompressedSize64 != large || z.File[1].Name != "behind" || !z.File[1].Modified.Equal(time.Date(2024, 5, 6, 7, 8, 10, 0, time.UTC)) {
		t.Fatalf("%d entries, the first %+v, expected 5 and a large one", len(z.File), z.File[0].FileHeader)
	}
	for i, want := range map[int]string{1: "the text behind", 2: "of manifest.csv", 4: "of export.json"} {
		f, err := z.File[i].Open()
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(f); err != nil || string(text) != want {
			t.Errorf("%s is %q, %v", z.File[i].Name, text, err)
		}
	}
	if program, err := exec.LookPath("unzip"); err == nil {
		if out, err := exec.CommandContext(t.Context(), program, "-p", path, "behind").Output(); err != nil || string(out) != "the text behind" {
			t.Errorf("unzip gives %q, %v", out, err)
		}
	}
}

// TestZipOfManyEntries: more than the 65,535 that fit without Zip64.
func TestZipOfManyEntries(t *testing.T) {
	const many = 70_000
	path := zipOf(t, func(s *single, j *journal) {
		var lines strings.Builder
		err := s.append(func(w io.Writer) error {
			for i := range many {
				r := record{Path: fmt.Sprintf("%05d", i), Posted: time.Unix(1<<30, 0), Start: s.end + int64(i*len(localHeader(record{Path: "00000"})))}
				if _, err := w.Write(localHeader(r)); err != nil {
					return err
				}
				fmt.Fprintf(&lines, "{\"path\":%q,\"posted\":\"2004-01-10T13:37:04Z\",\"start\":%d}\n", r.Path, r.Start)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		n, err := j.file.WriteString(lines.String())
		if err != nil {
			t.Fatal(err)
		}
		j.old, j.end = nil, int64(n)
	})
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if len(z.File) != many+3 || z.File[many-1].Name != "69999" {
		t.Errorf("%d entries, expected %d", len(z.File), many+3)
	}
	if program, err := exec.LookPath("unzip"); err == nil {
		if out, err := exec.CommandContext(t.Context(), program, "-tqq", path).CombinedOutput(); err != nil {
			t.Errorf("unzip: %v\n%s", err, out)
		}
	}
}
