package state

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"xarchive/handler/internal/blob"
)

// Acknowledgement says that a person knows of losses that nobody can undo. It is made
// once and never changed; another loss, or a longer one, has another name and is
// asked about anew.
type Acknowledgement struct {
	V         int       `json:"v"`
	AccountID string    `json:"accountId"`
	Losses    []string  `json:"losses"` // their names, see package health
	What      string    `json:"what"`   // what the person was shown
	By        string    `json:"by"`
	Reason    string    `json:"reason"`
	At        time.Time `json:"at"` // UTC
}

const acknowledged = "acknowledged/"

func acknowledgedName(accountID string, losses []string) string {
	sum := sha256.Sum256([]byte(strings.Join(losses, "\n")))
	return acknowledged + accountID + "/" + hex.EncodeToString(sum[:16]) + ".json"
}

func (a *Acknowledgement) belongs(name string) bool {
	return len(a.Losses) > 0 && name == acknowledgedName(a.AccountID, a.Losses)
}

func (a *Acknowledgement) upgrade() {}

// Acknowledge keeps an acknowledgement. It returns ErrExists if somebody has
// acknowledged the same losses before; that stands.
func (s *Store) Acknowledge(ctx context.Context, a Acknowledgement) error {
	a.V = Version
	_, err := s.write(ctx, acknowledgedName(a.AccountID, a.Losses), a, blob.Condition{Absent: true})
	return err
}

// Acknowledgements reads those of one account, or of all for "".
func (s *Store) Acknowledgements(ctx context.Context, accountID string) (list []Acknowledgement, damaged []Damaged, err error) {
	prefix := acknowledged
	if accountID != "" {
		prefix += accountID + "/"
	}
	return all[Acknowledgement, *Acknowledgement](ctx, s, prefix)
}
