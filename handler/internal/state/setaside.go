package state

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/blob"
)

// What cannot be understood is set aside with its bytes, so that nothing is lost
// and everything else goes on. A later version of the connector takes it up
// again.
const setAside = "set-aside/"

// AsidePost is a post that could not be made into a message.
type AsidePost struct {
	V         int       `json:"v"`
	AccountID string    `json:"accountId"`
	PostID    string    `json:"postId,omitempty"` // "" if X's object has no usable id
	Problem   Problem   `json:"problem"`
	First     time.Time `json:"first"`   // UTC; when it was set aside
	Version   string    `json:"version"` // of the connector that last tried to archive it
	Raw       []byte    `json:"raw"`     // the post's document, or X's object, byte for byte (base64)

	// Answered and Origin are when X gave it, by X's clock, and the answers that the
	// archive keeps of it. Those that older versions set aside have none.
	Answered time.Time     `json:"answered,omitzero"` // UTC
	Origin   []archive.Raw `json:"origin,omitempty"`
}

func asidePosts(accountID string) string { return setAside + "posts/" + accountID + "/" }

// name is the post's id, or a digest of what X sent.
func (p AsidePost) name() string {
	key := p.PostID
	if key == "" {
		sum := sha256.Sum256(p.Raw)
		key = hex.EncodeToString(sum[:])
	}
	return asidePosts(p.AccountID) + key + ".json"
}

func (p *AsidePost) belongs(name string) bool { return name == p.name() }
func (p *AsidePost) upgrade()                 {}

// PutAside sets a post aside; added is false if it was there already, which then
// stands.
func (s *Store) PutAside(ctx context.Context, p AsidePost) (added bool, err error) {
	p.V = Version
	_, err = s.write(ctx, p.name(), p, blob.Condition{Absent: true})
	if errors.Is(err, ErrExists) {
		return false, nil
	}
	return err == nil, err
}

// Aside returns an account's posts that are set aside.
func (s *Store) Aside(ctx context.Context, accountID string) (list []AsidePost, damaged []Damaged, err error) {
	return all[AsidePost, *AsidePost](ctx, s, asidePosts(accountID))
}

// CountAside returns how many posts of an account are set aside.
func (s *Store) CountAside(ctx context.Context, accountID string) (int, error) {
	names, err := s.names(ctx, asidePosts(accountID))
	return len(names), err
}

// RetriedAside notes that a version of the connector has tried a post again, in
// vain.
func (s *Store) RetriedAside(ctx context.Context, p AsidePost) error {
	p.V = Version
	return replace(ctx, s, p.name(), p)
}

// RemoveAside forgets a post that could be archived after all.
func (s *Store) RemoveAside(ctx context.Context, p AsidePost) error {
	return s.remove(ctx, p.name(), blob.Condition{})
}

// PutDamaged keeps the bytes of a record that cannot be read, under
// set-aside/records/ and the record's own name; added is false if those very
// bytes are there already. The record itself stays where it is: a later version
// may be able to read it.
func (s *Store) PutDamaged(ctx context.Context, d Damaged) (added bool, err error) {
	sum := sha256.Sum256(d.Raw)
	name := fmt.Sprintf("%srecords/%s.%s", setAside, d.Name, hex.EncodeToString(sum[:8]))
	_, err = s.blobs.Write(ctx, name, d.Raw, blob.Condition{Absent: true})
	if errors.Is(err, ErrExists) {
		return false, nil
	}
	return err == nil, err
}
