package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/importservice"
	"xarchive/tests/sandbox/x"

	"github.com/emersion/go-message/mail"
)

const job, task = "job-a", "all"

// everything is a world in which an account has signed in and everything it posted
// is asked for.
func everything(t *testing.T, o sandbox.Options) (w *world, account string) {
	t.Helper()
	w = start(t, o)
	account = corpus.PressAccount
	w.connect(job, account)
	w.request(importservice.Task{JobID: job, TaskID: task, Start: beginning, End: w.newest()})
	return w, account
}

// wantAll: every post is archived and delivered once, and was read from X no more
// often than there are posts.
func (w *world) wantAll(account string) {
	w.t.Helper()
	w.wantArchived(account, w.Corpus.All(account))
	w.wantDelivered(job, task, importservice.Success, w.Corpus.All(account))
	if got, most := w.X.Stats().PostReads, len(w.Corpus.All(account)); got > most {
		w.t.Errorf("X sent %d posts, the account has %d", got, most)
	}
	w.wantClean()
}

// midTick fires the timer and returns once reached is closed, while the tick goes
// on; ticked is closed when it is over. A tick that ends first fails the test.
func (w *world) midTick(what string, reached <-chan struct{}) (ticked <-chan struct{}) {
	w.t.Helper()
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = w.tryTick() // it is cut off
	}()
	select {
	case <-reached:
	case <-over:
		w.t.Fatalf("the tick was over before this was so: %s", what)
	case <-time.After(2 * time.Minute):
		w.t.Fatalf("never came to be: %s", what)
	}
	return over
}

// kill fires the timer and kills the handler once reached is closed. It returns when
// the host has started the handler again.
func (w *world) kill(what string, reached <-chan struct{}) {
	w.t.Helper()
	before := w.Host.Restarts()
	ticked := w.midTick(what, reached)
	if err := syscall.Kill(w.Host.PID(), syscall.SIGKILL); err != nil {
		w.t.Fatal(err)
	}
	<-ticked // ends with the handler
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	if err := w.Host.WaitRestarts(ctx, before+1); err != nil {
		w.t.Fatal(err)
	}
}

// TestKilledCapturing: the process is killed while it stores posts. Its claim runs
// out, and the next one goes on.
func TestKilledCapturing(t *testing.T) {
	t.Parallel()
	w, account := everything(t, sandbox.Options{InMemory: true})
	reached, release := w.hold(w.Memory, 30, isMessage)
	w.kill("30 posts are archived", reached)
	release()
	if n := len(w.messages(account)); n < 30 || n >= len(w.Corpus.All(account)) {
		t.Fatalf("%d posts of %d were archived when the handler was killed", n, len(w.Corpus.All(account)))
	}
	w.until("the task ends", func() bool { return w.ended(job, task) })
	w.wantAll(account)
}

// TestKilledDelivering: the process is killed while it uploads items.
func TestKilledDelivering(t *testing.T) {
	t.Parallel()
	w, account := everything(t, sandbox.Options{InMemory: true})
	reached, release := w.hold(w.Tasks, 20, isItem)
	w.kill("20 items are uploaded", reached)
	release()
	if w.ended(job, task) {
		t.Fatal("the task had ended before the kill")
	}
	w.Memory.ExpireLeases() // the claim of the one that was killed
	w.until("the task ends", func() bool { return w.ended(job, task) })
	w.wantAll(account)
}

