// Package manifest lists what was archived, in the order in which it was archived,
// so that it can be shown later that nothing was added, altered or removed.
//
// An account's manifest is a chain of blobs in the archive container,
//
//	<accountId>/manifest/00000001.jsonl
//	<accountId>/manifest/00000002.jsonl
//
// each made once and never overwritten. The first line of a blob is a [Head]: it
// has the SHA-256 of the blob before it. Every further line is a [Line]: one
// archived message. Whoever knows the SHA-256 of one blob can therefore check every
// blob before it with sha256sum alone.
//
// A line may appear twice: what an interrupted run archived is listed again by the
// next one. Both lines say the same.
package manifest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/fault"
)

// ErrBroken: the chain does not hold: a blob of it is missing, altered, or not a
// manifest.
var ErrBroken = fault.New(fault.ArchiveAltered, "the manifest's chain is broken")

// Version is the version of the format.
const Version = 1

// Head is the first line of a manifest's blob.
type Head struct {
	V        int    `json:"v"`
	Account  string `json:"account"`
	N        int    `json:"n"`        // the blob's number, from 1
	Previous string `json:"previous"` // SHA-256 of blob N-1 (hex); "" for the first
}

// Line is one archived message.
type Line struct {
	Key      string    `json:"key"`      // the message's file name without .eml
	PostID   string    `json:"postId"`   // of the post that it is about
	Path     string    `json:"path"`     // of the message in the archive container
	SHA256   string    `json:"sha256"`   // of the message's bytes (hex)
	Kind     string    `json:"kind"`     // Tweet, Retweet, Reply, Quote
	Posted   time.Time `json:"posted"`   // UTC
	Captured time.Time `json:"captured"` // UTC, X's clock: when X was asked for it
}

// Link is the newest blob of an account's chain. The zero Link is a chain without
// blobs.
type Link struct {
	N      int    `json:"n"`
	SHA256 string `json:"sha256"` // of the blob's bytes (hex)
}

// Container keeps the blobs; *blob.Container.
type Container interface {
	Read(ctx context.Context, name string) ([]byte, blob.Info, error)
	Write(ctx context.Context, name string, data []byte, when blob.Condition) (etag string, err error)
	List(ctx context.Context, prefix string, metadata bool) iter.Seq2[blob.Info, error]
}

// Store is the manifests of a container.
type Store struct {
	blobs Container
}

// New returns the manifests of a container. Nothing is sent yet.
func New(c Container) *Store { return &Store{c} }

func folder(account string) string { return account + "/manifest/" }

func name(account string, n int) string { return fmt.Sprintf("%s%08d.jsonl", folder(account), n) }

// Append adds a blob with lines to an account's chain and returns the new link. A
// blob that is there already was made by an instance that was stopped before it
// could write down its link: it stands, and the lines go into the next one.
func (s *Store) Append(ctx context.Context, account string, after Link, lines []Line) (Link, error) {
	for {
		n := after.N + 1
		data, err := encode(Head{Version, account, n, after.SHA256}, lines)
		if err != nil {
			return after, err
		}
		_, err = s.blobs.Write(ctx, name(account, n), data, blob.Condition{Absent: true})
		if err == nil {
			return Link{n, digest(data)}, nil
		}
		if !errors.Is(err, blob.ErrExists) {
			return after, err
		}
		there, _, err := s.blobs.Read(ctx, name(account, n))
		if err != nil {
			return after, err
		}
		after = Link{n, digest(there)}
	}
}

func encode(head Head, lines []Line) ([]byte, error) {
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	if err := out.Encode(head); err != nil {
		return nil, err
	}
	for _, line := range lines {
		if err := out.Encode(line); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Lines yields an account's lines, blob after blob, and checks the chain. An error
// that wraps ErrBroken concerns one link, and the walk goes on behind it; any other
// error ends it. newest is the link that is written down elsewhere; the zero Link
// if none is.
func (s *Store) Lines(ctx context.Context, account string, newest Link) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		last := Link{}
		for info, err := range s.blobs.List(ctx, folder(account), false) {
			if err != nil {
				yield(Line{}, err)
				return
			}
			for n := last.N + 1; info.Name > name(account, n); n++ {
				last = Link{N: n}
				if !yield(Line{}, fmt.Errorf("%s is missing: %w", name(account, n), ErrBroken)) {
					return
				}
			}
			data, _, err := s.blobs.Read(ctx, info.Name)
			if err != nil {
				yield(Line{}, err)
				return
			}
			link, goOn := s.blob(account, info.Name, data, last, yield)
			if !goOn {
				return
			}
			last = link
			if last.N == newest.N && newest.N > 0 && last.SHA256 != newest.SHA256 {
				if !yield(Line{}, fmt.Errorf("%s is not the one that was written down: %w", info.Name, ErrBroken)) {
					return
				}
			}
		}
		for n := last.N + 1; n <= newest.N; n++ {
			if !yield(Line{}, fmt.Errorf("%s is missing: %w", name(account, n), ErrBroken)) {
				return
			}
		}
	}
}

// maxLine bounds a line, in bytes.
const maxLine = 1 << 20

// blob yields the lines of one blob.
func (s *Store) blob(account, name string, data []byte, last Link, yield func(Line, error) bool) (Link, bool) {
	link := Link{N: last.N + 1, SHA256: digest(data)}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, maxLine)
	var head Head
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &head) != nil || head.Account != account || head.N != link.N || last.SHA256 != "" && head.Previous != last.SHA256 || link.N == 1 && head.Previous != "" {
		return link, yield(Line{}, fmt.Errorf("%s does not follow the blob before it: %w", name, ErrBroken))
	}
	for lines.Scan() {
		var line Line
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return link, yield(Line{}, fmt.Errorf("%s: %w: %w", name, ErrBroken, err))
		}
		if !yield(line, nil) {
			return link, false
		}
	}
	return link, true
}
