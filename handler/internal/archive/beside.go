package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"path"
	"regexp"
	"strings"
	"time"

	"xarchive/handler/internal/blob"
)

// Beside returns where a note about a message is kept: beside it, under the name of
// what it notes, such as "gone".
func Beside(messageName, what string) string {
	return strings.TrimSuffix(messageName, ".eml") + "." + what + ".json"
}

// noteName matches the file names of notes.
var noteName = regexp.MustCompile(`^([0-9]+)\.((?:gone|back)(?:\.[0-9]+)?)\.json$`)

// note returns the entry of a note beside a message; false for every other blob.
func note(info blob.Info) (Entry, bool) {
	m := noteName.FindStringSubmatch(path.Base(info.Name))
	if m == nil {
		return Entry{}, false
	}
	return Entry{Name: info.Name, Key: m[1] + "." + m[2], PostID: m[1], Note: m[2], SHA256: info.Metadata["sha256"], Size: info.Size, Stored: info.Modified}, true
}

// Day yields what is in the folder of a UTC day by one listing: messages as Walk does, and
// then the notes beside them.
func (a *Archive) Day(ctx context.Context, accountID string, day time.Time) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		day := day.UTC().Truncate(24 * time.Hour)
		var notes []Entry
		goOn := a.day(ctx, accountID+"/"+dayFolder(day), day, day.AddDate(0, 0, 1).Add(-1), "", &notes, yield)
		for _, n := range notes {
			goOn = goOn && yield(n, nil)
		}
	}
}

// CheckNote is Check for a note beside a message.
func (a *Archive) CheckNote(ctx context.Context, name, listed string) (n int64, err error) {
	body, info, err := a.blobs.Open(ctx, name)
	if errors.Is(err, blob.ErrNotFound) {
		return 0, fmt.Errorf("%s: %w", name, ErrNotFound)
	}
	if err != nil {
		return 0, err
	}
	defer body.Close()
	hash := sha256.New()
	if n, err = io.Copy(hash, body); err != nil {
		return n, err
	}
	sum := hex.EncodeToString(hash.Sum(nil))
	if sum != info.Metadata["sha256"] || listed != "" && sum != listed {
		return n, fmt.Errorf("%s: %w", name, ErrAltered)
	}
	return n, nil
}

// PutBeside keeps a note about a message, once: one that is there already stands, is
// returned, and added is false. The message is not touched.
func (a *Archive) PutBeside(ctx context.Context, messageName, what string, note []byte) (kept []byte, added bool, err error) {
	name := Beside(messageName, what)
	sum := sha256.Sum256(note)
	_, err = a.blobs.Upload(ctx, name, blob.Upload{
		Type: "application/json", If: blob.Condition{Absent: true},
		Metadata: func(string) map[string]string { return map[string]string{"sha256": hex.EncodeToString(sum[:])} },
	}, func(w io.Writer) error {
		_, err := w.Write(note)
		return err
	})
	if err == nil {
		return note, true, nil
	}
	if !errors.Is(err, blob.ErrExists) {
		return nil, false, fmt.Errorf("writing %s: %w", name, err)
	}
	body, _, err := a.blobs.Open(ctx, name)
	if err != nil {
		return nil, false, fmt.Errorf("reading %s: %w", name, err)
	}
	defer body.Close()
	const longest = 1 << 20
	if kept, err = io.ReadAll(io.LimitReader(body, longest)); err != nil {
		return nil, false, fmt.Errorf("reading %s: %w", name, err)
	}
	return kept, false, nil
}