// TestEndsInOrder: a process that is told to end gives its claims back, so that the
// very next tick goes on.
func TestEndsInOrder(t *testing.T) {
	t.Parallel()
	w, _ := everything(t, sandbox.Options{InMemory: true})
	if err := w.Host.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	reached, release := w.hold(w.Memory, 30, isMessage)
	ticked := w.midTick("30 posts are archived", reached)
	if err := syscall.Kill(w.Host.PID(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	w.waitLog("msg=ending")
	release()
	<-ticked
	// Its exit code has the host start it again; by then all it said is in the log.
	if err := w.Host.WaitRestarts(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(w.log.String(), "not everything ended") {
		t.Fatal("it did not end in order")
	}
	if !strings.Contains(w.log.String(), "a later tick continues") {
		t.Fatal("it was through before it was told to end")
	}
	for name := range w.blobs("connector-state") {
		if strings.HasPrefix(name, "accounts/") || strings.HasPrefix(name, "tasks/open/") {
			props, err := w.container("connector-state").NewBlobClient(name).GetProperties(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if props.LeaseState != nil && *props.LeaseState != "available" {
				t.Errorf("%s is still claimed: %s", name, *props.LeaseState)
			}
		}
	}
}

// waitLog waits until the handler's log holds a text.
func (w *world) waitLog(text string) {
	w.t.Helper()
	deadline := time.After(time.Minute)
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for !strings.Contains(w.log.String(), text) {
		select {
		case <-pace.C:
		case <-deadline:
			w.t.Fatalf("the log never held %q", text)
		}
	}
}

// TestImportServiceDown: posts are captured all the same; the task ends when the
// service is back.
func TestImportServiceDown(t *testing.T) {
	t.Parallel()
	w, account := everything(t, sandbox.Options{InMemory: true})
	w.Import.Down(true)
	if err := w.tryTick(); err == nil {
		t.Error("the tick does not say that an event was not taken")
	}
	w.wantArchived(account, w.Corpus.All(account))
	if w.ended(job, task) {
		t.Fatal("the task has ended without the service")
	}
	w.Import.Down(false)
	w.later()
	w.until("the task ends", func() bool { return w.ended(job, task) })
	w.wantAll(account)
}

// TestXTrouble: X fails now and then, in every way; in the end nothing is missing and
// nothing was read twice.
func TestXTrouble(t *testing.T) {
	t.Parallel()
	w, account := everything(t, sandbox.Options{InMemory: true})
	calls := 0
	w.X.Fail(func(r *http.Request) x.Fault {
		if !strings.HasSuffix(r.URL.Path, "/tweets") {
			return x.Fault{}
		}
		switch calls++; calls {
		case 1:
			return x.Fault{Status: http.StatusServiceUnavailable}
		case 3:
			return x.Fault{Drop: true}
		case 5:
			return x.Fault{Status: http.StatusUnauthorized, Body: `{"title":"Unauthorized","status":401}`}
		case 6:
			w.X.ForgetTokens()
		}
		return x.Fault{}
	})
	w.until("the task ends", func() bool { return w.ended(job, task) })
	w.wantAll(account)
}

// TestRateLimit: X is not asked again before a limit ends, and no tick waits for it.
// X may name an end that is past; even so it is asked once a tick at most.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	for what, reset := range map[string]time.Duration{"in a quarter of an hour": 15 * time.Minute, "two seconds past": -2 * time.Second} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w, account := everything(t, sandbox.Options{InMemory: true})
			const timeline = "GET /2/users/:id/tweets"
			w.X.RefuseRate(1000, reset)
			for range 3 {
				w.tick() // a limit is no failure
			}
			if got := w.X.Stats().ByPath[timeline]; got < 1 || got > 3 {
				t.Errorf("X was asked %d times in three ticks, want once a tick at most", got)
			}
			if !strings.Contains(w.log.String(), "X's rate limit is used up until") {
				t.Error("the log does not say why nothing was read")
			}
			if w.ended(job, task) {
				t.Fatal("the task has ended without its posts")
			}
			w.X.RefuseRate(0, 0)
			w.later()
			w.until("the task ends", func() bool { return w.ended(job, task) })
			w.wantAll(account)
		})
	}
}

