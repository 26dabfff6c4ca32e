package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"xarchive/handler/internal/blob"
)

// Beside returns where a note about a message is kept: beside it, under the name of
// what it notes, such as "gone".
func Beside(messageName, what string) string {
	return strings.TrimSuffix(messageName, ".eml") + "." + what + ".json"
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
