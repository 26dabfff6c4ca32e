package e2e

import (
	"context"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/importservice"
	"xarchive/tests/sandbox/x"
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

// midTick fires the timer and returns once a condition holds, while the tick goes on;
// ticked is closed when it is over. A tick that ends first fails the test.
func (w *world) midTick(what string, holds func() bool) (ticked <-chan struct{}) {
	w.t.Helper()
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = w.tryTick() // it is cut off
	}()
	deadline := time.After(2 * time.Minute)
	pace := time.NewTicker(5 * time.Millisecond) // leaves the machine to the tick
	defer pace.Stop()
	for !holds() {
		select {
		case <-pace.C:
		case <-over:
			w.t.Fatalf("the tick was over before this was so: %s", what)
		case <-deadline:
			w.t.Fatalf("never came to be: %s", what)
		}
	}
	return over
}

// interrupt ticks, and once a condition holds sends the handler a signal. It returns
// when the host has started the handler again.
func (w *world) interrupt(signal syscall.Signal, what string, when func() bool) {
	w.t.Helper()
	before := w.Host.Restarts()
	ticked := w.midTick(what, when)
	if err := syscall.Kill(w.Host.PID(), signal); err != nil {
		w.t.Fatal(err)
	}
	<-ticked // ends with the handler
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	if err := w.Host.WaitRestarts(ctx, before+1); err != nil {
		w.t.Fatal(err)
	}
}

// TestKilledCapturing: the process is killed while it stores posts.
func TestKilledCapturing(t *testing.T) {
	t.Parallel()
	w, account := everything(t, sandbox.Options{})
	w.interrupt(syscall.SIGKILL, "30 posts are archived", func() bool { return len(w.blobs("archive")) >= 30 })
	if n := len(w.blobs("archive")); n >= len(w.Corpus.All(account)) {
		t.Fatalf("all %d posts were archived before the kill", n)
	}
	w.until("the task ends", func() bool { return w.ended(job, task) })
	w.wantAll(account)
}

// TestKilledDelivering: the process is killed while it uploads items.
func TestKilledDelivering(t *testing.T) {
	t.Parallel()
	w, account := everything(t, sandbox.Options{})
	w.interrupt(syscall.SIGKILL, "20 items are uploaded", func() bool {
		n, err := w.Import.CountItems(t.Context())
		return err != nil || n >= 20
	})
	if w.ended(job, task) {
		t.Fatal("the task had ended before the kill")
	}
	w.until("the task ends", func() bool { return w.ended(job, task) })
	w.wantAll(account)
}

// TestEndsInOrder: a process that is told to end gives its claims back, so that the
// very next tick goes on.
func TestEndsInOrder(t *testing.T) {
	t.Parallel()
	w, _ := everything(t, sandbox.Options{})
	if err := w.Host.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	ticked := w.midTick("30 posts are archived", func() bool { return len(w.blobs("archive")) >= 30 })
	if err := syscall.Kill(w.Host.PID(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-ticked
	if !strings.Contains(w.log.String(), "msg=ending") || strings.Contains(w.log.String(), "not everything ended") {
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

// TestImportServiceDown: posts are captured all the same; the task ends when the
// service is back.
func TestImportServiceDown(t *testing.T) {
	t.Parallel()
	w, account := everything(t, sandbox.Options{})
	w.Import.Down(true)
	if err := w.tryTick(); err == nil {
		t.Error("the tick does not say that an event was not taken")
	}
	w.wantArchived(account, w.Corpus.All(account))
	if w.ended(job, task) {
		t.Fatal("the task has ended without the service")
	}
	w.Import.Down(false)
	w.until("the task ends", func() bool { return w.ended(job, task) })
	w.wantAll(account)
}

// TestXTrouble: X fails now and then, in every way; in the end nothing is missing and
// nothing was read twice.
func TestXTrouble(t *testing.T) {
	t.Parallel()
	w, account := everything(t, sandbox.Options{})
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

// TestRateLimit: a limit that ends soon is waited out in the same tick.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	w, account := everything(t, sandbox.Options{})
	w.X.LimitRate(1, time.Now().Add(4*time.Second))
	w.tick()
	if !strings.Contains(w.log.String(), "waiting for X's rate limit") {
		t.Error("the limit was not met")
	}
	w.wantAll(account)
}

// TestMediaTrouble: a broken stream is gone on with; a file that X's servers fail to
// give is waited for, and given up after some ticks, without holding up the rest.
func TestMediaTrouble(t *testing.T) {
	t.Parallel()
	w, account := everything(t, sandbox.Options{})
	files := map[string]bool{}
	for _, p := range w.Corpus.Posts(account) {
		for _, f := range w.Corpus.Files(p) {
			if _, _, ok := w.Corpus.Media(f.Name); ok {
				files[f.Name] = true
			}
		}
	}
	n, never := 0, ""
	for name := range files {
		switch n++; n {
		case 1:
			w.X.FailMedia(name, x.MediaFault{BreakAfter: 1000, Times: 2})
		case 2:
			w.X.FailMedia(name, x.MediaFault{Status: http.StatusBadGateway, Times: 4})
		case 3:
			never = name
			w.X.FailMedia(name, x.MediaFault{Status: http.StatusServiceUnavailable, Times: 1 << 30})
		}
	}
	w.until("the task ends", func() bool { return w.ended(job, task) })
	said := 0
	c := w.container("archive")
	posts := w.Corpus.All(account)
	for name := range w.blobs("archive") {
		if eml := string(w.read(c, name)); strings.Contains(eml, "X-Twitter-Media-Missing") && strings.Contains(strings.ReplaceAll(eml, "=\r\n", ""), never) {
			said++
		}
	}
	if said == 0 {
		t.Errorf("no message says that %s is missing", never)
	}
	if got := len(w.blobs("archive")); got != len(posts) {
		t.Errorf("%d messages for %d posts", got, len(posts))
	}
	w.wantClean()
}

// TestSecretChanged: a secret that was changed in the vault is used without a restart.
func TestSecretChanged(t *testing.T) {
	t.Parallel()
	w, account := everything(t, sandbox.Options{})
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
	w.until("the task ends", func() bool { return w.ended(job, task) })
	w.wantAll(account)
}

// TestDirtyEntities: posts that a task asks about are looked up again by id.
func TestDirtyEntities(t *testing.T) {
	t.Parallel()
	w, account := everything(t, sandbox.Options{})
	w.tick()
	posts := w.Corpus.Posts(account)
	old, gone := posts[len(posts)-1], posts[len(posts)-2]
	w.X.Delete(gone.ID)
	before := w.X.Stats().PostReads
	at := posts[0].CreatedAt
	w.request(importservice.Task{JobID: job, TaskID: "dirty", Start: at, End: at, Dirty: []string{old.ID, gone.ID, "1", corpus.SupportAccount}})
	w.until("the task ends", func() bool { return w.ended(job, "dirty") })
	w.wantDelivered(job, "dirty", importservice.Success, []corpus.Post{posts[0], old, gone})
	if got := w.X.Stats().PostReads - before; got != 1 {
		t.Errorf("X sent %d posts, one of those asked for was there", got)
	}
	w.wantClean()
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
