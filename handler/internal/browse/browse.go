// Package browse is how people look into the archive: it counts, finds and shows
// messages, and takes some out. It reads only, and what it does is bounded: a search
// says what it has looked at, and where it can go on.
package browse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/export"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/manifest"
	"xarchive/handler/internal/message"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/verify"

	"golang.org/x/sync/errgroup"
)

// Browser looks into an archive.
type Browser struct {
	Archive   *archive.Archive
	Manifests *manifest.Store
	Version   string // of the connector, for exports
	Now       func() time.Time
}

// Accounts returns the ids of all accounts of which the archive has something.
func (b Browser) Accounts(ctx context.Context) ([]string, error) { return b.Archive.Accounts(ctx) }

// verifyTime bounds a verification for which somebody waits. The host gives up an
// answer of which it has seen nothing for four minutes.
const verifyTime = 100 * time.Second

// namedFaults is how many faults of a kind a verification names.
const namedFaults = 100

// Verify compares an account's messages of a time with their hashes and with the
// manifest. whole is false if time was over before all were compared. settled is up to
// when whatever was archived must be in the manifest.
func (b Browser) Verify(ctx context.Context, account string, from, to time.Time, newest manifest.Link, settled time.Time) (r verify.Report, whole bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, verifyTime)
	defer cancel()
	if to.IsZero() {
		to = b.Now().AddDate(1, 0, 0)
	}
	r, err = verify.Account(ctx, verify.Options{Archive: b.Archive, Manifests: b.Manifests, Account: account, From: from, To: to, Newest: newest, Settled: settled, Named: namedFaults})
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) && r.Messages > 0 {
		return r, false, nil
	}
	return r, err == nil, err
}

// Export streams messages as a zip file with its manifest, see export.Stream.
func (b Browser) Export(ctx context.Context, w io.Writer, q export.Query) (export.Status, error) {
	q.Format = export.Zip
	return export.Stream(ctx, w, export.Options{Archive: b.Archive, Query: q, Now: b.Now, Version: b.Version})
}

const (
	// pageSize is how many messages a page of findings has.
	pageSize = 25
	// listed bounds how many entries a search goes through at a time, read how many
	// messages it opens: their text is in them.
	listed = 5000
	opened = 300
	// atOnce is how many messages are read at the same time.
	atOnce = 8
	// searchTime bounds a search, countTime a count. What is left is said.
	searchTime = 15 * time.Second
	countTime  = 8 * time.Second
)

// ErrName: no message can have that name.
var ErrName = fault.Refuse(fault.BadRequest, "This is not the name of a message.")

// Found is a page of findings, the newest first.
type Found struct {
	Messages []Message
	Looked   int       // entries that were looked at
	Opened   int       // messages of which the text was looked at
	Back     time.Time // how far back it was looked: the post's time of the oldest entry; zero if there was none
	Unread   []string  // messages whose text could not be read
	Next     string    // name of the message behind which the search can go on; "" at the end
}

// Message is a message in a list.
type Message struct {
	archive.Entry
	Supplement string // "" for a post's own message
	Preview    string // of its text; "" if it was not opened
}

// Find searches an account's messages by time, kind and text, the newest first, before
// the message of that name ("" for the newest).
func (b Browser) Find(ctx context.Context, q export.Query, before string) (Found, error) {
	ctx, cancel := context.WithTimeout(ctx, searchTime)
	defer cancel()
	end := q.To
	if end.IsZero() {
		end = b.Now().AddDate(1, 0, 0)
	}
	var f Found
	var batch []archive.Entry
	flush := func() error {
		list, err := b.read(ctx, batch)
		if err != nil {
			return err
		}
		for i, m := range list {
			if len(f.Messages) == pageSize {
				break
			}
			f.Opened++
			f.Looked, f.Back, f.Next = f.Looked+1, m.entry.Created, m.entry.Name
			switch {
			case m.err != nil:
				f.Unread = append(f.Unread, m.entry.Key)
			case q.Matches(m.post):
				f.Messages = append(f.Messages, Message{batch[i], m.supplement, m.preview})
			}
		}
		batch = nil
		return nil
	}
	for e, err := range b.Archive.Back(ctx, q.Account, q.From, end, before) {
		if err == nil && isKind(e.Kind) && len(q.Kinds) > 0 && !slices.Contains(q.Kinds, e.Kind) {
			if len(batch) == 0 { // else those before it are looked at first
				f.Looked, f.Back, f.Next = f.Looked+1, e.Created, e.Name
			}
		} else if err == nil {
			batch = append(batch, e)
		}
		if err == nil && len(batch) == atOnce {
			err = flush()
		}
		if err != nil {
			return f.stopped(ctx, err)
		}
		if len(f.Messages) >= pageSize || f.Looked >= listed || f.Opened >= opened {
			return f, nil
		}
	}
	if err := flush(); err != nil {
		return f.stopped(ctx, err)
	}
	if len(f.Messages) < pageSize {
		f.Next = ""
	}
	return f, nil
}

// stopped is a search whose time was over: what was found stands, unless nothing was
// looked at.
func (f Found) stopped(ctx context.Context, err error) (Found, error) {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && f.Next != "" {
		return f, nil
	}
	return f, slow(ctx, err)
}

