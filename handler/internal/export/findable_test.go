package export_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/export"
	"xarchive/handler/internal/message"
)

// searches are what an officer looks for, in notmuch's words and in IMAP's, and which of
// the messages under review it must find, by post id.
var searches = []struct {
	what, notmuch string
	imap          []string // strings in quotes are sent as literals
	want          []string
}{
	{"everything", "*", []string{"ALL"}, []string{linkOnly, withText, article, notes, film, notice, scripts}},
	{"the author's name", `from:"Heron Works"`, []string{"FROM", `"Heron Works"`}, []string{linkOnly, withText, article, notice}},
	{"the author's handle", "from:heron_works", []string{"FROM", `"heron_works"`}, []string{linkOnly, withText, article, notice}},
	{"words of the text", `"bridge stays closed"`, []string{"BODY", `"bridge stays closed"`}, []string{notes}},
	{"a hashtag", `"#minutes"`, []string{"BODY", `"#minutes"`}, []string{notes}},
	{"words in another script", "المدينة", []string{"BODY", `"المدينة"`}, []string{scripts}},
	{"where a link leads in the end", "q1-trading-update", []string{"TEXT", `"q1-trading-update"`}, []string{linkOnly, withText}},
	{"the title of the page behind it", `"trading update for the first quarter"`, []string{"TEXT", `"trading update for the first quarter"`}, []string{linkOnly, withText}},
	{"its description", `"Profit warning"`, []string{"TEXT", `"Profit warning"`}, []string{linkOnly, withText}},
	{"a day", "date:2025-03-10..2025-03-10", []string{"SENTON", "10-Mar-2025"}, []string{linkOnly, withText}},
	{"a range of days", "date:2025-03-04..2025-03-05", []string{"SENTSINCE", "4-Mar-2025", "SENTBEFORE", "6-Mar-2025"}, []string{article, notice}},
	{"the name of a film", "attachment:ART204.mp4", []string{"TEXT", `"ART204.mp4"`}, []string{article}},
	{"the description of a picture", `"Blast furnace at dusk"`, []string{"BODY", `"Blast furnace at dusk"`}, []string{article}},
	{"notices in place of texts", `subject:"did not give this post's text"`, []string{"HEADER", "X-Twitter-Text-Missing", `""`}, []string{notice}},
}

const (
	linkOnly, withText = "1899007313310646272", "1899022412805046272"
	article, notice    = "1897195373982646272", "1896832986117046272"
	notes, film        = "1800000000000000003", "1800000000000000004"
	scripts            = "1800000000000000011" // its id there is that of another
)

