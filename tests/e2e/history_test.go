package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/corpus"
)

// madeAt is an account that X says was made then.
func madeAt(t *testing.T, id string, at time.Time) *corpus.Corpus {
	t.Helper()
	dir := t.TempDir()
	user := map[string]string{"id": id, "name": "Contoso", "username": "contoso", "created_at": at.UTC().Format("2006-01-02T15:04:05.000Z")}
	for name, v := range map[string]any{"accounts.json": []string{id}, "posts.json": map[string]any{"data": []any{}, "includes": map[string]any{"users": []any{user}}}} {
		content, err := json.Marshal(v)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), content, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	c, err := corpus.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// peak is the largest resident set of a process so far, in MiB, as Linux counts it.
func peak(t *testing.T, pid int) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Error(err)
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kib, err := strconv.Atoi(strings.Fields(rest + " x")[0])
	if err != nil {
		t.Errorf("process %d has no VmHWM", pid)
	}
	return kib / 1024
}

// TestAllOfHistory: an account has posted 4,200 times (as often as HISTORY_POSTS says; X
// takes one search a second, so that 10,000 take minutes), of which the timeline gives 3,200.
// The command has the rest counted and read from X's whole archive. The process is killed
// twice on the way, each time with an answer that X has billed and not sent. In the end
// every post is archived once, each month has as many as X counts, the gap is closed, X
// has billed no post twice on a day, and memory was bounded.
func TestAllOfHistory(t *testing.T) {
	t.Parallel()
	const reach = 3200
	n := 4200
	if more, err := strconv.Atoi(os.Getenv("HISTORY_POSTS")); err == nil {
		n = more
	}
	account, now := firstAccount, time.Now().UTC().Truncate(time.Second)
	w := start(t, sandbox.Options{InMemory: true, Corpus: madeAt(t, account, now.AddDate(0, 0, -151))})
	w.connect(job, account)
	var posts []corpus.Post
	step := 150 * 24 * time.Hour / time.Duration(n)
	for i := range n {
		posts = append(posts, w.post(account, now.Add(-150*24*time.Hour+time.Duration(i)*step)))
	}
	history := func(says string, args ...string) {
		t.Helper()
		if exit, out := w.command(append([]string{"history", "--job", job}, args...)...); exit != 0 || !strings.Contains(out, says) {
			t.Fatalf("exit code %d, and it does not say %q:\n%s", exit, says, out)
		}
	}
	restart := func(before int) {
		t.Helper()
		if err := w.Host.WaitRestarts(t.Context(), before+1); err != nil {
			t.Fatal(err)
		}
	}

	history("Asked for")
	w.until("the posts are counted", func() bool {
		_, out := w.command("history", "--job", job)
		return strings.Contains(out, fmt.Sprintf("X counts %d posts", n))
	})
	w.until("the timeline is archived", func() bool { return len(w.messages(account)) == reach })
	if got := w.X.Stats().BilledReads; got != reach {
		t.Errorf("X bills %d posts before anybody has said that they may be read, want the timeline's %d", got, reach)
	}
	history("Under way", "--max-reads", fmt.Sprint(2*n))
	// Another process's request is found within ten minutes, by one that has just begun at once.
	restarts := w.Host.Restarts()
	if err := syscall.Kill(w.Host.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	restart(restarts)

	var mu sync.Mutex
	searches, most, killed := 0, 0, 0
	w.X.AfterCall(func(_ int, endpoint string) {
		mu.Lock()
		defer mu.Unlock()
		if endpoint != "GET /2/tweets/search/all" {
			return
		}
		searches++
		pid := w.Host.PID()
		if runtime.GOOS == "linux" {
			most = max(most, peak(t, pid))
		}
		if searches == n/500 || searches == n/180 {
			killed++
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Error(err)
			}
		}
	})
	deadline := time.Now().Add(10 * time.Minute)
	for done := ""; !strings.Contains(done, "\nEnded "); _, done = w.command("history", "--job", job) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not end:\n%s", done)
		}
		if err := w.Host.WaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
		_ = w.tryTick() // ends early where the process is killed
	}
	w.X.AfterCall(nil)
	mu.Lock()
	defer mu.Unlock()
	if killed != 2 {
		t.Errorf("the process was killed %d times: this does not show what it is to show", killed)
	}
	w.wantKeys(account, posts...)

	var record struct {
		Reads  int
		Months []struct {
			Counted, Found int
			Done           bool
		}
	}
	if err := json.Unmarshal(w.read(w.container("connector-state"), "histories/"+account+".json"), &record); err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, m := range record.Months {
		if found += m.Found; !m.Done || m.Found != m.Counted {
			t.Errorf("a month is not whole: %+v", m)
		}
	}
	if found != n {
		t.Errorf("X has given %d posts of %d", found, n)
	}
	var a struct {
		PostsTotal   int
		Gaps, Closed []any
	}
	if err := json.Unmarshal(w.read(w.container("connector-state"), "accounts/"+account+".json"), &a); err != nil {
		t.Fatal(err)
	}
	if a.PostsTotal != n || len(a.Gaps) != 0 || len(a.Closed) != 1 {
		t.Errorf("%d posts are counted, %d gaps, %d closed; want %d, none and one", a.PostsTotal, len(a.Gaps), len(a.Closed), n)
	}

	// Each post is billed once a UTC day; if the test has met midnight, some are twice.
	days := map[string]map[string]bool{}
	for _, key := range w.X.Billed() {
		if date, id, _ := strings.Cut(key, " "); !strings.HasPrefix(id, "user ") {
			if days[date] == nil {
				days[date] = map[string]bool{}
			}
			days[date][id] = true
		}
	}
	if len(days) == 1 && w.X.Stats().BilledReads != n {
		t.Errorf("X bills %d posts, want each of the %d once", w.X.Stats().BilledReads, n)
	}
	// What is sent twice, on the same day: the timeline's, the pages that the killed
	// process did not get, and the posts of the seconds at which pages end.
	if sent := w.X.Stats().PostReads; sent > n+reach+2*100+2*searches {
		t.Errorf("X has sent %d posts", sent)
	}
	const mib = 128
	if most > mib || runtime.GOOS == "linux" && most == 0 {
		t.Errorf("the process needed %d MiB, want at most %d", most, mib)
	}
	t.Logf("%d searches, %d posts sent, %d MiB at most", searches, w.X.Stats().PostReads, most)
}
