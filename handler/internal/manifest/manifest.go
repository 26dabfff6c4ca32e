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
// next one. Both lines have the same path and SHA-256.
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
	"strconv"
	"strings"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/fault"
)

// ErrBroken: the chain does not hold: a blob of it is missing, altered, or not a
// manifest.
var ErrBroken = fault.New(fault.ArchiveAltered, "the manifest's chain is broken")

// ErrNewer: a newer version of the connector wrote a blob of the manifest.
var ErrNewer = fault.New(fault.StateNewer, "the manifest is in a newer form than this version of the connector knows")

// Version is the version of the format that is written. Version 1 had no days and no
// events, version 2 no notes.
const Version = 3

// NotesSince is the version from which on a manifest lists the notes beside messages.
const NotesSince = 3

// Head is the first line of a manifest's blob.
type Head struct {
	V        int    `json:"v"`
	Account  string `json:"account"`
	N        int    `json:"n"`             // the blob's number, from 1
	Previous string `json:"previous"`      // SHA-256 of blob N-1 (hex); "" for the first
	Day      string `json:"day,omitempty"` // UTC date on which the blob was made, by X's clock; since version 2
}

// Event is what a line says. The zero Event is an archived message.
type Event string

// GivenUp: X did not give all of an archived post within a day. Nothing is at the
// line's path but the post's message.
const GivenUp Event = "given_up"

// Gone and Back: X no longer gives an archived post, or gives it again. The line's path and
// SHA-256 are those of the note beside the message that says so.
const (
	Gone Event = "gone"
	Back Event = "back"
)

// IsNote reports whether the line is about a note beside a message.
func (l Line) IsNote() bool { return l.Event == Gone || l.Event == Back }

// Line is one archived message, or another [Event] of one.
type Line struct {
	Event    Event     `json:"event,omitempty"`
	Key      string    `json:"key"`      // the message's file name without .eml
	PostID   string    `json:"postId"`   // of the post that it is about
	Path     string    `json:"path"`     // of the message in the archive container
	SHA256   string    `json:"sha256"`   // of the message's bytes (hex)
	Kind     string    `json:"kind"`     // Tweet, Retweet, Reply, Quote
	Posted   time.Time `json:"posted"`   // UTC
	Captured time.Time `json:"captured"` // UTC, X's clock: when X gave it, or made its data export

	// Raw are the answers of X that hold the post that the message is about, that with
	// the post first, then look-ups of what it lacked; of the statement that X did not give
	// something, the answer in which it did not. There is none of a message that was
	// made of another message, or of a post that was set aside.
	Raw []archive.Raw `json:"raw,omitempty"`

	// Export is the SHA-256 (hex) of X's data export, a zip file, that has the post; "" for a
	// post that X's API gave.
	Export string `json:"export,omitempty"`

	// What was given up, of a line of GivenUp.
	Media    []string `json:"media,omitempty"`    // keys of media
	Versions []string `json:"versions,omitempty"` // ids of earlier versions
	Text     bool     `json:"text,omitempty"`     // the text, in whose place X gave a notice
	Why      string   `json:"why,omitempty"`
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
	WriteAs(ctx context.Context, name string, data []byte, about blob.About, when blob.Condition) (etag string, err error)
	List(ctx context.Context, prefix string, metadata bool) iter.Seq2[blob.Info, error]
}

// Store is the manifests of a container.
type Store struct {
	blobs Container
}

// New returns the manifests of a container. Nothing is sent yet.
func New(c Container) *Store { return &Store{c} }

func folder(account string) string { return account + "/manifest/" }

const suffix = ".jsonl"

func name(account string, n int) string { return fmt.Sprintf("%s%08d%s", folder(account), n, suffix) }

// Append adds a blob with lines to an account's chain and returns the new link. day is
// the present UTC date, as time.DateOnly. A
// blob that is there already was made by an instance that was stopped before it
// could write down its link: it stands, and the lines go into the next one.
func (s *Store) Append(ctx context.Context, account string, after Link, day string, lines []Line) (Link, error) {
	for {
		n := after.N + 1
		data, err := encode(Head{Version, account, n, after.SHA256, day}, lines)
		if err != nil {
			return after, err
		}
		_, err = s.blobs.WriteAs(ctx, name(account, n), data, blob.About{Type: "application/x-ndjson", Metadata: span(lines)}, blob.Condition{Absent: true})
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

// span is the metadata of a blob with lines: of which days the posts are.
func span(lines []Line) map[string]string {
	if len(lines) == 0 {
		return nil
	}
	from, to := lines[0].Posted, lines[0].Posted
	for _, l := range lines[1:] {
		if l.Posted.Before(from) {
			from = l.Posted
		}
		if l.Posted.After(to) {
			to = l.Posted
		}
	}
	return map[string]string{"from": from.UTC().Format(time.DateOnly), "to": to.UTC().Format(time.DateOnly)}
}

// Part is a blob of a chain as a listing shows it.
type Part struct {
	N       int
	Stamped bool      // it has a time stamp
	Stored  time.Time // UTC, storage's clock: when it was made
	// From and To are the first and the last UTC date of the posts it lists, as
	// time.DateOnly, by its metadata; "" if they do not say. No hash proves them: they
	// only say where to look.
	From, To string
}

// MayList reports whether the blob may list messages of posts of that UTC date.
func (p Part) MayList(day string) bool {
	return p.From == "" || p.To == "" || p.From <= day && day <= p.To
}

// Parts returns the blobs of an account's chain, in order, by a listing.
func (s *Store) Parts(ctx context.Context, account string) ([]Part, error) {
	var parts []Part
	for info, err := range s.blobs.List(ctx, folder(account), true) {
		if err != nil {
			return nil, err
		}
		file := strings.TrimPrefix(info.Name, folder(account))
		n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSuffix(file, stampSuffix), suffix))
		if err != nil || n < 1 {
			continue
		}
		switch info.Name {
		case name(account, n):
			parts = append(parts, Part{N: n, Stored: info.Modified, From: info.Metadata["from"], To: info.Metadata["to"]})
		case stampName(account, n): // follows its blob in the listing
			if last := len(parts) - 1; last >= 0 && parts[last].N == n {
				parts[last].Stamped = true
			}
		}
	}
	return parts, nil
}

