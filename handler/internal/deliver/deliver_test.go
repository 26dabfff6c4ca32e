package deliver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/deliver"
	"xarchive/handler/internal/importer"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/storage"
	"xarchive/handler/internal/storage/storagetest"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
)

// world is an archive with ten posts of account 7, a minute apart from noon on, all
// covered up to ten past noon; what is around deliver fails as the test says. That it
// also agrees with the real services is shown by the end-to-end tests.
type world struct {
	state     *state.Store
	archive   *archive.Archive
	container *storage.Container
	clock     time.Time

	mu        sync.Mutex
	uploaded  map[string]string // by name
	uploads   int
	uploadErr error
	events    []event
	eventErr  error
	relook    func() ([]archive.Entry, map[string]string, error)
	forgotten []string
}

var noon = time.Date(2024, 6, 10, 12, 0, 0, 0, time.UTC)

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{state: state.New(storagetest.Container(t)), container: storagetest.Container(t), clock: noon.Add(time.Hour), uploaded: map[string]string{}}
	w.archive = archive.New(w.container)
	ctx := t.Context()
	if err := w.state.PutJob(ctx, state.Job{ID: "j", AccountID: "7"}); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		p := &post.Post{ID: fmt.Sprint(i + 1), CreatedAt: noon.Add(time.Duration(i) * time.Minute)}
		if _, _, err := w.archive.Put(ctx, "7", p, func(out io.Writer) error {
			_, err := fmt.Fprintf(out, "message %s", p.ID)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	w.cover(t, state.Ranges{}.Add(state.Range{To: noon.Add(10 * time.Minute)}), nil)
	return w
}

func (w *world) cover(t *testing.T, covered, unreachable state.Ranges) {
	t.Helper()
	a, err := w.state.ClaimAccount(t.Context(), "7")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Release()
	a.Covered, a.Unreachable, a.LastError = covered, unreachable, "X forbids the request"
	if err := a.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (w *world) request(t *testing.T, task state.Task) {
	t.Helper()
	task.JobID, task.ReceivedAt, task.BlobSASURI = "j", w.clock, "https://example/container?sig=hush"
	if _, err := w.state.AddTask(t.Context(), task); err != nil {
		t.Fatal(err)
	}
}

// run is one tick of an instance that remembers nothing.
func (w *world) run(t *testing.T) error {
	t.Helper()
	d := &deliver.Deliver{State: w.state, Archive: w.archive, Again: w, Events: w, Now: func() time.Time { return w.clock },
		Log:       slog.New(slog.DiscardHandler),
		OpenInbox: func(string) (deliver.Inbox, error) { return w, nil },
		Item: func(out io.Writer, eml io.Reader) error {
			_, err := io.Copy(out, eml)
			return err
		}}
	return d.Run(t.Context())
}

func (w *world) Upload(_ context.Context, name string, write func(io.Writer) error) error {
	var b strings.Builder
	if err := write(&b); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.uploads++; w.uploadErr != nil && w.uploads > 3 {
		return w.uploadErr
	}
	w.uploaded[name] = b.String()
	return nil
}

func (w *world) Complete(_ context.Context, _ string, c importer.Completion) error {
	if w.eventErr != nil {
		return w.eventErr
	}
	e := event{Status: c.Status}
	for item, err := range c.Items {
		if err != nil {
			return err
		}
		e.Items = append(e.Items, item)
	}
	w.events = append(w.events, e)
	return nil
}

// event is a completion as the Import service takes it.
type event struct {
	Status importer.Status
	Items  []importer.ItemMetadata
}

func (w *world) Relook(context.Context, state.Job, string, []string) ([]archive.Entry, map[string]string, error) {
	return w.relook()
}

func (w *world) Forget(_ context.Context, _, key string) error {
	w.forgotten = append(w.forgotten, key)
	return nil
}

// want is one event of that status with the posts from first to last.
func (w *world) want(t *testing.T, status importer.Status, first, last int) {
	t.Helper()
	if len(w.events) != 1 {
		t.Fatalf("%d events", len(w.events))
	}
	var got, want []string
	for _, item := range w.events[0].Items {
		got = append(got, item.ID)
		if w.uploaded["j/t/"+item.FileName] != "message "+item.ID {
			t.Errorf("item %s holds %q", item.ID, w.uploaded["j/t/"+item.FileName])
		}
	}
	for i := first; i <= last; i++ {
		want = append(want, fmt.Sprint(i))
	}
	if w.events[0].Status != status || !slices.Equal(got, want) {
		t.Errorf("event %+v, want status %d and posts %v", w.events[0], status, want)
	}
	if _, err := w.state.EndedTask(t.Context(), "j", "t"); err != nil {
		t.Errorf("the task has not ended: %v", err)
	}
	if open, _ := w.state.OpenTasks(t.Context()); len(open) != 0 {
		t.Errorf("open: %+v", open)
	}
}

func (w *world) open(t *testing.T) state.Task {
	t.Helper()
	tasks, err := w.state.OpenTasks(t.Context())
	if err != nil || len(tasks) != 1 {
		t.Fatalf("open tasks %+v, %v", tasks, err)
	}
	return tasks[0]
}

func at(minute int) time.Time { return noon.Add(time.Duration(minute) * time.Minute) }

// TestWindow: both ends of a window are in it.
func TestWindow(t *testing.T) {
	w := newWorld(t)
	w.request(t, state.Task{TaskID: "t", Start: at(2), End: at(5)})
	if err := w.run(t); err != nil {
		t.Fatal(err)
	}
	w.want(t, importer.Success, 3, 6)
}

// TestWaits: a window that is not covered yet waits, even if only its last instant is
// missing; after a day the Import service is told why.
func TestWaits(t *testing.T) {
	w := newWorld(t)
	w.cover(t, state.Ranges{}.Add(state.Range{To: at(9)}), nil)
	w.request(t, state.Task{TaskID: "t", Start: at(0), End: at(9)})
	for range 2 {
		if err := w.run(t); err != nil {
			t.Fatal(err)
		}
	}
	if len(w.events) != 0 || len(w.uploaded) != 0 {
		t.Fatalf("events %+v, items %v before the window is covered", w.events, w.uploaded)
	}
	w.clock = w.clock.Add(24 * time.Hour)
	if err := w.run(t); err != nil {
		t.Fatal(err)
	}
	w.want(t, importer.TemporaryFailure, 1, 0)
	if ended, _ := w.state.EndedTask(t.Context(), "j", "t"); !strings.Contains(ended.Verdict.Reason, "not captured") || !strings.Contains(ended.Verdict.Reason, "X forbids") {
		t.Errorf("reason %q", ended.Verdict.Reason)
	}
}

// TestUnreachable: what X no longer has is said, and everything else delivered.
func TestUnreachable(t *testing.T) {
	w := newWorld(t)
	w.cover(t, state.Ranges{}.Add(state.Range{To: at(2)}).Add(state.Range{From: at(5), To: at(10)}), state.Ranges{}.Add(state.Range{From: at(2), To: at(5)}))
	w.request(t, state.Task{TaskID: "t", Start: at(0), End: at(9)})
	if err := w.run(t); err != nil {
		t.Fatal(err)
	}
	w.want(t, importer.PermanentFailure, 1, 10)
	if ended, _ := w.state.EndedTask(t.Context(), "j", "t"); !strings.Contains(ended.Verdict.Reason, "no longer") {
		t.Errorf("reason %q", ended.Verdict.Reason)
	}
}

// TestRetries: uploads that fail are made up for by later ticks, not before they are
// due, and what is uploaded is not uploaded again.
func TestRetries(t *testing.T) {
	w := newWorld(t)
	w.uploadErr = errors.New("status 503")
	w.request(t, state.Task{TaskID: "t", Start: at(0), End: at(9)})
	if err := w.run(t); err == nil || !strings.Contains(err.Error(), "503") {
		t.Fatalf("%v", err)
	}
	tries := w.uploads
	if err := w.run(t); err != nil || w.uploads != tries {
		t.Errorf("before it is due: %v, %d uploads more", err, w.uploads-tries)
	}
	w.uploadErr = nil
	w.clock = w.clock.Add(time.Minute)
	if err := w.run(t); err != nil {
		t.Fatal(err)
	}
	w.want(t, importer.Success, 1, 10)
}

// TestGivesUp: after ten failed attempts, further and further apart, the Import
// service is told of a temporary failure.
func TestGivesUp(t *testing.T) {
	w := newWorld(t)
	w.uploadErr = errors.New("status 503")
	w.request(t, state.Task{TaskID: "t", Start: at(0), End: at(9)})
	began := w.clock
	var pauses []time.Duration
	for range 10 {
		if err := w.run(t); err == nil {
			t.Fatal("no error")
		}
		next := w.open(t).NotBefore
		pauses = append(pauses, next.Sub(w.clock))
		w.clock = next
	}
	if err := w.run(t); err != nil {
		t.Fatal(err)
	}
	w.want(t, importer.TemporaryFailure, 1, 0)
	if !slices.IsSorted(pauses) || pauses[9] != time.Hour || w.clock.Sub(began) < 3*time.Hour {
		t.Errorf("pauses %v", pauses)
	}
}

// TestEventNotTaken: only when the event is taken the task ends; the items are not
// uploaded again for that.
func TestEventNotTaken(t *testing.T) {
	w := newWorld(t)
	w.eventErr = importer.ErrNotTaken
	w.request(t, state.Task{TaskID: "t", Start: at(0), End: at(9)})
	for range 15 { // longer than uploads would be tried
		if err := w.run(t); !errors.Is(err, importer.ErrNotTaken) {
			t.Fatalf("%v", err)
		}
		w.clock = w.clock.Add(time.Hour)
	}
	uploads := w.uploads
	w.eventErr = nil
	if err := w.run(t); err != nil {
		t.Fatal(err)
	}
	w.want(t, importer.Success, 1, 10)
	if w.uploads != uploads {
		t.Error("items were uploaded again")
	}
}

// TestContainerIsNoUse: a container that is gone is a permanent failure at once, a SAS
// whose time is over a temporary one.
func TestContainerIsNoUse(t *testing.T) {
	for failure, status := range map[error]importer.Status{importer.ErrGone: importer.PermanentFailure, importer.ErrExpired: importer.TemporaryFailure} {
		w := newWorld(t)
		w.uploadErr = fmt.Errorf("uploading: %w", failure)
		w.request(t, state.Task{TaskID: "t", Start: at(0), End: at(9)})
		if err := w.run(t); err != nil {
			t.Fatal(err)
		}
		w.want(t, status, 1, 0)
	}
}

// TestAgainAfterTemporaryFailure: the same task, asked for again after it ended as a
// temporary failure, is done.
func TestAgainAfterTemporaryFailure(t *testing.T) {
	w := newWorld(t)
	w.uploadErr = importer.ErrExpired
	w.request(t, state.Task{TaskID: "t", Start: at(0), End: at(9)})
	if err := w.run(t); err != nil {
		t.Fatal(err)
	}
	w.want(t, importer.TemporaryFailure, 1, 0)
	w.uploadErr, w.events = nil, nil
	w.request(t, state.Task{TaskID: "t", Start: at(0), End: at(9)})
	if err := w.run(t); err != nil {
		t.Fatal(err)
	}
	w.want(t, importer.Success, 1, 10)
}

// TestPanic: a panic over one item is that task's failed attempt, no more.
func TestPanic(t *testing.T) {
	w := newWorld(t)
	w.request(t, state.Task{TaskID: "t", Start: at(0), End: at(9), Dirty: []string{"1"}})
	w.relook = func() ([]archive.Entry, map[string]string, error) { panic("boom") }
	if err := w.run(t); err == nil || !strings.Contains(err.Error(), "boom") {
		t.Errorf("%v", err)
	}
}

// TestAltered: of a message whose bytes are not those archived nothing is delivered; the
// others are, and the task says which is lacking.
func TestAltered(t *testing.T) {
	w := newWorld(t)
	e, err := w.archive.FindPost(t.Context(), "7", "4")
	if err != nil {
		t.Fatal(err)
	}
	c, err := w.container.Client(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	created := "2024-06-10T12:03:00.000Z"
	if _, err := c.NewBlockBlobClient(e.Name).Upload(t.Context(), streaming.NopCloser(strings.NewReader("message 5")),
		&blockblob.UploadOptions{Metadata: map[string]*string{"sha256": &e.SHA256, "created": &created}}); err != nil {
		t.Fatal(err)
	}
	w.request(t, state.Task{TaskID: "t", Start: at(0), End: at(9)})
	if err := w.run(t); err != nil {
		t.Fatal(err)
	}
	if len(w.events) != 1 || w.events[0].Status != importer.PermanentFailure || len(w.events[0].Items) != 9 {
		t.Errorf("events %+v", w.events)
	}
	if _, ok := w.uploaded["j/t/4.json"]; ok {
		t.Error("an altered message was delivered")
	}
	if ended, _ := w.state.EndedTask(t.Context(), "j", "t"); !strings.Contains(ended.Verdict.Reason, "4.eml") {
		t.Errorf("reason %q", ended.Verdict.Reason)
	}
}

// TestDirty: posts that a task asks about come besides those of its window, each once.
func TestDirty(t *testing.T) {
	w := newWorld(t)
	entry := func(id string) archive.Entry {
		e, err := w.archive.FindPost(t.Context(), "7", id)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	w.request(t, state.Task{TaskID: "t", Start: at(2), End: at(4), Dirty: []string{"2", "3", "99"}})
	w.relook = func() ([]archive.Entry, map[string]string, error) { return nil, nil, state.ErrClaimed }
	if err := w.run(t); err != nil || len(w.events) != 0 {
		t.Fatalf("while the account is being captured: %v, %+v", err, w.events)
	}
	w.relook = func() ([]archive.Entry, map[string]string, error) {
		return []archive.Entry{entry("2"), entry("3")}, map[string]string{"99": "Not Found Error: gone"}, nil
	}
	if err := w.run(t); err != nil {
		t.Fatal(err)
	}
	w.want(t, importer.Success, 2, 5)
	if ended, _ := w.state.EndedTask(t.Context(), "j", "t"); !strings.Contains(ended.Verdict.Reason, "post 99 is not on X") {
		t.Errorf("reason %q", ended.Verdict.Reason)
	}
	if !slices.Equal(w.forgotten, []string{"task/j/t"}) {
		t.Errorf("forgotten %v", w.forgotten)
	}
}

// TestJobGone: a task of a deleted job is dropped, without an event.
func TestJobGone(t *testing.T) {
	w := newWorld(t)
	w.request(t, state.Task{TaskID: "t", Start: at(0), End: at(9)})
	claim, err := w.state.ClaimTask(t.Context(), "j", "t") // in work while the job goes
	if err != nil {
		t.Fatal(err)
	}
	if err := w.state.DeleteJob(t.Context(), "j"); err != nil {
		t.Fatal(err)
	}
	claim.Release()
	if err := w.run(t); err != nil {
		t.Fatal(err)
	}
	if open, _ := w.state.OpenTasks(t.Context()); len(open) != 0 || len(w.events) != 0 {
		t.Errorf("open %+v, events %+v", open, w.events)
	}
}
