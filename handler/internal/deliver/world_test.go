package deliver_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/deliver"
	"xarchive/handler/internal/importer"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
	"xarchive/tests/sandbox/blobs"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// world is everything around deliver, in the fake time of testing/synctest: the
// connector's storage, the storage of the Import service with one container for
// all tasks, and its event API.
type world struct {
	t         *testing.T
	ours      *blobs.Server
	theirs    *blobs.Server
	state     *state.Store
	archive   *archive.Archive
	buffers   *blob.Buffers
	service   *service
	item      func(w io.Writer, eml io.Reader) error
	log       *logged
	texts     map[string]string // of the archived messages, by key
	itemsADay int               // 0 for the connector's own
	swept     bool              // what is kept for a task may stay behind when its end is interrupted: it is swept later
}

// noon is when the first post was posted; the fake clock begins an hour later.
var noon = time.Date(2024, 6, 10, 12, 0, 0, 0, time.UTC)

// began is where synctest's clock begins.
var began = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func now() time.Time { return noon.Add(time.Hour).Add(time.Since(began)).UTC() }

func at(minute int) time.Time { return noon.Add(time.Duration(minute) * time.Minute) }

// newWorld is a world with job j of account 7, whose archive is empty.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, ours: blobs.New(blobs.Options{}), theirs: blobs.New(blobs.Options{}), buffers: blob.NewBuffers(64 << 20),
		log: &logged{}, texts: map[string]string{}}
	w.service = &service{world: w, events: map[string]*event{}}
	w.item = func(out io.Writer, eml io.Reader) error {
		_, err := io.Copy(out, eml)
		return err
	}
	account := blob.Account{ConnectionString: w.ours.ConnectionString(), HTTP: w.ours.Client(), Buffers: w.buffers}
	w.state, w.archive = state.New(account.Container("state")), archive.New(account.Container("archive"))
	o := &container.ClientOptions{}
	o.Transport = w.theirs.Client()
	c, err := container.NewClientFromConnectionString(w.theirs.ConnectionString(), "inbox", o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	w.job("j", "7")
	return w
}

func (w *world) job(id, account string) {
	w.t.Helper()
	if err := w.state.UpdateJob(w.t.Context(), id, func(j *state.Job) error { j.AccountID = account; return nil }); err != nil {
		w.t.Fatal(err)
	}
}

// idAt is the id of a post that X gives at a time.
func idAt(at time.Time) string { return fmt.Sprint((at.UnixMilli() - 1288834974657) << 22) }

// put archives a message of account 7 and returns its key.
func (w *world) put(created time.Time, text string) string {
	return w.putAs("7", idAt(created), created, text)
}

