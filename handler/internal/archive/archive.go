// Package archive keeps the messages: one .eml blob a post, and further ones with what
// came later (supplements), each written once, never overwritten, with its SHA-256
// beside it; and X's answers as they came ([Raw]). It is the record that the company
// relies on, and the only source from which anything is delivered. [Archive.Put]
// writes, [Archive.FindPost] and [Archive.Walk] find, [Archive.Open] reads and
// compares the hash. docs/format.md describes the blobs.
//
// A message is at `<accountId>/<yyyy>/<mm>/<dd>/<key>.eml`, by the UTC date of the
// post. The key of a post's message is the post's id. A second message about the
// same post (a supplement) has a key such as `<postId>.media`. Blob metadata:
// `postid`, `created` (RFC 3339, UTC, ms; X's own times have whole seconds),
// `kind`, `sha256` (hex, of the blob's bytes); and what varies and is in no message for
// that: `captured` (RFC 3339, X's clock), `connector` (its version), `digest` (see
// post.Post.Digest), `export` (hex, the SHA-256 of X's data export that has the post).
//
// A post whose id does not tell that date has an empty blob at
// `<accountId>/ids/<postId>` whose metadata `name` is the message's, so that it is
// found by its id alone.
package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"path"
	"strings"
	"sync"
	"time"

	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/post"

	"golang.org/x/sync/errgroup"
)

var (
	// ErrNotFound: the post is not in the archive.
	ErrNotFound = fault.New(fault.NotFound, "not in the archive")
	// ErrAltered: a message's bytes are not those that were archived.
	ErrAltered = fault.New(fault.ArchiveAltered, "archived message does not have its SHA-256")
	// ErrForeign: a blob among the messages is not one of this archive: its
	// metadata has no created and sha256, or they are not those of its name.
	ErrForeign = fault.New(fault.StateDamaged, "not a message of this archive")
	// ErrPosition: a walk cannot go on where an earlier one stopped: the message
	// there is gone. It must begin at its start.
	ErrPosition = fault.New(fault.Other, "the message where an earlier walk stopped is no longer in the archive")
)

// Container keeps the blobs; *blob.Container. A read that fails for another reason
// than absence must not return blob.ErrNotFound.
type Container interface {
	Stat(ctx context.Context, name string) (blob.Info, error)
	Open(ctx context.Context, name string) (io.ReadCloser, blob.Info, error)
	List(ctx context.Context, prefix string, metadata bool) iter.Seq2[blob.Info, error]
	Folders(ctx context.Context, prefix string) ([]string, error)
	Upload(ctx context.Context, name string, o blob.Upload, write func(io.Writer) error) (blob.Info, error)
	WriteAs(ctx context.Context, name string, data []byte, about blob.About, when blob.Condition) (etag string, err error)
}

// Archive is the archive container.
type Archive struct {
	blobs Container
}

// New returns the archive in a container. Nothing is sent yet.
func New(c Container) *Archive { return &Archive{c} }

// Entry is an archived message.
type Entry struct {
	Name    string    // of the blob
	Key     string    // the blob's file name without .eml
	PostID  string    // of the post that the message is about
	Created time.Time // of the post; UTC
	Kind    post.Kind
	SHA256  string    // hex, of the message's bytes
	Size    int64     // of the message's bytes; of entries that were found, not of what Put adds
	Digest  string    // of the post, see post.Post.Digest; "" in messages of older versions
	Stored  time.Time // UTC, storage's clock; of entries that were found, not of what Put adds
	Export  string    // SHA-256 (hex) of X's data export that the message is made of; "" if X's API gave the post

	// Note is what a note beside a message notes, such as "gone", of an entry that is none
	// of a message; then Created, Kind and Digest are not known.
	Note string
}

// Name returns where an account's message is kept.
func Name(accountID string, created time.Time, key string) string {
	return fmt.Sprintf("%s/%s%s.eml", accountID, dayFolder(created), key)
}

const dayLayout = "2006/01/02/"

func dayFolder(t time.Time) string { return t.UTC().Format(dayLayout) }

// Find returns the entry of that name. It returns ErrNotFound if there is none.
func (a *Archive) Find(ctx context.Context, name string) (Entry, error) {
	info, err := a.blobs.Stat(ctx, name)
	if errors.Is(err, blob.ErrNotFound) {
		return Entry{}, fmt.Errorf("%s: %w", name, ErrNotFound)
	}
	if err != nil {
		return Entry{}, err
	}
	return entry(info)
}

// findsAtOnce is how many posts FindPosts looks for at the same time.
const findsAtOnce = 16