// TestMediaTrouble: a broken stream is gone on with. A post does not wait for a file
// that X's servers fail to give: it is archived and delivered at once, its message says
// what is missing, and the file follows in a second message, delivered by the next task.
func TestMediaTrouble(t *testing.T) {
	t.Parallel()
	w, account := everything(t, sandbox.Options{InMemory: true})
	type file struct {
		post corpus.Post
		name string
	}
	var files []file // of one post each
	used := map[string]int{}
	for _, p := range w.Corpus.Posts(account) {
		for _, f := range w.Corpus.Files(p) {
			if used[f.Name]++; used[f.Name] == 1 && f.Type == "photo" && len(p.EditHistory) < 2 {
				files = append(files, file{p, f.Name})
			}
		}
	}
	posts := w.Corpus.All(account)
	files = slices.DeleteFunc(files, func(f file) bool {
		n := 0
		for _, p := range posts {
			if _, has := w.files(p)[f.name]; has {
				n++
			}
		}
		return n != 1 // X lacks it, or several messages have it
	})
	if len(files) < 2 {
		t.Fatalf("the corpus has %d photos that are in one message only, want at least 2", len(files))
	}
	broken, late := files[0], files[1]
	w.X.FailMedia(broken.name, x.MediaFault{BreakAfter: 1000, Times: 2})
	w.X.FailMedia(late.name, x.MediaFault{Status: http.StatusServiceUnavailable, Times: 1 << 30})
	w.tick()
	w.wantEnded(job, task, importservice.Success, len(posts))
	if got := len(w.messages(account)); got != len(posts) {
		t.Errorf("%d messages for %d posts", got, len(posts))
	}
	c := w.container("archive")
	name := func(key string) string {
		return fmt.Sprintf("%s/%s/%s.eml", account, late.post.CreatedAt.UTC().Format("2006/01/02"), key)
	}
	if eml := string(w.read(c, name(late.post.ID))); !strings.Contains(eml, "X-Twitter-Media-Missing") {
		t.Error("the message does not say that a file is missing")
	}

	w.X.FailMedia(late.name, x.MediaFault{})
	w.later()
	w.tick()
	second := late.post.ID + ".media"
	if _, ok := w.messages(account)[name(second)]; !ok {
		t.Fatalf("the file came, and there is no %s", name(second))
	}
	want := w.files(late.post)[late.name]
	if !attached(t, w.read(c, name(second)), want) {
		t.Error("the second message does not hold the file")
	}
	w.request(importservice.Task{JobID: job, TaskID: "next", Start: w.newest().Add(time.Minute), End: w.newest().Add(time.Hour)})
	w.until("the next task ends", func() bool { return w.ended(job, "next") })
	w.wantEnded(job, "next", importservice.Success, 1)
	w.wantClean()
}

// wantEnded checks a task's event: its status and how many items it lists.
func (w *world) wantEnded(job, task string, status, items int) {
	w.t.Helper()
	for _, e := range w.Import.Events() {
		if e.JobID == job && e.TaskID == task {
			if e.Status != status || len(e.Items) != items {
				w.t.Errorf("task %s ended with status %d and %d items, want %d and %d", task, e.Status, len(e.Items), status, items)
			}
			return
		}
	}
	w.t.Errorf("task %s has not ended", task)
}

// attached reports whether a message has a file attached.
func attached(t *testing.T, eml, file []byte) bool {
	t.Helper()
	r, err := mail.CreateReader(bytes.NewReader(eml))
	if err != nil {
		t.Fatal(err)
	}
	for {
		part, err := r.NextPart()
		if err == io.EOF {
			return false
		}
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(part.Body); err == nil && bytes.Equal(body, file) {
			return true
		}
	}
}

// TestSecretChanged: a secret that was changed in the vault is used without a restart.
func TestSecretChanged(t *testing.T) {
	t.Parallel()
	w, account := everything(t, sandbox.Options{InMemory: true})
	ctx := t.Context()
	right, _ := w.Vault.Get("aad-application-secret")
	if err := w.Vault.Set(ctx, "aad-application-secret", "an old one"); err != nil {
		t.Fatal(err)
	}
	if err := w.tryTick(); err == nil || w.ended(job, task) {
		t.Fatal("the wrong secret was let in")
	}
	if err := w.Vault.Set(ctx, "aad-application-secret", right); err != nil {
		t.Fatal(err)
	}
	w.later()
	w.until("the task ends", func() bool { return w.ended(job, task) })
	w.wantAll(account)
}

