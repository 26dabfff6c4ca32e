package secrets

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"xarchive/handler/internal/fault"
)

// box is a source whose every reading the test controls.
type box struct {
	mu     sync.Mutex
	values map[string]string
	down   error
	reads  int
	hold   chan struct{} // if set, a reading waits for it after it has its value
	began  chan struct{} // a held reading has its value
}

func (b *box) get(ctx context.Context, name string) (string, error) {
	b.mu.Lock()
	b.reads++
	value, err, hold := b.values[name], b.down, b.hold
	b.mu.Unlock()
	if hold != nil {
		b.began <- struct{}{}
		select {
		case <-hold:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	return value, err
}

func (b *box) set(_ context.Context, name, value string) error {
	b.put(name, value)
	return nil
}

func (b *box) remove(_ context.Context, name string) error {
	b.put(name, "")
	return nil
}

func (b *box) writable() error { return nil }

func (b *box) describe(_ context.Context, name string) (Info, error) { return Info{Name: name}, nil }

func (b *box) put(name, value string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.values[name] = value
}

func (b *box) setDown(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = err
}

func (b *box) readings() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reads
}

// clock is a time that the test moves.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func (c *clock) pass(d time.Duration) { c.t = c.t.Add(d) }

func newBox(t *testing.T) (*box, *Store, *clock, *bytes.Buffer) {
	t.Helper()
	c := &clock{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	log := &bytes.Buffer{}
	s, err := New(Options{Getenv: func(string) string { return "" }, Now: c.now, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	b := &box{values: map[string]string{"a": "one"}}
	s.source = b
	return b, s, c, log
}

func want(t *testing.T, s *Store, name, value string) {
	t.Helper()
	got, err := s.Get(context.Background(), name)
	if err != nil || got != value {
		t.Errorf("want %q, got %q, %v", value, got, err)
	}
}

func wantError(t *testing.T, s *Store, name string, is error) {
	t.Helper()
	if got, err := s.Get(context.Background(), name); !errors.Is(err, is) || got != "" {
		t.Errorf("want %v, got %q, %v", is, got, err)
	}
}

func TestAValueIsKeptForAWhile(t *testing.T) {
	b, s, c, _ := newBox(t)
	want(t, s, "a", "one")
	b.put("a", " two\n")
	c.pass(maxAge - 1)
	want(t, s, "a", "one")
	if n := b.readings(); n != 1 {
		t.Errorf("read %d times", n)
	}
	c.pass(1)
	want(t, s, "a", "two")
}

func TestAbsenceIsKeptShorter(t *testing.T) {
	b, s, c, _ := newBox(t)
	wantError(t, s, "b", ErrNotSet)
	b.put("b", "now")
	c.pass(maxAbsence - 1)
	wantError(t, s, "b", ErrNotSet)
	if n := b.readings(); n != 1 {
		t.Errorf("read %d times", n)
	}
	c.pass(1)
	want(t, s, "b", "now")
	b.put("blank", " \n")
	wantError(t, s, "blank", ErrNotSet)
}

func TestForgetSetAndDeleteMakeItReadAgain(t *testing.T) {
	b, s, _, _ := newBox(t)
	want(t, s, "a", "one")
	b.put("a", "two")
	s.Forget("a")
	want(t, s, "a", "two")
	if err := s.Set(context.Background(), "a", "three"); err != nil {
		t.Fatal(err)
	}
	want(t, s, "a", "three")
	if err := s.Delete(context.Background(), "a"); err != nil {
		t.Fatal(err)
	}
	wantError(t, s, "a", ErrNotSet)
}

func TestAStaleValueServesWhileTheVaultIsDown(t *testing.T) {
	b, s, c, log := newBox(t)
	want(t, s, "a", "one")
	b.setDown(ErrUnavailable)
	c.pass(maxAge)
	want(t, s, "a", "one")
	if !strings.Contains(log.String(), "level=WARN") || strings.Contains(log.String(), "one") {
		t.Errorf("want a warning without the value, got %q", log)
	}
	want(t, s, "a", "one")
	if n := b.readings(); n != 2 {
		t.Errorf("a vault that is down was asked %d times, want 2", n)
	}
	c.pass(retryAfter)
	want(t, s, "a", "one")
	if n := b.readings(); n != 3 {
		t.Errorf("asked %d times, want 3", n)
	}
	c.pass(maxStale)
	wantError(t, s, "a", ErrUnavailable)
	b.setDown(nil)
	want(t, s, "a", "one")
}

func TestAForgottenValueNeverServesAsStale(t *testing.T) {
	b, s, _, _ := newBox(t)
	want(t, s, "a", "one")
	b.setDown(ErrUnavailable)
	s.Forget("a")
	wantError(t, s, "a", ErrUnavailable)
}

func TestRefreshKeepsTheValueWhenItFails(t *testing.T) {
	b, s, _, _ := newBox(t)
	want(t, s, "a", "one")
	b.put("a", "two")
	if got, err := s.Refresh(context.Background(), "a"); err != nil || got != "two" {
		t.Errorf("got %q, %v", got, err)
	}
	want(t, s, "a", "two")
	b.setDown(ErrUnavailable)
	if _, err := s.Refresh(context.Background(), "a"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	want(t, s, "a", "two")
}

// A reading that began before Forget must not bring the old value back.
func TestAReadingUnderWayDoesNotOutliveForget(t *testing.T) {
	b, s, _, _ := newBox(t)
	b.hold, b.began = make(chan struct{}), make(chan struct{}, 2)
	first := make(chan string)
	go func() {
		value, _ := s.Get(context.Background(), "a")
		first <- value
	}()
	<-b.began // it has read "one"
	b.put("a", "two")
	s.Forget("a")
	close(b.hold)
	<-first
	want(t, s, "a", "two")
}

func TestManyAskOnce(t *testing.T) {
	b, s, _, _ := newBox(t)
	b.hold, b.began = make(chan struct{}), make(chan struct{}, 1)
	ctx, giveUp := context.WithCancel(context.Background())
	first := make(chan error)
	go func() {
		_, err := s.Get(ctx, "a")
		first <- err
	}()
	<-b.began
	var others sync.WaitGroup
	for range 10 {
		others.Go(func() { want(t, s, "a", "one") })
	}
	giveUp() // the first asker leaves; the reading goes on for the others
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the first got %v", err)
	}
	close(b.hold)
	others.Wait()
	if n := b.readings(); n != 1 {
		t.Errorf("read %d times", n)
	}
}

func TestGetAllNamesAllThatIsMissing(t *testing.T) {
	b, s, _, _ := newBox(t)
	b.put("b", "two")
	got, err := s.GetAll(context.Background(), "a", "b")
	if err != nil || len(got) != 2 || got["a"] != "one" || got["b"] != "two" {
		t.Errorf("%v, %v", got, err)
	}
	_, err = s.GetAll(context.Background(), "a", "x-1", "x-2")
	if !errors.Is(err, ErrNotSet) || !strings.Contains(err.Error(), "x-1") || !strings.Contains(err.Error(), "X_2") {
		t.Errorf("%v", err)
	}
	if m := fault.Of(err); m.Cause != fault.SecretNotSet || !strings.HasPrefix(m.Words(), "The secrets x-1, x-2 are not set.") {
		t.Errorf("it means %+v", m)
	}
}

func TestEnvironment(t *testing.T) {
	env := map[string]string{"API_SECRET_KEY": "s3cret", "TWITTER_API_KEY": "k", "TWITTER_API_SECRET_KEY": "ks",
		"TWITTER_ACCESS_TOKEN": "t", "TWITTER_ACCESS_TOKEN_SECRET": "ts"}
	s, err := New(Options{Getenv: func(name string) string { return env[name] }, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	want(t, s, APISecretKey, "s3cret")
	if _, err := s.Get(ctx, AADApplicationID); !errors.Is(err, ErrNotSet) || !strings.Contains(err.Error(), "AAD_APPLICATION_ID") {
		t.Errorf("%v", err)
	}
	for what, err := range map[string]error{"set": s.Set(ctx, "a", "b"), "delete": s.Delete(ctx, "a"), "writable": s.Writable()} {
		if !errors.Is(err, ErrReadOnly) || !strings.Contains(err.Error(), "KEY_VAULT_URL") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