// FindPosts returns the entries of those of an account's posts that are archived, by
// id. Each costs what [Archive.FindPost] says, but the years up to November 2010 are
// listed once for all of them.
func (a *Archive) FindPosts(ctx context.Context, accountID string, postIDs []string) (map[string]Entry, error) {
	var (
		mu     sync.Mutex
		found  = map[string]Entry{}
		early  = map[string]bool{} // not found yet, of ids that tell no time
		search errgroup.Group
	)
	search.SetLimit(findsAtOnce)
	for _, id := range postIDs {
		search.Go(func() error {
			e, err := a.findByID(ctx, accountID, id)
			_, timed := post.IDTime(id)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				found[id] = e
			case !errors.Is(err, ErrNotFound):
				return err
			case !timed:
				early[id] = true
			}
			return nil
		})
	}
	if err := search.Wait(); err != nil {
		return nil, err
	}
	return found, a.findBeforeIDs(ctx, accountID, early, found)
}

// FindPost returns the entry of an account's post by its id alone. It takes one
// request if the id tells the post's day, two if it tells no time, three if it tells
// another day. An id from before November 2010 of which no note is found costs a
// listing of the years up to then as well. It returns ErrNotFound if the post is not
// archived.
func (a *Archive) FindPost(ctx context.Context, accountID, postID string) (Entry, error) {
	found, err := a.FindPosts(ctx, accountID, []string{postID})
	if err != nil {
		return Entry{}, err
	}
	e, ok := found[postID]
	if !ok {
		return Entry{}, notArchived(accountID, postID)
	}
	return e, nil
}

func notArchived(accountID, postID string) error {
	return fmt.Errorf("post %s of account %s: %w", postID, accountID, ErrNotFound)
}

// findByID looks where the id says that its post is, and at the note of its id.
func (a *Archive) findByID(ctx context.Context, accountID, postID string) (Entry, error) {
	if created, ok := post.IDTime(postID); ok {
		e, err := a.Find(ctx, Name(accountID, created, postID))
		if !errors.Is(err, ErrNotFound) {
			return e, err
		}
	}
	info, err := a.blobs.Stat(ctx, idName(accountID, postID))
	if err == nil && info.Metadata["name"] != "" {
		return a.Find(ctx, info.Metadata["name"])
	}
	if err != nil && !errors.Is(err, blob.ErrNotFound) {
		return Entry{}, err
	}
	return Entry{}, notArchived(accountID, postID)
}

// findBeforeIDs looks for posts whose ids tell no time, from before November
// 2010, that were archived before such ids were noted: through the few years in
// which they can have been posted. It adds them to found.
func (a *Archive) findBeforeIDs(ctx context.Context, accountID string, ids map[string]bool, found map[string]Entry) error {
	for year := 2006; year <= 2010 && len(ids) > 0; year++ {
		for info, err := range a.blobs.List(ctx, fmt.Sprintf("%s/%d/", accountID, year), true) {
			if err != nil {
				return err
			}
			id := strings.TrimSuffix(path.Base(info.Name), ".eml")
			if !ids[id] {
				continue
			}
			if found[id], err = entry(info); err != nil {
				return err
			}
			delete(ids, id)
		}
	}
	return nil
}

func idName(accountID, postID string) string { return accountID + "/ids/" + postID }

// Message says what is to be archived.
type Message struct {
	Key     string // the post's id, or that of a supplement
	PostID  string
	Created time.Time // of the post
	Kind    post.Kind
	Digest  string // of the post; see post.Post.Digest

	// What of it depends on when it is archived, and is not in the message for that.
	Captured  time.Time // X's clock
	Connector string    // version of the connector
	Export    string    // SHA-256 (hex) of X's data export that it is made of; "" for X's API
}

func (m Message) metadata(sum string) map[string]string {
	all := map[string]string{"postid": m.PostID, "created": m.Created.UTC().Format(timeLayout), "kind": string(m.Kind), "sha256": sum}
	if m.Digest != "" {
		all["digest"] = m.Digest
	}
	if !m.Captured.IsZero() {
		all["captured"] = m.Captured.UTC().Format(timeLayout)
	}
	if m.Connector != "" {
		all["connector"] = m.Connector
	}
	if m.Export != "" {
		all["export"] = m.Export
	}
	return all
}

// Put archives a message as write produces it, in pieces of bounded size. A
// message that is already there stays as it is: its entry is returned, and added
// is false. Nothing is visible before it is whole.
func (a *Archive) Put(ctx context.Context, accountID string, m Message, write func(io.Writer) error) (e Entry, added bool, err error) {
	name := Name(accountID, m.Created, m.Key)
	if err := a.noteID(ctx, accountID, m, name); err != nil {
		return Entry{}, false, err
	}
	info, err := a.blobs.Upload(ctx, name, blob.Upload{
		Type: "message/rfc822", If: blob.Condition{Absent: true},
		Metadata: m.metadata,
	}, write)
	if errors.Is(err, blob.ErrExists) {
		e, err := a.Find(ctx, name)
		return e, false, err
	}
	if err != nil {
		return Entry{}, false, fmt.Errorf("archiving message %s: %w", m.Key, err)
	}
	return Entry{Name: name, Key: m.Key, PostID: m.PostID, Created: m.Created.UTC().Truncate(time.Millisecond), Kind: m.Kind, SHA256: info.Metadata["sha256"], Digest: m.Digest, Export: m.Export}, true, nil
}

