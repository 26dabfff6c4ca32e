package export

import (
	"archive/zip"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/fault"
)

// MostStreamed bounds how many messages a stream has; larger exports are [Run]'s.
const MostStreamed = 10000

// ErrTooMany: the stream ended before all messages were in it. Its export.json says so.
var ErrTooMany = fault.New(fault.TooLarge, "more messages than a streamed export has")

// Stream writes a zip file of messages to w as it reads them, the oldest first, and
// behind them manifest.csv, manifest.jsonl and export.json as Run makes them. Each
// message is read into a temporary file and compared with its SHA-256 before the first
// byte of it is written; one that was altered, is gone or foreign is left out, and the
// manifest names it. An error ends the stream in the middle: without its directory the
// file does not open.
func Stream(ctx context.Context, w io.Writer, o Options) (Status, error) {
	if err := o.Query.Check(); err != nil {
		return Status{}, err
	}
	spool, err := os.CreateTemp("", "xarchive-export-")
	if err != nil {
		return Status{}, fmt.Errorf("making a temporary file: %w", err)
	}
	defer os.Remove(spool.Name())
	defer spool.Close()
	s := stream{o: o, zip: zip.NewWriter(w), spool: spool}
	err = s.messages(ctx)
	if err != nil && !errors.Is(err, ErrTooMany) {
		return s.status, err
	}
	if finish := s.finish(err == nil); finish != nil {
		return s.status, finish
	}
	return s.status, err
}

type stream struct {
	o      Options
	zip    *zip.Writer
	spool  *os.File
	items  []item
	status Status
}

func (s *stream) messages(ctx context.Context) error {
	q := s.o.Query
	for e, err := range s.o.Archive.Walk(ctx, q.Account, q.From, q.end(), "") {
		if errors.Is(err, archive.ErrForeign) {
			s.leaveOut(e, foreign)
			continue
		}
		if err != nil {
			return err
		}
		if isKind(e.Kind) && len(q.Kinds) > 0 && !slices.Contains(q.Kinds, e.Kind) {
			continue
		}
		if s.status.Messages == MostStreamed {
			return ErrTooMany
		}
		if err := s.message(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

func (s *stream) leaveOut(e archive.Entry, why string) {
	s.status.LeftOut++
	i := item{Account: s.o.Query.Account, PostID: e.PostID, Kind: e.Kind, SHA256: e.SHA256, Source: e.Name, LeftOut: why}
	if !e.Created.IsZero() {
		i.Posted = e.Created.Format(time.RFC3339)
	}
	s.items = append(s.items, i)
}

func (s *stream) message(ctx context.Context, e archive.Entry) error {
	if _, err := s.spool.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := s.spool.Truncate(0); err != nil {
		return err
	}
	m := message{entry: e, file: s.spool}
	rec := record{}
	r := run{Options: s.o, target: streamed{s}}
	if err := r.write(m, m.read(ctx, s.o.Archive), &rec); err != nil {
		return err
	}
	if rec.LeftOut != "" {
		s.leaveOut(e, rec.LeftOut)
	}
	return nil
}

// streamed is the target of one message.
type streamed struct{ *stream }

func (streamed) spool(archive.Entry) (*os.File, error)           { return nil, errors.ErrUnsupported }
func (streamed) drop(*os.File) error                             { return nil }
func (streamed) holds(record) (bool, error)                      { return false, nil }
func (streamed) find(archive.Entry) (string, int64, bool, error) { return "", 0, false, nil }
func (streamed) finish(context.Context, *journal) error          { return nil }
func (streamed) close()                                          {}
func (s streamed) add(m message, _ *record) error {
	file, err := s.zip.CreateHeader(&zip.FileHeader{Name: m.entry.Name, Method: zip.Store, Modified: m.entry.Created})
	if err != nil {
		return err
	}
	n, err := io.Copy(file, m.open())
	if err != nil {
		return err
	}
	s.status.Messages++
	s.status.Bytes += n
	s.items = append(s.items, item{Path: m.entry.Name, Account: s.o.Query.Account, PostID: m.entry.PostID, Kind: m.entry.Kind,
		Posted: m.entry.Created.Format(time.RFC3339), Size: n, SHA256: m.entry.SHA256, Source: m.entry.Name})
	return s.zip.Flush()
}

// finish writes the files that say what is in the stream, and its directory.
func (s *stream) finish(whole bool) error {
	now := s.o.Now().UTC().Truncate(time.Second)
	create := func(name string) (io.Writer, error) {
		return s.zip.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: now})
	}
	file, err := create(manifestCSV)
	if err != nil {
		return err
	}
	rows := csv.NewWriter(file)
	err = rows.Write(manifestHeader)
	for _, i := range s.items {
		err = errors.Join(err, rows.Write(i.csv()))
	}
	rows.Flush()
	if err := errors.Join(err, rows.Error()); err != nil {
		return err
	}
	if file, err = create(manifestJSONL); err != nil {
		return err
	}
	lines := json.NewEncoder(file)
	for _, i := range s.items {
		if err := lines.Encode(i); err != nil {
			return err
		}
	}
	if file, err = create(reportName); err != nil {
		return err
	}
	out := json.NewEncoder(file)
	out.SetIndent("", "  ")
	err = out.Encode(struct {
		report
		Whole bool `json:"whole"` // all that was asked for was looked at
	}{report{V: 1, Version: s.o.Version, Query: s.o.Query, Finished: now, Messages: s.status.Messages, Bytes: s.status.Bytes, LeftOut: s.status.LeftOut}, whole})
	if err != nil {
		return err
	}
	return s.zip.Close()
}
