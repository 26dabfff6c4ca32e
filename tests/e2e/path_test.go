package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/importservice"
)

// TestWholePath is the main job with the built-in corpus: two accounts sign in,
// the Compliance Center asks for everything, the timer ticks.
func TestWholePath(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Options{})
	accounts := w.Corpus.Accounts()
	if len(accounts) != 2 {
		t.Fatalf("the built-in corpus has %d accounts, 2 are wanted", len(accounts))
	}
	jobs := []string{"job-a", "job-b"}
	posts, timeline := 0, 0
	for i, account := range accounts {
		w.connect(jobs[i], account)
		posts += len(w.Corpus.All(account))
		timeline += len(w.Corpus.Posts(account))
		w.request(importservice.Task{JobID: jobs[i], TaskID: "all", Start: beginning, End: w.newest()})
	}
	if posts < 250 {
		t.Fatalf("the built-in corpus has %d posts, at least 250 are wanted", posts)
	}
	w.tick()

	t.Run("every post is archived once", func(t *testing.T) {
		for _, account := range accounts {
			w.wantArchived(account, w.Corpus.All(account))
		}
	})
	t.Run("every post is delivered", func(t *testing.T) {
		for i, job := range jobs {
			w.wantDelivered(job, "all", importservice.Success, w.Corpus.All(accounts[i]))
		}
	})
	t.Run("Python reads the messages", func(t *testing.T) { w.python(t, accounts) })
	t.Run("no page is read twice, and no post billed twice", func(t *testing.T) {
		pages := 0
		for _, account := range accounts {
			pages += (len(w.Corpus.Posts(account)) + 99) / 100
		}
		stats := w.X.Stats()
		if got := stats.ByPath["GET /2/users/:id/tweets"]; got != pages {
			t.Errorf("%d pages of timelines were read, want %d", got, pages)
		}
		// A post that another refers to is looked up by its id, too, which X bills once a day.
		if stats.BilledReads > posts {
			t.Errorf("X bills %d posts, the accounts have %d", stats.BilledReads, posts)
		}
	})
	t.Run("an idle tick costs one request an account", func(t *testing.T) {
		w.tick() // the day's first after a read: X is asked for its own number of posts, too
		before := w.X.Stats()
		w.tick()
		after := w.X.Stats()
		if got := after.PostReads - before.PostReads; got != 0 {
			t.Errorf("an idle tick read %d posts", got)
		}
		if got := after.Requests - before.Requests; got != len(accounts) {
			t.Errorf("an idle tick made %d requests, want one an account", got)
		}
		for name := range w.blobs("connector-state") {
			if strings.HasPrefix(name, "pages/") {
				t.Errorf("%s is there though there is nothing to archive", name)
			}
		}
	})
	t.Run("the same task again adds nothing", func(t *testing.T) {
		events := len(w.Import.Events())
		w.request(importservice.Task{JobID: jobs[0], TaskID: "all", Start: beginning, End: w.newest()})
		w.tick()
		if got := len(w.Import.Events()); got != events {
			t.Errorf("%d more events", got-events)
		}
		w.wantDelivered(jobs[0], "all", importservice.Success, w.Corpus.All(accounts[0]))
	})
	t.Run("another task over the window reads nothing from X", func(t *testing.T) {
		before := w.X.Stats().PostReads
		w.request(importservice.Task{JobID: jobs[0], TaskID: "again", Start: beginning, End: w.newest()})
		w.X.Down(true)
		defer w.X.Down(false)
		_ = w.tryTick() // capture fails, which is what X being down means
		w.wantDelivered(jobs[0], "again", importservice.Success, w.Corpus.All(accounts[0]))
		if got := w.X.Stats().PostReads - before; got != 0 {
			t.Errorf("read %d posts", got)
		}
	})
	t.Run("a part of the window", func(t *testing.T) {
		all := w.Corpus.All(accounts[0])
		slices.SortFunc(all, func(a, b corpus.Post) int { return a.CreatedAt.Compare(b.CreatedAt) })
		from, to := all[40].CreatedAt, all[89].CreatedAt
		w.request(importservice.Task{JobID: jobs[0], TaskID: "part", Start: from, End: to})
		w.tick()
		w.wantDelivered(jobs[0], "part", importservice.Success, slices.DeleteFunc(all, func(p corpus.Post) bool {
			return p.CreatedAt.Before(from) || p.CreatedAt.After(to)
		}))
	})
	t.Run("a new post", func(t *testing.T) {
		at := time.Now().UTC().Truncate(time.Second)
		id := corpus.NewID(at, 1)
		if _, err := w.Corpus.Add(fmt.Appendf(nil, `{"data":[{"id":%q,"text":"Said just now","author_id":%q,"created_at":%q,"conversation_id":%q,"edit_history_tweet_ids":[%q]}]}`,
			id, accounts[0], at.Format("2006-01-02T15:04:05.000Z"), id, id)); err != nil {
			t.Fatal(err)
		}
		before := w.X.Stats().PostReads
		name := accounts[0] + "/" + at.Format("2006/01/02/") + id + ".eml"
		w.until("the new post is archived", func() bool { _, ok := w.blobs("archive")[name]; return ok })
		if got := w.X.Stats().PostReads - before; got != 1 {
			t.Errorf("read %d posts for one", got)
		}
	})
	w.wantClean()
}

// python has Python's mail library read every message of the accounts, in one
// process: a line of JSON a message, there and back.
func (w *world) python(t *testing.T, accounts []string) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 here")
	}
	c := w.container("archive")
	var posts []corpus.Post
	var in bytes.Buffer
	for _, account := range accounts {
		for _, p := range w.Corpus.All(account) {
			line, err := json.Marshal(w.read(c, fmt.Sprintf("%s/%s/%s.eml", account, p.CreatedAt.UTC().Format("2006/01/02"), p.ID)))
			if err != nil {
				t.Fatal(err)
			}
			in.Write(append(line, '\n'))
			posts = append(posts, p)
		}
	}
	cmd := exec.CommandContext(t.Context(), python, "-c", readMail)
	cmd.Stdin = &in
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("%v: %s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	answers := json.NewDecoder(bytes.NewReader(out))
	for _, p := range posts {
		var got struct {
			Date, Text string
			Defects    []string
			Files      map[string]string
		}
		if err := answers.Decode(&got); err != nil {
			t.Fatalf("post %s: Python's answer: %v", p.ID, err)
		}
		if len(got.Defects) > 0 {
			t.Errorf("post %s: Python finds defects in its message: %q", p.ID, got.Defects)
		}
		if date, err := time.Parse(time.RFC3339, got.Date); err != nil || !date.Equal(p.CreatedAt.Truncate(time.Second)) {
			t.Errorf("post %s: Python reads the date %s", p.ID, got.Date)
		}
		if !strings.Contains(normal(got.Text), normal(plain(p))) {
			t.Errorf("post %s: Python reads the text %q", p.ID, got.Text)
		}
		if want := len(w.files(p)); len(got.Files) < want+1 {
			t.Errorf("post %s: Python reads the files %v, want post.json and %d more", p.ID, got.Files, want)
		}
	}
}

const readMail = `
import sys, json, base64, email, email.policy
for line in sys.stdin:
  m = email.message_from_bytes(base64.b64decode(json.loads(line)), policy=email.policy.default)
  print(json.dumps({"Date": m["date"].datetime.isoformat(),
    "Text": m.get_body(("plain",)).get_content(),
    "Defects": [repr(d) for p in m.walk() for d in p.defects],
    "Files": {a.get_filename(): a.get_content_type() for a in m.walk() if a.get_filename()}}))
`
