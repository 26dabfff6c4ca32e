package export

import (
	"context"
	"errors"
	"fmt"

	"xarchive/handler/internal/archive"
)

// lookAhead is how many messages are read from the archive at once. They are written
// one by one, in their order. Each answer of the storage service takes its time, and
// one by one would take the sum of these.
const lookAhead = 8

// pending is a message on its way.
type pending struct {
	record  record
	found   bool // it is in place, though the journal does not name it
	message message
	read    chan error // gets what came of the reading; nil if nothing is read
}

// messages goes through the archive's messages.
func (r *run) messages(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		err = errors.Join(err, r.discard())
	}()
	for e, err := range r.Archive.Walk(ctx, r.Query.Account, r.Query.From, r.Query.end(), "") {
		isForeign := errors.Is(err, archive.ErrForeign)
		if err != nil && !isForeign {
			return err
		}
		r.walked++
		if !isForeign && isKind(e.Kind) && !r.Query.kind(e.Kind) {
			continue
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := r.message(ctx, e, isForeign); err != nil {
			return err
		}
	}
	return r.complete(0)
}

// message exports one message, unless it is in place, or begins to.
func (r *run) message(ctx context.Context, e archive.Entry, isForeign bool) error {
	most := lookAhead - 1
	if old, ok := r.journal.peek(); ok && old.Source == e.Name && old.SHA256 == e.SHA256 {
		there := old.NoMatch
		if old.LeftOut != "" {
			most = 0 // it may be whole again: the journal's line counts until that is known
		} else if !there {
			var err error
			if there, err = r.target.holds(old); err != nil {
				return err
			}
		}
		if there {
			r.journal.keep()
			r.count(old, true)
			return nil
		}
	}
	if most > 0 {
		if err := r.journal.cut(); err != nil {
			return err
		}
	}
	p := &pending{record: record{Source: e.Name, Account: r.Query.Account, PostID: e.PostID, Kind: e.Kind, Posted: e.Created, SHA256: e.SHA256}}
	switch {
	case isForeign:
		p.record.LeftOut = foreign
	case !safeKey.MatchString(e.Key):
		p.record.LeftOut = unsafeName
	default:
		if err := r.begin(ctx, e, p); err != nil {
			return fmt.Errorf("exporting %s: %w", e.Name, err)
		}
	}
	r.ahead = append(r.ahead, p)
	return r.complete(most)
}

// begin looks for a message where it goes, and begins to read it if it is not there.
func (r *run) begin(ctx context.Context, e archive.Entry, p *pending) (err error) {
	p.record.Path, p.record.Size, p.found, err = r.target.find(e)
	if err != nil || p.found {
		return err
	}
	p.message.entry = e
	if p.message.file, err = r.target.spool(e); err != nil {
		return err
	}
	p.read = make(chan error, 1)
	go func() { p.read <- p.message.read(ctx, r.Archive) }()
	return nil
}

// complete writes messages until no more than a number of them are on their way.
func (r *run) complete(most int) error {
	for len(r.ahead) > most {
		p := r.ahead[0]
		r.ahead = r.ahead[1:]
		if p.read != nil {
			err := r.write(p.message, <-p.read, &p.record)
			if err = errors.Join(err, r.target.drop(p.message.file)); err != nil {
				return fmt.Errorf("exporting %s: %w", p.record.Source, err)
			}
		}
		if p.record.LeftOut != "" {
			if err := r.leaveOut(p.record); err != nil {
				return err
			}
			continue
		}
		if err := r.journal.add(p.record); err != nil {
			return err
		}
		r.count(p.record, p.found)
	}
	return nil
}

// discard waits for the messages on their way and drops them.
func (r *run) discard() (err error) {
	for _, p := range r.ahead {
		if p.read != nil {
			<-p.read
			err = errors.Join(err, r.target.drop(p.message.file))
		}
	}
	r.ahead = nil
	return err
}