// TestDirtyEntities: posts that a task asks about are looked up again by id.
func TestDirtyEntities(t *testing.T) {
	t.Parallel()
	w, account := everything(t, sandbox.Options{InMemory: true})
	w.tick()
	posts := w.Corpus.Posts(account)
	old, gone := posts[len(posts)-1], posts[len(posts)-2]
	w.X.Delete(gone.ID)
	before := w.X.Stats().PostReads
	at := posts[0].CreatedAt
	w.request(importservice.Task{JobID: job, TaskID: "dirty", Start: at, End: at, Dirty: []string{old.ID, gone.ID, "1", corpus.SupportAccount}})
	w.tick() // they are looked up and delivered in one tick
	w.wantDelivered(job, "dirty", importservice.Success, []corpus.Post{posts[0], old, gone})
	if got := w.X.Stats().PostReads - before; got != 1 {
		t.Errorf("X sent %d posts, one of those asked for was there", got)
	}
	w.wantClean()
}

// TestGivenDifferently: what X gives differently of an archived post, when a task asks
// about it, is archived beside the first message and delivered; neither is overwritten.
func TestGivenDifferently(t *testing.T) {
	t.Parallel()
	w, account := everything(t, sandbox.Options{InMemory: true})
	w.tick()
	posts := w.Corpus.Posts(account)
	old := posts[len(posts)-1]
	for i, words := range []string{"other words", "other words", "words once more"} {
		w.X.Change(corpus.Post{ID: old.ID, AuthorID: account, CreatedAt: old.CreatedAt, Text: words})
		task := fmt.Sprint("dirty", i)
		w.request(importservice.Task{JobID: job, TaskID: task, Start: posts[0].CreatedAt, End: posts[0].CreatedAt, Dirty: []string{old.ID}})
		w.tick()
		want := []string{posts[0].ID, old.ID, old.ID + ".version"}
		if i == 2 {
			want = append(want, old.ID+".version.2")
		}
		items, err := w.Import.Items(t.Context(), job, task)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, item := range items {
			var content struct{ ID, Content, ParentID string }
			if err := json.Unmarshal(item.Data, &content); err != nil {
				t.Fatal(err)
			}
			got = append(got, content.ID)
			if key, version := strings.CutPrefix(content.ID, old.ID+".version"); version && (content.ParentID != old.ID || !strings.Contains(content.Content, map[string]string{"": "other words", ".2": "words once more"}[key])) {
				t.Errorf("item %s: parent %s, %s", content.ID, content.ParentID, content.Content)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("task %s: items %v, want %v", task, got, want)
		}
	}
}

// TestExpiredSAS: a task whose SAS has run out ends as a temporary failure, and is done
// when it comes again with a new one.
func TestExpiredSAS(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Options{})
	w.connect(job, corpus.SupportAccount)
	w.request(importservice.Task{JobID: job, TaskID: "expired", Start: beginning, End: w.newest(), SASLife: -time.Hour})
	w.until("the task ends", func() bool { return w.ended(job, "expired") })
	if e := w.Import.Events()[0]; e.Status != importservice.TemporaryFailure || len(e.Items) != 0 {
		t.Errorf("event %+v", e)
	}
	w.request(importservice.Task{JobID: job, TaskID: "expired", Start: beginning, End: w.newest()})
	w.tick()
	again := w.Import.Events()
	if last := again[len(again)-1]; len(again) != 2 || last.Status != importservice.Success || len(last.Items) != len(w.Corpus.All(corpus.SupportAccount)) {
		t.Errorf("events %+v", again)
	}
	w.wantClean()
}
