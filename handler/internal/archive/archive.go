// Package archive keeps the messages: one .eml blob a post, written once, never
// overwritten, with its SHA-256 beside it. It is the record that the company
// relies on, and the only source from which anything is delivered.
//
// A message is at `<accountId>/<yyyy>/<mm>/<dd>/<postId>.eml`, by the UTC date of
// the post. Its blob metadata: `postid`, `created` (RFC 3339, UTC, ms), `kind`,
// `sha256` (hex, of the blob's bytes).
package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"xarchive/handler/internal/post"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

var (
	// ErrNotFound: the post is not in the archive.
	ErrNotFound = errors.New("not in the archive")
	// ErrAltered: a message's bytes are not those that were archived.
	ErrAltered = errors.New("archived message does not have its SHA-256")
)

// Container gives the archive container's client; it may make the container.
type Container interface {
	Client(ctx context.Context) (*container.Client, error)
}

// Archive is the archive container.
type Archive struct {
	container Container
}

// New returns the archive in a container. Nothing is sent yet.
func New(c Container) *Archive { return &Archive{c} }

// Entry is an archived message.
type Entry struct {
	Name    string // of the blob
	PostID  string
	Created time.Time // of the post; UTC, ms
	Kind    post.Kind
	SHA256  string // hex, of the message's bytes
	Size    int64  // bytes
	Stored  time.Time
}

// Name is where an account's post is kept.
func Name(accountID string, p *post.Post) string {
	return fmt.Sprintf("%s/%s/%s.eml", accountID, p.CreatedAt.UTC().Format("2006/01/02"), p.ID)
}

// Find returns the entry of that name; ErrNotFound if there is none.
func (a *Archive) Find(ctx context.Context, name string) (Entry, error) {
	c, err := a.container.Client(ctx)
	if err != nil {
		return Entry{}, err
	}
	got, err := c.NewBlobClient(name).GetProperties(ctx, nil)
	if bloberror.HasCode(err, bloberror.BlobNotFound, bloberror.ContainerNotFound) {
		return Entry{}, fmt.Errorf("%s: %w", name, ErrNotFound)
	}
	if err != nil {
		return Entry{}, fmt.Errorf("looking for %s in the archive: %w", name, err)
	}
	return entry(name, got.Metadata, got.ContentLength, got.LastModified)
}

// FindPost returns the entry of an account's post by its id alone; ErrNotFound
// if it is not archived.
func (a *Archive) FindPost(ctx context.Context, accountID, postID string) (Entry, error) {
	if created, ok := post.IDTime(postID); ok {
		e, err := a.Find(ctx, Name(accountID, &post.Post{ID: postID, CreatedAt: created}))
		if !errors.Is(err, ErrNotFound) {
			return e, err
		}
	}
	// The id tells no time, or not the one X gave the post: look everywhere.
	entries, err := a.List(ctx, accountID, time.Time{}, time.Unix(1<<40, 0))
	if err != nil {
		return Entry{}, err
	}
	if i := slices.IndexFunc(entries, func(e Entry) bool { return e.PostID == postID }); i >= 0 {
		return entries[i], nil
	}
	return Entry{}, fmt.Errorf("post %s of account %s: %w", postID, accountID, ErrNotFound)
}

// Put archives a post's message as write produces it, in pieces of bounded
// size. A message that is already there stays as it is: its entry is
// returned, and created is false. Nothing is visible before it is whole.
func (a *Archive) Put(ctx context.Context, accountID string, p *post.Post, write func(io.Writer) error) (e Entry, created bool, err error) {
	name := Name(accountID, p)
	c, err := a.container.Client(ctx)
	if err != nil {
		return Entry{}, false, err
	}
	w := newBlobWriter(ctx, c.NewBlockBlobClient(name))
	if err := write(w); err != nil {
		return Entry{}, false, fmt.Errorf("archiving post %s: %w", p.ID, err)
	}
	err = w.commit(map[string]*string{
		"postid":  to.Ptr(p.ID),
		"created": to.Ptr(p.CreatedAt.UTC().Format(timeLayout)),
		"kind":    to.Ptr(string(p.Kind())),
	})
	if bloberror.HasCode(err, bloberror.BlobAlreadyExists, bloberror.ConditionNotMet, bloberror.BlobImmutableDueToPolicy) {
		e, err := a.Find(ctx, name)
		return e, false, err
	}
	if err != nil {
		return Entry{}, false, fmt.Errorf("archiving post %s: %w", p.ID, err)
	}
	return Entry{Name: name, PostID: p.ID, Created: p.CreatedAt.UTC(), Kind: p.Kind(), SHA256: w.sum(), Size: w.size, Stored: w.stored}, true, nil
}