// Blob is a blob of a chain.
type Blob struct {
	Head  Head
	Lines []Line
	Link  Link
	Data  []byte
}

// Blob reads blob n of an account's chain. It returns ErrBroken if it is not there or is
// none; then there is no more than the Link of what is there.
func (s *Store) Blob(ctx context.Context, account string, n int) (Blob, error) {
	data, _, err := s.blobs.Read(ctx, name(account, n))
	if errors.Is(err, blob.ErrNotFound) {
		return Blob{}, fmt.Errorf("%s is missing: %w", name(account, n), ErrBroken)
	}
	if err != nil {
		return Blob{}, err
	}
	b := Blob{Link: Link{n, digest(data)}, Data: data}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, maxLine)
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &b.Head) != nil || b.Head.Account != account || b.Head.N != n {
		return Blob{Link: b.Link}, fmt.Errorf("%s is not blob %d of account %s: %w", name(account, n), n, account, ErrBroken)
	}
	if b.Head.V > Version {
		return Blob{Link: b.Link}, fmt.Errorf("%s: %w", name(account, n), ErrNewer)
	}
	for lines.Scan() {
		var line Line
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return Blob{Link: b.Link}, fmt.Errorf("%s: %w: %w", name(account, n), ErrBroken, err)
		}
		b.Lines = append(b.Lines, line)
	}
	if err := lines.Err(); err != nil {
		return Blob{Link: b.Link}, fmt.Errorf("%s: %w: %w", name(account, n), ErrBroken, err)
	}
	return b, nil
}

// maxLine bounds a line, in bytes.
const maxLine = 1 << 20

// Follows returns an error that wraps ErrBroken unless the blob is the one after last. A
// last without a hash is one that could not be read: nothing can be compared with it.
func (b Blob) Follows(last Link) error {
	switch {
	case b.Link.N == last.N+1 && (b.Head.Previous == last.SHA256 || last.N > 0 && last.SHA256 == ""):
		return nil
	case b.Link.N != last.N+1:
		return fmt.Errorf("%s is missing: %w", name(b.Head.Account, last.N+1), ErrBroken)
	}
	return fmt.Errorf("%s does not follow the blob before it: %w", name(b.Head.Account, b.Link.N), ErrBroken)
}

// Ends returns an error that wraps ErrBroken if a chain that was read up to here does not
// hold the newest link, which is written down elsewhere.
func (b Link) Ends(account string, newest Link) error {
	if newest.N > b.N {
		return fmt.Errorf("%s is missing: %w", name(account, b.N+1), ErrBroken)
	}
	return nil
}

// Is returns an error that wraps ErrBroken if the blob is the newest one by number, and
// another by its bytes.
func (b Link) Is(account string, newest Link) error {
	if newest.N == b.N && newest.N > 0 && newest.SHA256 != b.SHA256 {
		return fmt.Errorf("%s is not the one that was written down: %w", name(account, b.N), ErrBroken)
	}
	return nil
}

// A blob's time stamp (RFC 3161) is beside it.
const stampSuffix = ".tsr"

func stampName(account string, n int) string { return name(account, n) + stampSuffix }

// PutStamp keeps a time stamp of blob n. One that is there already stands.
func (s *Store) PutStamp(ctx context.Context, account string, n int, token []byte) error {
	_, err := s.blobs.WriteAs(ctx, stampName(account, n), token, blob.About{Type: "application/timestamp-reply"}, blob.Condition{Absent: true})
	if errors.Is(err, blob.ErrExists) {
		return nil
	}
	return err
}

// Stamp returns the time stamp of blob n.
func (s *Store) Stamp(ctx context.Context, account string, n int) ([]byte, error) {
	token, _, err := s.blobs.Read(ctx, stampName(account, n))
	return token, err
}