// noteID writes down where a post is whose id does not tell it. It is done before
// the message is written: a note without a message is harmless, a message
// without a note could not be found.
func (a *Archive) noteID(ctx context.Context, accountID string, m Message, name string) error {
	if m.Key != m.PostID {
		return nil
	}
	if at, ok := post.IDTime(m.PostID); ok && dayFolder(at) == dayFolder(m.Created) {
		return nil
	}
	_, err := a.blobs.Upload(ctx, idName(accountID, m.PostID), blob.Upload{
		Type: "text/plain", If: blob.Condition{Absent: true},
		Metadata: func(string) map[string]string { return map[string]string{"name": name} },
	}, func(io.Writer) error { return nil })
	if errors.Is(err, blob.ErrExists) {
		return nil
	}
	return err
}

// Open streams a message. Reading its end compares the bytes with the SHA-256
// and returns ErrAltered instead of io.EOF if they differ.
func (a *Archive) Open(ctx context.Context, e Entry) (io.ReadCloser, error) {
	body, _, err := a.blobs.Open(ctx, e.Name)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, fmt.Errorf("%s: %w", e.Name, ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return &verified{body: body, entry: e, hash: sha256.New()}, nil
}

// Check reads a message to its end. It returns ErrAltered if its bytes do not have the
// hash that is kept beside it, or that is not listed, the hash that a manifest has
// of it ("": none); ErrNotFound if it is not there; ErrForeign if what is beside it is not
// a message's. n is how many bytes were read.
func (a *Archive) Check(ctx context.Context, name, listed string) (n int64, err error) {
	body, info, err := a.blobs.Open(ctx, name)
	if errors.Is(err, blob.ErrNotFound) {
		return 0, fmt.Errorf("%s: %w", name, ErrNotFound)
	}
	if err != nil {
		return 0, err
	}
	defer body.Close()
	info.Name = name
	e, err := entry(info)
	if err != nil {
		return 0, err
	}
	if listed != "" && listed != e.SHA256 {
		return 0, fmt.Errorf("%s does not have the hash that the manifest lists: %w", name, ErrAltered)
	}
	return io.Copy(io.Discard, &verified{body: body, entry: e, hash: sha256.New()})
}

// verified is a message's bytes, compared with its hash at their end.
type verified struct {
	body  io.ReadCloser
	entry Entry
	hash  hash.Hash
}

func (v *verified) Read(p []byte) (int, error) {
	n, err := v.body.Read(p)
	v.hash.Write(p[:n])
	if err == io.EOF && hex.EncodeToString(v.hash.Sum(nil)) != v.entry.SHA256 {
		err = fmt.Errorf("%s: %w", v.entry.Name, ErrAltered)
	}
	return n, err
}

func (v *verified) Close() error { return v.body.Close() }

const timeLayout = "2006-01-02T15:04:05.000Z07:00"

// entry reads a blob's metadata. It returns ErrForeign if they are not those of a
// message of ours.
func entry(info blob.Info) (Entry, error) {
	created, err := time.Parse(timeLayout, info.Metadata["created"])
	if err != nil || info.Metadata["sha256"] == "" {
		return Entry{Name: info.Name}, fmt.Errorf("%s: %w", info.Name, ErrForeign)
	}
	key := strings.TrimSuffix(path.Base(info.Name), ".eml")
	account, _, _ := strings.Cut(info.Name, "/")
	if info.Name != Name(account, created, key) {
		return Entry{Name: info.Name}, fmt.Errorf("%s: %w", info.Name, ErrForeign)
	}
	postID, _, _ := strings.Cut(key, ".")
	return Entry{Name: info.Name, Key: key, PostID: postID, Created: created.UTC(),
		Kind: post.Kind(info.Metadata["kind"]), SHA256: info.Metadata["sha256"], Digest: info.Metadata["digest"], Size: info.Size, Stored: info.Modified, Export: info.Metadata["export"]}, nil
}

// Supplements returns the further messages about the post of an entry, in the order of
// their keys. What is foreign among them is left out.
func (a *Archive) Supplements(ctx context.Context, own Entry) ([]Entry, error) {
	var out []Entry
	for info, err := range a.blobs.List(ctx, strings.TrimSuffix(own.Name, "eml"), true) {
		if err != nil {
			return nil, err
		}
		if info.Name == own.Name || !strings.HasSuffix(info.Name, ".eml") {
			continue
		}
		if e, err := entry(info); err == nil {
			out = append(out, e)
		}
	}
	return out, nil
}
