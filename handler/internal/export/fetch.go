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
	path  string
	size  int64
	crc   uint32 // CRC-32, IEEE
}

func (m message) open() (*os.File, error) { return os.Open(m.path) }

// fetch reads a message from the archive and writes it to the target. It says in
// the record what came of it.
func (r *run) fetch(ctx context.Context, e archive.Entry, rec *record) error {
	m := message{entry: e, path: r.target.temp(e)}
	defer os.Remove(m.path) // unless it was renamed
	err := m.read(ctx, r.Archive)
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
	if r.Query.Text != "" {
		found, err := m.search(r.Query)
		if err != nil {
			rec.LeftOut = unreadable
			return nil
		}
		if !found {
			rec.NoMatch = true
			return nil
		}
	}
	rec.Size = m.size
	return r.target.add(m, rec)
}

// read reads the message into its file.
func (m *message) read(ctx context.Context, a *archive.Archive) (err error) {
	f, err := os.OpenFile(m.path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	body, err := a.Open(ctx, m.entry)
	if err != nil {
		return err
	}
	defer body.Close()
	sum := crc32.NewIEEE()
	m.size, err = io.Copy(io.MultiWriter(f, sum), body)
	m.crc = sum.Sum32()
	return err
}

// search reports whether the message's post has the text.
func (m message) search(q Query) (bool, error) {
	f, err := m.open()
	if err != nil {
		return false, err
	}
	defer f.Close()
	read, err := archived.Read(f)
	if err != nil {
		return false, err
	}
	return q.matches(read.Post), nil
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
	h := sha256.New()
	size, err = io.Copy(h, f)
	if err != nil {
		return 0, false, fmt.Errorf("comparing %s: %w", path, err)
	}
	return size, hex.EncodeToString(h.Sum(nil)) == sum, nil
}