func (w *world) putAs(account, key string, created time.Time, text string) string {
	w.t.Helper()
	postID, _, _ := strings.Cut(key, ".")
	_, _, err := w.archive.Put(w.t.Context(), account, archive.Message{Key: key, PostID: postID, Created: created, Kind: post.Tweet}, func(out io.Writer) error {
		_, err := io.WriteString(out, text)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if w.texts != nil {
		w.texts[key] = text
	}
	return key
}

// posts archives n messages a minute apart from noon on, and covers that time.
func (w *world) posts(n int) (keys []string) {
	w.t.Helper()
	for i := range n {
		keys = append(keys, w.put(at(i), fmt.Sprintf("message %d", i)))
	}
	w.account(func(a *state.Account) { a.Covered = a.Covered.Add(state.Range{To: at(n)}) })
	return keys
}

func (w *world) account(change func(*state.Account)) {
	w.t.Helper()
	r, err := w.state.LoadAccount(w.t.Context(), "7")
	if err != nil {
		w.t.Fatal(err)
	}
	change(&r.Account)
	if err := r.Save(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// late notes an archived message as late.
func (w *world) late(key string, created time.Time) {
	w.t.Helper()
	if err := w.state.AddLate(w.t.Context(), "j", state.Late{AccountID: "7", Key: key, Name: archive.Name("7", created, key), Noted: now()}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) lateKeys() (keys []string) {
	w.t.Helper()
	list, _, err := w.state.Late(w.t.Context(), "j")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, l := range list {
		keys = append(keys, l.Key)
	}
	return keys
}

const sas = "http://blobs.invalid/devstoreaccount1/inbox?sig=hush"

// request is a task of job j for the minutes from first to last.
func (w *world) request(id string, first, last int, change ...func(*state.Task)) {
	w.t.Helper()
	task := state.Task{JobID: "j", TaskID: id, AccountID: "7", Start: at(first), End: at(last), BlobSASURI: sas, ReceivedAt: now()}
	for _, c := range change {
		c(&task)
	}
	if _, err := w.state.AddTask(w.t.Context(), task); err != nil {
		w.t.Fatal(err)
	}
}

// instance is an instance of the connector, which remembers nothing.
func (w *world) instance() *deliver.Deliver {
	return &deliver.Deliver{State: w.state, Archive: w.archive, Events: w.service, Now: now, ItemsADay: w.itemsADay,
		Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Item: func(out io.Writer, m importer.Source) error {
			eml, err := m.Open()
			if err != nil {
				return err
			}
			defer eml.Close()
			return w.item(out, eml)
		},
		OpenInbox: func(sasURL string) (deliver.Inbox, error) {
			return importer.OpenContainer(sasURL, w.theirs.Client(), w.buffers)
		}}
}

// tick is a tick of that length.
func (w *world) tick(length time.Duration) (deliver.Report, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), length)
	defer cancel()
	return w.instance().Run(ctx)
}

// run is a tick in which nothing may fail.
func (w *world) run() deliver.Report {
	w.t.Helper()
	report, err := w.tick(10 * time.Minute)
	if err != nil {
		w.t.Fatalf("the tick failed: %v", err)
	}
	return report
}

// open returns the only open task.
func (w *world) open() state.Task {
	w.t.Helper()
	tasks, _, err := w.state.OpenTasks(w.t.Context())
	if err != nil || len(tasks) != 1 {
		w.t.Fatalf("open tasks %+v, %v; expected one", tasks, err)
	}
	return tasks[0]
}

// want says that the task has ended with one event of that status, and that the
// event has exactly those items, oldest first, each of which is in the container
// as its message is in the archive.
func (w *world) want(task string, status importer.Status, keys ...string) {
	w.t.Helper()
	e := w.service.events[task]
	if e == nil {
		w.t.Fatalf("task %s: no event; the log says:\n%s", task, w.log)
	}
	if e.status != status {
		w.t.Errorf("task %s: status %d, expected %d", task, e.status, status)
	}
	if !slices.Equal(e.keys, keys) {
		w.t.Errorf("task %s: items %v, expected %v", task, e.keys, keys)
	}
	if e.problem != "" {
		w.t.Errorf("task %s: %s", task, e.problem)
	}
	for _, key := range e.keys {
		b, _ := w.theirs.Get("inbox", "j/"+task+"/"+importer.FileName(key))
		if !bytes.Equal(b.Content, []byte(w.texts[key])) {
			w.t.Errorf("task %s: item %s has %d bytes, expected the %d of its message", task, key, len(b.Content), len(w.texts[key]))
		}
	}
	if _, err := w.state.EndedTask(w.t.Context(), "j", task); err != nil {
		w.t.Errorf("task %s has not ended: %v", task, err)
	}
	stays := []string{"tasks/open/j/" + task}
	if !w.swept {
		stays = append(stays, "tasks/items/j/"+task+"/", "tasks/found/j/"+task)
	}
	if kept := w.blobs(stays...); len(kept) > 0 {
		w.t.Errorf("task %s: %v stayed behind", task, kept)
	}
}

// reason is that of an ended task's verdict.
func (w *world) reason(task string) string {
	w.t.Helper()
	ended, err := w.state.EndedTask(w.t.Context(), "j", task)
	if err != nil {
		w.t.Fatal(err)
	}
	return ended.Verdict.Reason
}

// blobs are the state's blobs below those prefixes.
func (w *world) blobs(prefixes ...string) (found []string) {
	for _, name := range w.ours.Names("state") {
		for _, p := range prefixes {
			if strings.HasPrefix(name, p) {
				found = append(found, name)
			}
		}
	}
	return found
}

// service is the event API. That deliver also agrees with a strict one, over the
// wire, is shown by TestWire.
type service struct {
	world  *world
	events map[string]*event // by task
	answer error             // to every event; nil takes it
	lose   bool              // the next event is taken, and its answer lost

	mu    sync.Mutex
	calls atomic.Int64
}

type event struct {
	status  importer.Status
	keys    []string
	repeats int
	problem string
}

func (s *service) Complete(ctx context.Context, jobID string, c importer.Completion) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls.Add(1)
	e := &event{status: c.Status}
	var last time.Time
	for item, err := range c.Items {
		if err != nil {
			return err
		}
		if item.Modified.Before(last) {
			e.problem = "item " + item.ID + " is older than the one before it"
		}
		if slices.Contains(e.keys, item.ID) && len(e.keys) < 1000 {
			e.problem = "item " + item.ID + " is there twice"
		}
		if item.FileName != importer.FileName(item.ID) {
			e.problem = "item " + item.ID + " has file name " + item.FileName
		}
		e.keys, last = append(e.keys, item.ID), item.Modified
	}
	if s.answer != nil {
		return s.answer
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if before := s.events[c.TaskID]; before != nil && before.status != importer.TemporaryFailure {
		e.repeats = before.repeats + 1
		if e.status != before.status || !slices.Equal(e.keys, before.keys) {
			e.problem = fmt.Sprintf("a second event differs: %v, after %v", e, before)
		}
	}
	s.events[c.TaskID] = e
	if s.lose {
		s.lose = false
		return importer.ErrNotTaken
	}
	return nil
}

// logged is what was logged.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// count is how many lines have all of those parts.
func (l *logged) count(parts ...string) (n int) {
	for line := range strings.Lines(l.String()) {
		if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) }) {
			n++
		}
	}
	return n
}

// noCondition lets a write or removal take place in any case.
var noCondition blob.Condition

// stateContainer is the container of the state, to reach behind its back.
func (w *world) stateContainer() *blob.Container {
	return blob.Account{ConnectionString: w.ours.ConnectionString(), HTTP: w.ours.Client()}.Container("state")
}