// List returns an account's messages of posts created from start to end, both
// inclusive, oldest first.
func (a *Archive) List(ctx context.Context, accountID string, start, end time.Time) ([]Entry, error) {
	c, err := a.container.Client(ctx)
	if err != nil {
		return nil, err
	}
	prefix := accountID + "/" + commonDate(start.UTC(), end.UTC())
	pager := c.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{
		Prefix: &prefix, Include: container.ListBlobsInclude{Metadata: true}})
	var out []Entry
	for pager.More() {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing the archive below %s: %w", prefix, err)
		}
		for _, b := range page.Segment.BlobItems {
			if !strings.HasSuffix(*b.Name, ".eml") {
				continue
			}
			e, err := entry(*b.Name, b.Metadata, b.Properties.ContentLength, b.Properties.LastModified)
			if err != nil {
				return nil, err
			}
			if !e.Created.Before(start) && !e.Created.After(end) {
				out = append(out, e)
			}
		}
	}
	slices.SortFunc(out, Oldest)
	return out, nil
}

// Oldest orders entries by time, then by post id.
func Oldest(a, b Entry) int {
	if c := a.Created.Compare(b.Created); c != 0 {
		return c
	}
	return post.CompareIDs(a.PostID, b.PostID)
}

// commonDate is the longest prefix of yyyy/mm/dd/ that all days from start to
// end share.
func commonDate(start, end time.Time) string {
	switch {
	case start.Year() != end.Year():
		return ""
	case start.Month() != end.Month():
		return start.Format("2006/")
	case start.Day() != end.Day():
		return start.Format("2006/01/")
	}
	return start.Format("2006/01/02/")
}

// Open streams a message. Reading its end compares the bytes with the SHA-256
// and gives ErrAltered instead of io.EOF if they differ.
func (a *Archive) Open(ctx context.Context, e Entry) (io.ReadCloser, error) {
	c, err := a.container.Client(ctx)
	if err != nil {
		return nil, err
	}
	got, err := c.NewBlobClient(e.Name).DownloadStream(ctx, nil)
	if bloberror.HasCode(err, bloberror.BlobNotFound, bloberror.ContainerNotFound) {
		return nil, fmt.Errorf("%s: %w", e.Name, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s from the archive: %w", e.Name, err)
	}
	body := got.NewRetryReader(ctx, &blob.RetryReaderOptions{MaxRetries: 3})
	return &verified{ReadCloser: body, entry: e, hash: sha256.New()}, nil
}

type verified struct {
	io.ReadCloser
	entry Entry
	hash  hash.Hash
}

func (v *verified) Read(p []byte) (int, error) {
	n, err := v.ReadCloser.Read(p)
	v.hash.Write(p[:n])
	if err == io.EOF && hex.EncodeToString(v.hash.Sum(nil)) != v.entry.SHA256 {
		err = fmt.Errorf("%s: %w", v.entry.Name, ErrAltered)
	}
	return n, err
}

const timeLayout = "2006-01-02T15:04:05.000Z07:00"

func entry(name string, metadata map[string]*string, size *int64, stored *time.Time) (Entry, error) {
	meta := map[string]string{}
	for k, v := range metadata {
		if v != nil {
			meta[strings.ToLower(k)] = *v
		}
	}
	created, err := time.Parse(timeLayout, meta["created"])
	if err != nil || meta["sha256"] == "" {
		return Entry{}, fmt.Errorf("%s is not a message of this archive: its metadata has no created and sha256", name)
	}
	e := Entry{Name: name, PostID: strings.TrimSuffix(path.Base(name), ".eml"), Created: created.UTC(),
		Kind: post.Kind(meta["kind"]), SHA256: meta["sha256"]}
	if size != nil {
		e.Size = *size
	}
	if stored != nil {
		e.Stored = stored.UTC()
	}
	return e, nil
}