func isKind(k post.Kind) bool { return slices.Contains(post.Kinds(), k) }

// opening is a message of which the text was read.
type opening struct {
	entry               archive.Entry
	post                *post.Post
	supplement, preview string
	err                 error // it cannot be read
}

// previewLength is in characters.
const previewLength = 160

// read reads the texts of messages, several at once. The bytes are not compared with
// their hash here: that is done when a message is shown or taken out.
func (b Browser) read(ctx context.Context, entries []archive.Entry) ([]opening, error) {
	out := make([]opening, len(entries))
	group, ctx := errgroup.WithContext(ctx)
	for i, e := range entries {
		out[i].entry = e
		group.Go(func() error {
			body, err := b.Archive.Open(ctx, e)
			if errors.Is(err, archive.ErrNotFound) {
				out[i].err = err
				return nil
			}
			if err != nil {
				return err
			}
			defer body.Close()
			m, err := message.Read(body)
			if err != nil {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				out[i].err = err
				return nil
			}
			out[i].post, out[i].supplement, out[i].preview = m.Post, m.Supplement, m.Preview(previewLength)
			return nil
		})
	}
	return out, group.Wait()
}

// Counts is how many posts the archive has of an account. Posts of others that mention it
// are counted among Kinds only.
type Counts struct {
	Posts, Supplements int
	Months             []Month // from the oldest to the newest, those without posts too
	Kinds              map[post.Kind]int
	Oldest, Newest     time.Time
	// From is from when on it was counted; the zero time if that is the beginning.
	From time.Time
}

// Month is how many posts were posted in a month (UTC).
type Month struct {
	At    time.Time // its first moment
	Posts int
}

// Count counts what the archive has of an account, the newest year first, as far as the
// time goes. It lists the messages themselves, and opens none.
func (b Browser) Count(ctx context.Context, account string) (Counts, error) {
	ctx, cancel := context.WithTimeout(ctx, countTime)
	defer cancel()
	all := Counts{Kinds: map[post.Kind]int{}}
	years, err := b.Archive.Years(ctx, account)
	if err != nil {
		return all, err
	}
	months := map[time.Time]int{}
	for _, year := range slices.Backward(years) {
		one := Counts{Kinds: map[post.Kind]int{}}
		byMonth := map[time.Time]int{}
		for e, err := range b.Archive.Year(ctx, account, year) {
			if err != nil {
				if errors.Is(ctx.Err(), context.DeadlineExceeded) && all.Posts > 0 {
					return all.withMonths(months), nil
				}
				return all, slow(ctx, err)
			}
			if e.Key != e.PostID {
				one.Supplements++
				continue
			}
			one.Kinds[e.Kind]++
			if e.Kind == post.Mentioning {
				continue
			}
			one.Posts++
			byMonth[time.Date(e.Created.Year(), e.Created.Month(), 1, 0, 0, 0, 0, time.UTC)]++
			if one.Oldest.IsZero() || e.Created.Before(one.Oldest) {
				one.Oldest = e.Created
			}
			if e.Created.After(one.Newest) {
				one.Newest = e.Created
			}
		}
		all.add(one)
		for m, n := range byMonth {
			months[m] += n
		}
		if all.From, err = time.Parse("2006", year); err != nil {
			return all, err
		}
	}
	all.From = time.Time{} // all years were counted
	return all.withMonths(months), nil
}

func (c *Counts) add(d Counts) {
	c.Posts, c.Supplements = c.Posts+d.Posts, c.Supplements+d.Supplements
	for k, n := range d.Kinds {
		c.Kinds[k] += n
	}
	if c.Newest.IsZero() {
		c.Newest = d.Newest
	}
	if !d.Oldest.IsZero() {
		c.Oldest = d.Oldest
	}
}

func (c Counts) withMonths(months map[time.Time]int) Counts {
	if c.Posts == 0 {
		return c
	}
	for m := time.Date(c.Oldest.Year(), c.Oldest.Month(), 1, 0, 0, 0, 0, time.UTC); !m.After(c.Newest); m = m.AddDate(0, 1, 0) {
		c.Months = append(c.Months, Month{m, months[m]})
	}
	return c
}

// Entry finds a message by its name. What cannot be one's name is ErrName.
func (b Browser) Entry(ctx context.Context, name string) (archive.Entry, error) {
	account, _, ok := strings.Cut(name, "/")
	if !ok || post.CheckID(account) != nil || !strings.HasSuffix(name, ".eml") || strings.ContainsAny(name, "\\?#%") || strings.Contains(name, "..") || len(name) > 200 {
		return archive.Entry{}, ErrName
	}
	return b.Archive.Find(ctx, name)
}

// Copy writes a message's bytes to w. Its error is archive.ErrAltered if they are not
// those that were archived, which is known only at their end.
func (b Browser) Copy(ctx context.Context, w io.Writer, e archive.Entry) error {
	body, err := b.Archive.Open(ctx, e)
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := io.Copy(w, body); err != nil {
		return fmt.Errorf("reading %s: %w", e.Name, err)
	}
	return nil
}
