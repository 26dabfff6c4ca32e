// Package backfill takes an account's posts out of X's own data export into the archive.
//
// It can be interrupted at any time and run again: what the account's manifest lists as
// taken from an export is done, whatever export it was. What became of all posts is told
// by the manifest at the end, and not by what was counted on the way.
package backfill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"xarchive/handler/internal/capture"
	"xarchive/handler/internal/dataexport"
	"xarchive/handler/internal/manifest"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

var (
	// ErrNoJob: no job of the connector archives the account of the export.
	ErrNoJob = errors.New("no job archives the account of this data export")
	// ErrNotRead: the connector has not read the account's timeline yet.
	ErrNotRead = errors.New("the connector has not read the account for the first time yet")
)

// Options is what an import needs.
type Options struct {
	State    *state.Store
	Manifest *manifest.Store
	Export   *dataexport.Export
	SHA256   string // of the export's file, in hex
	// Capture archives posts; its media must be those of the export, see Media.
	Capture *capture.Capture
	// Show is called with how far it is, of which there are three steps. Nil: nobody.
	Show func(step string, s dataexport.Status)
}

// Report says what became of an export's posts.
type Report struct {
	dataexport.Contents
	Taken  int // posts whose messages the manifest lists as made of this export
	Others int // posts that were archived already: by X's API, or of another export
	Fuller int // of them, those of which the export had a text that the archive had not
	Aside  int // posts that could not be made into messages: they are set aside

	Job     state.Job
	Lacking int // posts of the account of which X's API may have more, see Lacking
}

// Whole reports whether each post of the export is in the archive, or set aside.
func (r Report) Whole() bool { return r.Posts+r.Unusable == r.Taken+r.Others+r.Aside }

// Job returns the job that archives the account of an export. It returns ErrNoJob if there
// is none, which names the accounts that jobs archive, or ErrNotRead.
func Job(ctx context.Context, store *state.Store, account post.User) (state.Job, error) {
	jobs, _, err := store.Jobs(ctx)
	if err != nil {
		return state.Job{}, fmt.Errorf("reading the jobs: %w", err)
	}
	var others []string
	for _, job := range jobs {
		if job.AccountID != account.ID {
			if job.AccountID != "" {
				others = append(others, "@"+job.Handle+" ("+job.AccountID+")")
			}
			continue
		}
		a, err := store.Account(ctx, account.ID)
		if err != nil {
			return job, fmt.Errorf("reading the account: %w", err)
		}
		if a.LastRun.IsZero() {
			return job, ErrNotRead
		}
		return job, nil
	}
	slices.Sort(others)
	return state.Job{}, fmt.Errorf("%w: it is of @%s (%s); jobs archive %v", ErrNoJob, account.Username, account.ID, others)
}

// Media opens the files of an export as capture needs it.
type Media struct{ Export *dataexport.Export }

// Open opens a file of the export. One that cannot be read will not be better another time,
// so its error wraps twitter.ErrNotFound.
func (m Media) Open(_ context.Context, source string) (*twitter.File, error) {
	body, err := m.Export.Media(source)
	if err == nil {
		var f *twitter.File
		if f, err = twitter.NewFile(source, final{body}); err == nil {
			return f, nil
		}
	}
	return nil, unreadable(err)
}

func unreadable(err error) error { return unreadableError{err} }

// unreadableError is an error of the export's own file.
type unreadableError struct{ err error }

func (e unreadableError) Error() string { return e.err.Error() }
func (e unreadableError) Unwrap() []error {
	return []error{e.err, twitter.ErrNotFound}
}

// final is a stream whose errors are final.
type final struct{ io.ReadCloser }

func (f final) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = unreadable(err)
	}
	return n, err
}

// At most so many posts are archived before they are listed, and documents of so many bytes
// are held at most.
const (
	batchPosts = 500
	batchBytes = 16 << 20
)