// TestFindable: what an exported Maildir holds is found by notmuch and by Dovecot's IMAP
// SEARCH.
func TestFindable(t *testing.T) {
	w := newWorld(t)
	ids := map[string]string{} // post id by Message-ID
	for _, name := range []string{"link-text-" + linkOnly, "link-text-" + withText, "article-media-" + article, "notice-instead-of-text-" + notice, "long-note", "media", "right-to-left"} {
		raw, err := os.ReadFile(filepath.Join("../message/testdata", name+".eml"))
		if err != nil {
			t.Fatal(err)
		}
		m, err := message.Read(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		id := m.Post.ID
		if name == "right-to-left" {
			id = scripts
			raw = bytes.Replace(raw, []byte("<"+m.Post.ID+"@"), []byte("<"+id+"@"), 1)
		}
		w.put(t, archive.Message{Key: id, PostID: id, Created: m.Post.CreatedAt, Kind: m.Post.Kind()}, string(raw))
		ids[id+"@x.com"] = id
	}
	dest := filepath.Join(t.TempDir(), "out")
	run(t, w.options(export.Maildir, dest))
	found := func(messageIDs []string) (posts []string) {
		for _, id := range messageIDs {
			posts = append(posts, ids[strings.Trim(strings.TrimPrefix(id, "id:"), "<>")])
		}
		slices.Sort(posts)
		return posts
	}
	t.Run("notmuch", func(t *testing.T) {
		notmuch := openNotmuch(t, dest)
		for _, s := range searches {
			slices.Sort(s.want)
			if got := found(strings.Fields(notmuch("search", "--output=messages", s.notmuch))); !slices.Equal(got, s.want) {
				t.Errorf("%s finds %v, want %v", s.what, got, s.want)
			}
		}
	})
	t.Run("Dovecot", func(t *testing.T) {
		imap := openIMAP(t, dest)
		for _, s := range searches {
			slices.Sort(s.want)
			if got := found(imap.search(s.imap...)); !slices.Equal(got, s.want) {
				t.Errorf("%s finds %v, want %v", s.what, got, s.want)
			}
		}
	})
}

// openNotmuch indexes a Maildir and returns notmuch as a function.
func openNotmuch(t *testing.T, maildir string) func(args ...string) string {
	t.Helper()
	program, err := exec.LookPath("notmuch")
	if err != nil {
		t.Skip("notmuch is not installed")
	}
	settings, home := filepath.Join(t.TempDir(), "config"), t.TempDir()
	if err := os.WriteFile(settings, []byte("[database]\npath="+maildir+"\n[user]\nprimary_email=a@contoso.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	notmuch := func(args ...string) string {
		t.Helper()
		c := exec.CommandContext(t.Context(), program, args...)
		c.Env = []string{"HOME=" + home, "NOTMUCH_CONFIG=" + settings, "PATH=/usr/bin:/bin"}
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("notmuch %q: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	notmuch("new")
	return notmuch
}

// imap is a session with Dovecot's IMAP server over its standard input and output.
type imap struct {
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Reader
	n   int
	ids map[string]string // Message-ID by the message's number
}

// dovecot is where Debian and Fedora keep the program.
var dovecot = []string{"/usr/lib/dovecot/imap", "/usr/libexec/dovecot/imap"}

func openIMAP(t *testing.T, maildir string) *imap {
	t.Helper()
	i := slices.IndexFunc(dovecot, func(name string) bool { _, err := os.Stat(name); return err == nil })
	if i < 0 {
		t.Skip("Dovecot is not installed")
	}
	// A copy: Dovecot writes its index into it, and as another user where root runs the test.
	dir, err := os.MkdirTemp("", "imap")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.CopyFS(filepath.Join(dir, "mail"), os.DirFS(maildir)); err != nil {
		t.Fatal(err)
	}
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 {
		uid, gid = 65534, 65534 // Dovecot gives mail to everybody but root
		if err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err == nil {
				err = os.Chown(path, uid, gid)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	settings := filepath.Join(dir, "dovecot.conf")
	text := fmt.Sprintf("protocols = imap\nbase_dir = %s/run\nlog_path = /dev/stderr\nmail_location = maildir:%s/mail\nmail_uid = %d\nmail_gid = %d\nfirst_valid_uid = 1\nfirst_valid_gid = 1\nssl = no\n", dir, dir, uid, gid)
	if err := os.WriteFile(settings, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), dovecot[i], "-c", settings)
	c.Env = []string{"USER=reader", "HOME=" + dir, "PATH=/usr/bin:/bin"}
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	c.Stderr = &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := c.Wait(); t.Failed() {
			t.Logf("Dovecot ended: %v\n%s", err, &log)
		}
	})
	s := &imap{t: t, in: in, out: bufio.NewReader(out), ids: map[string]string{}}
	s.line() // its greeting
	s.do("SELECT INBOX")
	number := regexp.MustCompile(`^\* (\d+) FETCH`)
	last := ""
	for _, line := range s.do("FETCH 1:* BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]") {
		if m := number.FindStringSubmatch(line); m != nil {
			last = m[1]
		} else if _, id, ok := strings.Cut(line, "Message-ID: "); ok {
			s.ids[last] = id
		}
	}
	return s
}

func (s *imap) line() string {
	s.t.Helper()
	line, err := s.out.ReadString('\n')
	if err != nil {
		s.t.Fatalf("Dovecot does not answer: %q, %v", line, err)
	}
	return strings.TrimRight(line, "\r\n")
}

// do sends a command and returns the lines of its answer.
func (s *imap) do(command string) (lines []string) {
	s.t.Helper()
	s.n++
	tag := fmt.Sprintf("t%d ", s.n)
	if _, err := io.WriteString(s.in, tag+command+"\r\n"); err != nil {
		s.t.Fatal(err)
	}
	for {
		line := s.line()
		if answer, ok := strings.CutPrefix(line, tag); ok {
			if !strings.HasPrefix(answer, "OK") {
				s.t.Fatalf("%s: %s", command, line)
			}
			return lines
		}
		lines = append(lines, line)
	}
}

// search returns the Message-IDs of what is found.
func (s *imap) search(words ...string) (ids []string) {
	s.t.Helper()
	for i, word := range words {
		if text, ok := strings.CutPrefix(word, `"`); ok { // RFC 7888: a literal needs no quoting
			text = strings.TrimSuffix(text, `"`)
			words[i] = fmt.Sprintf("{%d+}\r\n%s", len(text), text)
		}
	}
	for _, line := range s.do("SEARCH CHARSET UTF-8 " + strings.Join(words, " ")) {
		if numbers, ok := strings.CutPrefix(line, "* SEARCH"); ok {
			for _, n := range strings.Fields(numbers) {
				ids = append(ids, s.ids[n])
			}
		}
	}
	return ids
}
