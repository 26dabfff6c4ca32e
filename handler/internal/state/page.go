package state

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"xarchive/handler/internal/blob"
)

const pages = "pages/"

func pageName(accountID, key string, n int) string {
	return fmt.Sprintf("%s%s/%s/%05d.json", pages, accountID, key, n)
}

// PutPage retains X's raw answer as page n of a run. It returns ErrLost if there is
// a page of that number: another instance goes on with the run, and what it has
// retained must stand.
func (s *Store) PutPage(ctx context.Context, accountID, key string, n int, raw []byte) error {
	_, err := s.blobs.Write(ctx, pageName(accountID, key, n), raw, blob.Condition{Absent: true})
	if errors.Is(err, ErrExists) {
		return fmt.Errorf("retaining page %d: %w", n, ErrLost)
	}
	return err
}

// Page returns page n of a run. It returns ErrNotFound if it was not retained.
func (s *Store) Page(ctx context.Context, accountID, key string, n int) ([]byte, error) {
	raw, _, err := s.blobs.Read(ctx, pageName(accountID, key, n))
	return raw, err
}

// answerName names the answer to a look-up by what was asked: a digest of the ids.
func answerName(accountID, key string, ids []string) string {
	sum := sha256.Sum256([]byte(strings.Join(ids, ",")))
	return fmt.Sprintf("%s%s/%s/look-up-%s.json", pages, accountID, key, hex.EncodeToString(sum[:]))
}

// PutAnswer retains X's raw answer to a look-up of ids. An answer that is retained
// already stands.
func (s *Store) PutAnswer(ctx context.Context, accountID, key string, ids []string, raw []byte) error {
	_, err := s.blobs.Write(ctx, answerName(accountID, key, ids), raw, blob.Condition{Absent: true})
	if errors.Is(err, ErrExists) {
		return nil
	}
	return err
}

// Answer returns the retained answer to a look-up of ids. It returns ErrNotFound if
// there is none.
func (s *Store) Answer(ctx context.Context, accountID, key string, ids []string) ([]byte, error) {
	raw, _, err := s.blobs.Read(ctx, answerName(accountID, key, ids))
	return raw, err
}

// RemovePages removes what is retained of an account's runs and look-ups: of all
// of them but those whose keys are in keep. So nothing stays behind that
// another instance put there while a run ended.
func (s *Store) RemovePages(ctx context.Context, accountID string, keep ...string) error {
	names, err := s.names(ctx, pages+accountID+"/")
	if err != nil {
		return err
	}
names:
	for _, name := range names {
		for _, key := range keep {
			if strings.HasPrefix(name, pages+accountID+"/"+key+"/") {
				continue names
			}
		}
		if err := s.remove(ctx, name, blob.Condition{}); err != nil {
			return err
		}
	}
	return nil
}
