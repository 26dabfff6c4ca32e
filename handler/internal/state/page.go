package state

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/blob"
)

const pages = "pages/"

func pageName(accountID, key string, n int) string {
	return fmt.Sprintf("%s%s/%s/%05d.json", pages, accountID, key, n)
}

// Retained is an answer of X, and where it came from.
type Retained struct {
	JSON []byte        // byte for byte; where posts had to be looked up for it, a list of answers
	At   time.Time     // UTC, X's clock, when it answered; the zero time if it is not known
	Raw  []archive.Raw // where the archive keeps what it is made of
}

// about is what is kept beside a retained answer: the account of where it came from
// belongs to no JSON of X's.
func (r Retained) about() blob.About {
	raw, err := json.Marshal(r.Raw)
	if err != nil || len(r.Raw) == 0 || len(raw) > maxAbout {
		return blob.About{Type: "application/json"}
	}
	return blob.About{Type: "application/json", Metadata: map[string]string{"at": r.At.UTC().Format(time.RFC3339), "raw": string(raw)}}
}

// maxAbout bounds metadata, of which a blob may have 8 KiB. It is some thirty answers;
// a page has one, or two.
const maxAbout = 7 << 10

func retained(data []byte, info blob.Info) Retained {
	r := Retained{JSON: data}
	at, err := time.Parse(time.RFC3339, info.Metadata["at"])
	if err == nil && json.Unmarshal([]byte(info.Metadata["raw"]), &r.Raw) == nil {
		r.At = at.UTC()
	}
	return r
}

// PutPage retains X's raw answer as page n of a run. It returns ErrLost if there is
// a page of that number: another instance goes on with the run, and what it has
// retained must stand.
func (s *Store) PutPage(ctx context.Context, accountID, key string, n int, r Retained) error {
	_, err := s.blobs.WriteAs(ctx, pageName(accountID, key, n), r.JSON, r.about(), blob.Condition{Absent: true})
	if errors.Is(err, ErrExists) {
		return fmt.Errorf("retaining page %d: %w", n, ErrLost)
	}
	return err
}

// Page returns page n of a run. It returns ErrNotFound if it was not retained.
func (s *Store) Page(ctx context.Context, accountID, key string, n int) (Retained, error) {
	raw, info, err := s.blobs.Read(ctx, pageName(accountID, key, n))
	return retained(raw, info), err
}

// answerName names the answer to a look-up by what was asked: a digest of the ids.
func answerName(accountID, key string, ids []string) string {
	sum := sha256.Sum256([]byte(strings.Join(ids, ",")))
	return fmt.Sprintf("%s%s/%s/look-up-%s.json", pages, accountID, key, hex.EncodeToString(sum[:]))
}

// PutAnswer retains X's raw answer to a look-up of ids. An answer that is retained
// already stands.
func (s *Store) PutAnswer(ctx context.Context, accountID, key string, ids []string, r Retained) error {
	_, err := s.blobs.WriteAs(ctx, answerName(accountID, key, ids), r.JSON, r.about(), blob.Condition{Absent: true})
	if errors.Is(err, ErrExists) {
		return nil
	}
	return err
}

// Answer returns the retained answer to a look-up of ids. It returns ErrNotFound if
// there is none.
func (s *Store) Answer(ctx context.Context, accountID, key string, ids []string) (Retained, error) {
	raw, info, err := s.blobs.Read(ctx, answerName(accountID, key, ids))
	return retained(raw, info), err
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
