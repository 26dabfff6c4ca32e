package export

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/blob"
	archived "xarchive/handler/internal/message"
)

// message is a message in a temporary file, whose bytes have the archived SHA-256.
type message struct {
	entry archive.Entry
	file  *os.File
	size  int64
	crc   uint32 // CRC-32, IEEE
}

// open reads the message from its beginning.
func (m message) open() io.Reader { return io.NewSectionReader(m.file, 0, m.size) }

// read reads the message into its file.
func (m *message) read(ctx context.Context, a *archive.Archive) error {
	body, err := a.Open(ctx, m.entry)
	if err != nil {
		return err
	}
	defer body.Close()
	sum := crc32.NewIEEE()
	m.size, err = io.Copy(io.MultiWriter(m.file, sum), body)
	m.crc = sum.Sum32()
	return err
}

// write writes a message to the target that was read with an error or nil, and says
// in its record what came of it.
func (r *run) write(m message, err error, rec *record) error {
	switch {
	case errors.Is(err, archive.ErrAltered), errors.Is(err, blob.ErrChanged):
		rec.LeftOut = altered
		return nil
	case errors.Is(err, archive.ErrNotFound):
		rec.LeftOut = gone
		return nil
	case err != nil:
		return err
	}
	if r.Query.Text != "" || len(r.Query.Kinds) > 0 && !isKind(m.entry.Kind) {
		read, err := archived.Read(m.open())
		if err != nil {
			rec.LeftOut = unreadable
			return nil
		}
		if !r.Query.Matches(read.Post) {
			rec.NoMatch = true
			return nil
		}
	}
	rec.Size = m.size
	return r.target.add(m, rec)
}

// sameFile reports whether a file has a SHA-256, and returns its size. A file that is
// not there has not.
func sameFile(path, sum string) (size int64, same bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	size, same, err = sameBytes(f, sum)
	if err != nil {
		return 0, false, fmt.Errorf("comparing %s: %w", path, err)
	}
	return size, same, nil
}

// sameBytes reports whether what r reads has a SHA-256.
func sameBytes(r io.Reader, sum string) (size int64, same bool, err error) {
	h := sha256.New()
	size, err = io.Copy(h, r)
	return size, hex.EncodeToString(h.Sum(nil)) == sum, err
}