// Run takes the posts of an export into the archive. Its errors leave everything as good
// as it was: run again, it goes on where it stopped.
func Run(ctx context.Context, o Options) (r Report, err error) {
	job, err := Job(ctx, o.State, o.Export.Account)
	if err != nil {
		return r, err
	}
	show := func(step string) func(dataexport.Status) {
		return func(s dataexport.Status) {
			if o.Show != nil {
				o.Show(step, s)
			}
		}
	}
	r.Job = job
	if r.Contents, err = o.Export.Look(ctx, show("looked through")); err != nil {
		return r, err
	}
	before := &taken{of: map[uint64]string{}, fuller: map[uint64]bool{}}
	if err := before.read(ctx, o.Manifest, job.AccountID); err != nil {
		return r, err
	}
	b := batch{o: o, job: job, before: before}
	err = o.Export.Posts(ctx, show("archived"), func(d post.Document) error {
		of, done := before.of[number(d.ID)]
		switch {
		case d.ID == "":
		case done && of == o.SHA256:
			return nil
		case done:
			r.Others++
			return nil
		case before.fuller[number(d.ID)]:
			r.Others, r.Fuller = r.Others+1, r.Fuller+1
			return nil
		}
		return b.add(ctx, d)
	})
	if err = errors.Join(err, b.flush(ctx, err)); err != nil {
		return r, err
	}
	r.Others, r.Fuller, r.Aside = r.Others+b.done.Before, r.Fuller+b.done.Fuller, b.done.Aside
	if err := before.read(ctx, o.Manifest, job.AccountID); err != nil {
		return r, err
	}
	for _, of := range before.of {
		if of == o.SHA256 {
			r.Taken++
		}
	}
	lacking, err := Lacking(ctx, o.Manifest, o.State, job.AccountID)
	r.Lacking = len(lacking)
	return r, err
}

// number is an id as it is held for each post of an account.
func number(id string) uint64 {
	n, _ := strconv.ParseUint(id, 10, 64) // 0 for what is none
	return n
}

// taken is what an account's manifest lists as taken from exports: of which one each post,
// and the posts of which a text of an export stands beside the message that X's API gave.
type taken struct {
	blobs  int // of the manifest that are read
	of     map[uint64]string
	fuller map[uint64]bool
}

// read goes on reading the manifest, to its end.
func (t *taken) read(ctx context.Context, lists *manifest.Store, accountID string) error {
	exports := map[string]string{}
	return eachLine(ctx, lists, accountID, t.blobs, func(n int, line manifest.Line) {
		t.blobs = n
		if line.Export == "" || line.Event != "" {
			return
		}
		if line.Key != line.PostID {
			t.fuller[number(line.PostID)] = true
			return
		}
		if exports[line.Export] == "" {
			exports[line.Export] = line.Export // one string for all of its posts
		}
		t.of[number(line.PostID)] = exports[line.Export]
	})
}

// eachLine calls do with each line of an account's manifest that is in blobs after one,
// and with the number of its blob.
func eachLine(ctx context.Context, lists *manifest.Store, accountID string, after int, do func(int, manifest.Line)) error {
	parts, err := lists.Parts(ctx, accountID)
	if err != nil {
		return fmt.Errorf("reading the manifest: %w", err)
	}
	for _, p := range parts {
		if p.N <= after {
			continue
		}
		blob, err := lists.Blob(ctx, accountID, p.N)
		if err != nil {
			return fmt.Errorf("reading the manifest: %w", err)
		}
		for _, line := range blob.Lines {
			do(p.N, line)
		}
	}
	return nil
}

// batch are posts that are archived together.
type batch struct {
	o      Options
	job    state.Job
	before *taken
	docs   []post.Document
	bytes  int
	done   capture.Imported
}

func (b *batch) add(ctx context.Context, d post.Document) error {
	b.docs, b.bytes = append(b.docs, d), b.bytes+len(d.JSON)
	if len(b.docs) < batchPosts && b.bytes < batchBytes {
		return nil
	}
	return b.flush(ctx, nil)
}

// flush archives what is there, unless something has failed.
func (b *batch) flush(ctx context.Context, failed error) error {
	if len(b.docs) == 0 || failed != nil {
		return nil
	}
	done, err := b.o.Capture.Import(ctx, b.job, capture.DataExport{SHA256: b.o.SHA256, Made: b.o.Export.Made, Listed: b.listed}, b.docs)
	if err != nil {
		return fmt.Errorf("archiving posts: %w", err)
	}
	b.docs, b.bytes = nil, 0
	b.done.Archived += done.Archived
	b.done.Before += done.Before
	b.done.Fuller += done.Fuller
	b.done.Aside += done.Aside
	return nil
}

// listed reads what the manifest lists by now.
func (b *batch) listed(ctx context.Context) (func(postID string) (string, bool), error) {
	if err := b.before.read(ctx, b.o.Manifest, b.job.AccountID); err != nil {
		return nil, err
	}
	return func(postID string) (string, bool) {
		of, is := b.before.of[number(postID)]
		return of, is
	}, nil
}
