// Package export takes messages out of the archive, byte for byte as they were
// archived, in a form that other programs read.
//
//	maildir     DEST is a Maildir; the messages are in new/
//	mbox        DEST is one file, mboxrd
//	eml         DEST/<account>/<yyyy>/<mm>/<dd>/<key>.eml, as in the archive
//	zip         DEST is one file with the same paths inside, oldest first, not compressed
//	review-set  DEST/<mailbox>/<key>.eml, for Purview's "import external data"
//
// [Run] reads the archive only. It walks an account's messages in the order of
// their time, reads each into a temporary file, compares it with its SHA-256,
// writes it, reads back what it wrote and compares again. A message that is
// altered, gone or foreign is left out and reported. Memory is bounded whatever the
// number and the size of messages.
//
// # The files beside DEST
//
// Nothing but messages is in DEST. Beside it are
//
//	DEST.manifest.csv, .jsonl   each message: path, post id, time, size, SHA-256; each one left out
//	DEST.export.json            what was asked for, and what came of it
//	DEST.part/                  only while it is under way: the journal and what is not finished
//
// A zip file has the manifest and export.json inside.
//
// # Interrupted
//
// Nothing half-written ever has its final name. The same call goes on where an
// interrupted one stopped: the journal in DEST.part says what is written, and each of
// its lines counts only if the message's bytes are still in place. A folder
// that is complete can be exported again: what is there is kept, what is new in the
// archive is added. DEST that something else made is refused.
package export

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/fault"
)

var (
	// ErrNoAccount: the archive holds no message of the account, of any time.
	ErrNoAccount = fault.New(fault.NotFound, "the archive holds nothing of this account")
	// ErrOccupied: DEST is there already, and is not of this export.
	ErrOccupied = fault.New(fault.BadRequest, "the destination is not free")
	// ErrWriting: what was written is not what was to be written.
	ErrWriting = fault.New(fault.Other, "what was written does not read back the same")
)

// Options is what Run needs.
type Options struct {
	Archive *archive.Archive
	Query   Query
	Dest    string // path of the folder or file

	Now      func() time.Time
	Version  string        // of the connector, for export.json
	Progress func(Status)  // called after each message looked at; may be nil
	LeftOut  func(LeftOut) // called for each message that is left out; may be nil
}

// Status is how far an export is.
type Status struct {
	Looked   int       // messages of the account, time and kind that were looked at
	Messages int       // that are in DEST, with those that were there before
	Kept     int       // of these, that were there before
	Bytes    int64     // of all of these, as archived
	At       time.Time // of the post of the last one that was looked at, UTC
	LeftOut  int
}

// LeftOut is a message that the archive has, and the export has not.
type LeftOut struct {
	Source string // name of the blob
	Reason string
}

// Why a message is left out. The manifest has these words.
const (
	altered    = "altered: its bytes do not have the SHA-256 that they were archived with"
	gone       = "gone: it was deleted while the export ran"
	foreign    = "foreign: its name and metadata are not those of an archived message"
	unreadable = "unreadable: its text cannot be searched"
	unsafeName = "foreign: its name cannot be that of a file"
)

// Run exports. It returns what is in DEST even with an error: one of this package's,
// of the archive, of the file system, or the context's cause. Messages that are left out
// are not an error; see Status.LeftOut.
func Run(ctx context.Context, o Options) (Status, error) {
	if err := o.Query.Check(); err != nil {
		return Status{}, err
	}
	p, err := claim(o.Dest, o.Query)
	if err != nil {
		return Status{}, err
	}
	j, err := openJournal(p.part("journal.jsonl"))
	if err != nil {
		return Status{}, err
	}
	defer j.close()
	t, err := newTarget(p, o)
	if err != nil {
		return Status{}, err
	}
	defer t.close()
	r := &run{Options: o, place: p, journal: j, target: t}
	if err := r.messages(ctx); err != nil {
		if j.empty() { // as with settings that lead nowhere
			p.abandon()
		}
		return r.status, err
	}
	if err := j.cut(); err != nil {
		return r.status, err
	}
	if r.walked == 0 {
		if err := r.isThere(ctx); err != nil {
			p.abandon()
			return r.status, err
		}
	}
	if err := r.finish(ctx); err != nil {
		return r.status, fmt.Errorf("finishing %s: %w", o.Dest, err)
	}
	return r.status, nil
}

// run is an export under way.
type run struct {
	Options
	place   place
	journal *journal
	target  target
	status  Status
	walked  int        // messages of the archive that were looked at
	ahead   []*pending // that are being read, in their order
}

// bufferSize is how much of a message is in memory at a time, in bytes.
const bufferSize = 64 << 10

// target is what messages are written to. Its methods are called in the order of
// messages.
type target interface {
	// spool is an empty file that a message is read into. It goes back by drop.
	spool(e archive.Entry) (*os.File, error)
	drop(*os.File) error
	// holds reports whether the message of a journal's line is in place, with its
	// bytes. Then the next one is written behind it.
	holds(r record) (bool, error)
	// find returns where a message is in place that the journal does not name; false if
	// it is not, or cannot be there.
	find(e archive.Entry) (path string, size int64, found bool, err error)
	// add writes a message, and says in its record where.
	add(m message, r *record) error
	// finish completes the target once all messages are written. The
	// manifest's files and export.json are in the place.
	finish(ctx context.Context, j *journal) error
	close()
}

func newTarget(p place, o Options) (target, error) {
	switch o.Query.Format {
	case Mbox:
		return openSingle(p, newMbox())
	case Zip:
		return openSingle(p, &zipFile{now: o.Now})
	case Maildir:
		return newFolder(p, &maildir{})
	case ReviewSet:
		return newFolder(p, reviewSet{mailbox: o.Query.Mailbox})
	}
	return newFolder(p, plain{})
}

// safeKey is a key that is a file's name on every system: a post's id, and what is
// behind it for a supplement or a version.
var safeKey = regexp.MustCompile(`^[0-9A-Za-z_][0-9A-Za-z_.-]*$`)

// count counts a message that is in place, or is not looked for.
func (r *run) count(rec record, kept bool) {
	if !rec.NoMatch {
		r.status.Messages++
		r.status.Bytes += rec.Size
		if kept {
			r.status.Kept++
		}
	}
	r.status.At = rec.Posted
	r.looked()
}

// looked says that one message more has been looked at.
func (r *run) looked() {
	r.status.Looked++
	if r.Progress != nil {
		r.Progress(r.status)
	}
}

// leaveOut notes a message that is not exported.
func (r *run) leaveOut(rec record) error {
	r.status.LeftOut++
	if r.LeftOut != nil {
		r.LeftOut(LeftOut{Source: rec.Source, Reason: rec.LeftOut})
	}
	r.looked()
	if old, ok := r.journal.peek(); ok && old.Source == rec.Source && old.LeftOut == rec.LeftOut {
		r.journal.keep()
		return nil
	}
	return r.journal.add(rec)
}

// isThere returns ErrNoAccount if the archive has no message of the account.
func (r *run) isThere(ctx context.Context) error {
	for _, err := range r.Archive.Walk(ctx, r.Query.Account, time.Time{}, Query{}.end(), "") {
		if err != nil && !errors.Is(err, archive.ErrForeign) {
			return err
		}
		return nil
	}
	return ErrNoAccount
}
