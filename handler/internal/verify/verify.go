// Package verify re-reads an account's archive and compares it with itself and
// with its manifest: every message with the SHA-256 that was noted when it was
// archived, every line of the manifest with a message, every message with a line.
package verify

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/manifest"

	"golang.org/x/sync/errgroup"
)

// Archive is what is verified; *archive.Archive. Open's stream ends with
// archive.ErrAltered if the bytes are not those that were archived.
type Archive interface {
	Walk(ctx context.Context, accountID string, start, end time.Time, after string) iter.Seq2[archive.Entry, error]
	Open(ctx context.Context, e archive.Entry) (io.ReadCloser, error)
}

// Manifests lists what was archived; *manifest.Store.
type Manifests interface {
	Lines(ctx context.Context, account string, newest manifest.Link) iter.Seq2[manifest.Line, error]
}

// Report is what was found of one account.
type Report struct {
	Messages int   // messages that were read
	Bytes    int64 // of them
	Lines    int   // lines of the manifest
	Unlisted int   // messages that no line lists; from before there was a manifest

	// Faults, each as a sentence with the blob's name, at most 1,000 of a kind.
	Altered []string // the bytes are not those that were archived, or not those of the manifest
	Missing []string // the manifest lists it, and it is not there
	Foreign []string // it is among the messages and is not one of ours
	Extra   []string // archived since there is a manifest, and not in it
	Broken  []string // links of the manifest's chain
}

// Sound reports whether no fault was found.
func (r Report) Sound() bool {
	return len(r.Altered)+len(r.Missing)+len(r.Foreign)+len(r.Extra)+len(r.Broken) == 0
}

// Options says what is verified.
type Options struct {
	Archive   Archive
	Manifests Manifests
	Account   string
	From, To  time.Time     // of the posts, both inclusive; the zero From is the beginning
	Newest    manifest.Link // that is written down in the account's record
	// Progress is called from time to time with what was read so far; may be nil.
	Progress func(Report)
}

const (
	// named bounds how many faults of a kind are named.
	named = 1000
	// atOnce is how many messages are read at the same time.
	atOnce = 8
)

// listed is what the manifest says of a message.
type listed struct {
	sum   [sha256.Size]byte // of path and hash
	found bool
}

// Account verifies an account. Its error says that the archive could not be read to
// its end; what is wrong with the archive is in the report.
func Account(ctx context.Context, o Options) (Report, error) {
	var r Report
	lines, first, err := o.lines(ctx, &r)
	if err != nil {
		return r, err
	}
	group, ctx := errgroup.WithContext(ctx)
	entries := make(chan archive.Entry)
	results := make(chan result)
	group.Go(func() error {
		defer close(entries)
		for e, err := range o.Archive.Walk(ctx, o.Account, o.From, o.To, "") {
			if errors.Is(err, archive.ErrForeign) {
				select {
				case results <- result{foreign: err.Error()}:
				case <-ctx.Done():
				}
				continue
			}
			if err != nil {
				return err
			}
			select {
			case entries <- e:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	for range atOnce {
		group.Go(func() error {
			for e := range entries {
				res, err := o.read(ctx, e)
				if err != nil {
					return err
				}
				select {
				case results <- res:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
			return nil
		})
	}
	failed := make(chan error, 1)
	go func() {
		failed <- group.Wait()
		close(results)
	}()
	for res := range results {
		r.take(res, lines, first)
		if o.Progress != nil {
			o.Progress(r)
		}
	}
	if err := <-failed; err != nil {
		return r, err
	}
	for path, l := range lines {
		if !l.found {
			r.Missing = note(r.Missing, path+" is listed in the manifest and is not there")
		}
	}
	for _, list := range [][]string{r.Altered, r.Missing, r.Foreign, r.Extra, r.Broken} {
		slices.Sort(list)
	}
	return r, nil
}

// lines reads the manifest: what it lists of the window, and when it begins.
func (o Options) lines(ctx context.Context, r *Report) (map[string]*listed, time.Time, error) {
	lines := map[string]*listed{}
	var first time.Time
	for line, err := range o.Manifests.Lines(ctx, o.Account, o.Newest) {
		if errors.Is(err, manifest.ErrBroken) {
			r.Broken = note(r.Broken, err.Error())
			continue
		}
		if err != nil {
			return nil, first, err
		}
		if first.IsZero() || line.Captured.Before(first) {
			first = line.Captured
		}
		if line.Posted.Before(o.From) || line.Posted.After(o.To) {
			continue
		}
		r.Lines++
		l := &listed{sum: sum(line.Path, line.SHA256)}
		if old := lines[line.Path]; old != nil && old.sum != l.sum {
			r.Broken = note(r.Broken, line.Path+" is listed twice, with two hashes")
		}
		lines[line.Path] = l
	}
	return lines, first, nil
}

func sum(path, hash string) [sha256.Size]byte { return sha256.Sum256([]byte(path + " " + hash)) }

// result is what came of one message.
type result struct {
	entry   archive.Entry
	size    int64
	altered string
	foreign string
}

// read reads a message to its end, where its hash is compared.
func (o Options) read(ctx context.Context, e archive.Entry) (result, error) {
	body, err := o.Archive.Open(ctx, e)
	if errors.Is(err, archive.ErrNotFound) {
		return result{entry: e, altered: e.Name + " was removed while it was verified"}, nil
	}
	if err != nil {
		return result{}, err
	}
	defer body.Close()
	n, err := io.Copy(io.Discard, body)
	if errors.Is(err, archive.ErrAltered) {
		return result{entry: e, size: n, altered: err.Error()}, nil
	}
	if err != nil {
		return result{}, fmt.Errorf("reading %s: %w", e.Name, err)
	}
	return result{entry: e, size: n}, nil
}

// take adds a result to the report.
func (r *Report) take(res result, lines map[string]*listed, first time.Time) {
	if res.foreign != "" {
		r.Foreign = note(r.Foreign, res.foreign)
		return
	}
	r.Messages++
	r.Bytes += res.size
	if res.altered != "" {
		r.Altered = note(r.Altered, res.altered)
	}
	l := lines[res.entry.Name]
	switch {
	case l == nil && (first.IsZero() || res.entry.Stored.Before(first)):
		r.Unlisted++
	case l == nil:
		r.Extra = note(r.Extra, res.entry.Name+" is not in the manifest, and was stored after the manifest began")
	default:
		l.found = true
		if l.sum != sum(res.entry.Name, res.entry.SHA256) {
			r.Altered = note(r.Altered, res.entry.Name+" does not have the hash that the manifest lists")
		}
	}
}

func note(list []string, text string) []string {
	if len(list) >= named {
		return list
	}
	return append(list, text)
}
