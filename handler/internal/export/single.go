package export

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"xarchive/handler/internal/archive"
)

// encoding is how messages stand in one file behind each other.
type encoding interface {
	// write writes a message. It may fill in the record's Path, and depends on
	// nothing but the record and what m has.
	write(w io.Writer, m message, r *record) error
	// read writes the message's bytes to w, given those that write wrote. It returns an
	// error that wraps ErrWriting if they are none that write writes.
	read(w io.Writer, section *bufio.Reader, r record) error
	// finish completes the file behind the last message.
	finish(s *single, j *journal) error
}

// single is a DEST that is one file. It is written in DEST.part and gets its name
// when it is complete.
type single struct {
	place    place
	encoding encoding
	file     *os.File
	spools   []*os.File // of messages on their way
	free     []*os.File // of spools, those that nobody uses
	end      int64      // of the messages that count

	out *bufio.Writer // to file
	in  *bufio.Reader // of a part of it
}

func openSingle(p place, e encoding) (*single, error) {
	f, err := os.OpenFile(p.part("data"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	return &single{place: p, encoding: e, file: f, out: bufio.NewWriterSize(f, bufferSize), in: bufio.NewReaderSize(nil, bufferSize)}, nil
}

// spool gives out a few files again and again.
func (s *single) spool(archive.Entry) (*os.File, error) {
	if n := len(s.free); n > 0 {
		f := s.free[n-1]
		s.free = s.free[:n-1]
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		return f, f.Truncate(0)
	}
	f, err := os.OpenFile(s.place.part(fmt.Sprintf("message-%d", len(s.spools))), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err == nil {
		s.spools = append(s.spools, f)
	}
	return f, err
}

func (s *single) drop(f *os.File) error {
	s.free = append(s.free, f)
	return nil
}

func (s *single) holds(r record) (bool, error) {
	if r.Start != s.end {
		return false, nil
	}
	same, err := s.reads(r)
	if same {
		s.end = r.End
	}
	return same, err
}

func (s *single) find(archive.Entry) (string, int64, bool, error) { return "", 0, false, nil }

func (s *single) add(m message, r *record) error {
	r.CRC, r.Start = m.crc, s.end
	err := s.append(func(w io.Writer) error { return s.encoding.write(w, m, r) })
	if err != nil {
		return err
	}
	r.End = s.end
	if same, err := s.reads(*r); err != nil || !same {
		if err == nil {
			err = fmt.Errorf("%s: %w", s.file.Name(), ErrWriting)
		}
		return err
	}
	return nil
}

// append writes behind what counts, and drops what was there.
func (s *single) append(write func(io.Writer) error) error {
	if err := s.file.Truncate(s.end); err != nil {
		return err
	}
	if _, err := s.file.Seek(s.end, io.SeekStart); err != nil {
		return err
	}
	s.out.Reset(s.file)
	if err := write(s.out); err != nil {
		return err
	}
	if err := s.out.Flush(); err != nil {
		return err
	}
	end, err := s.file.Seek(0, io.SeekCurrent)
	if err == nil {
		s.end = end
	}
	return err
}

// reads reports whether the message that a record names is in the file with its bytes.
func (s *single) reads(r record) (bool, error) {
	if r.Start > r.End || r.Start < 0 {
		return false, nil
	}
	sum := &counter{hash: sha256.New()}
	s.in.Reset(io.NewSectionReader(s.file, r.Start, r.End-r.Start))
	err := s.encoding.read(sum, s.in, r)
	if isDifferent(err) {
		return false, nil
	}
	return err == nil && sum.n == r.Size && hex.EncodeToString(sum.hash.Sum(nil)) == r.SHA256, err
}

// finish completes the file and gives it its name.
func (s *single) finish(_ context.Context, j *journal) error {
	if err := s.append(func(io.Writer) error { return nil }); err != nil {
		return err
	}
	if err := s.encoding.finish(s, j); err != nil {
		return err
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	if err := s.file.Close(); err != nil {
		return err
	}
	return os.Rename(s.place.part("data"), s.place.dest)
}

func (s *single) close() {
	for _, f := range s.spools {
		f.Close()
	}
	s.file.Close()
}
