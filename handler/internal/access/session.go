package access

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"xarchive/handler/internal/secrets"
)

// A session is a cookie's value and nothing else: who may see the pages, until when,
// signed (HMAC-SHA-256). The key is derived from random bytes in Key Vault, so that who
// has a cookie can guess nothing by it, and from the secret shared with the Compliance
// Center, so that changing that secret ends all sessions. Any instance can check it.
// Who signs out is noted by the session's id (package pages), so that a copy of the
// cookie is good for nothing any more.

// SessionLife is how long a session lasts.
const SessionLife = 30 * time.Minute

// Session says who may see the pages.
type Session struct {
	ID     string `json:"i"`
	Tenant string `json:"t"`
	Ends   int64  `json:"e"` // Unix seconds
	Person Person `json:"p"`
}

// Signer signs what browsers keep for the pages, and checks it. It is of one
// moment: a request makes its own, so that a changed secret
// counts as soon as it is read.
type Signer struct {
	key    []byte // nil: none has been made, so that nothing is signed with it
	tenant string
	now    func() time.Time
}

// Signer returns the signer as it is now. session is the value of the session's cookie,
// "" for none: where it is not signed with the key at hand, another instance may have made
// the key a moment ago, and it is read again. The error is [ErrUndecided] where the
// secrets cannot be read.
func (a *Access) Signer(ctx context.Context, session string) (*Signer, error) {
	s, err := a.signer(ctx, func() (string, error) { return a.opt.Secrets.Get(ctx, secrets.PagesKey) })
	if err != nil || session == "" || s.Verify(sessionPurpose, session, new(Session)) || !a.mayReadKey() {
		return s, err
	}
	return a.signer(ctx, func() (string, error) { return a.opt.Secrets.Refresh(context.WithoutCancel(ctx), secrets.PagesKey) })
}

// MakeSigner is Signer for whoever may begin a session. The first one has the key made.
// Where two instances do that at the same moment, both come to use the one that was
// saved last; what was signed with the other in between is void.
func (a *Access) MakeSigner(ctx context.Context) (*Signer, error) {
	return a.signer(ctx, func() (string, error) {
		return a.opt.Secrets.Make(ctx, secrets.PagesKey, rand.Text()+rand.Text())
	})
}

// mayReadKey bounds how often strangers' cookies make the connector read the key again.
func (a *Access) mayReadKey() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.opt.Now()
	if now.Sub(a.keyRead) < refreshEvery {
		return false
	}
	a.keyRead = now
	return true
}

func (a *Access) signer(ctx context.Context, get func() (string, error)) (*Signer, error) {
	shared, err := sharedSecret(func() (string, error) { return a.opt.Secrets.Get(ctx, secrets.APISecretKey) })
	if err != nil {
		return nil, err
	}
	random, err := get()
	switch {
	case (errors.Is(err, secrets.ErrNotSet) || errors.Is(err, secrets.ErrReadOnly)) && a.opt.Secrets.Writable() != nil:
		random = a.own // without a vault there is one instance, or the environment has the key
	case errors.Is(err, secrets.ErrNotSet):
		return &Signer{nil, a.opt.TenantID, a.opt.Now}, nil
	case err != nil:
		return nil, errors.Join(ErrUndecided, err)
	}
	key, err := hkdf.Key(sha256.New, []byte(random), []byte(shared), "xarchive pages, v2", 32)
	return &Signer{key, a.opt.TenantID, a.opt.Now}, err
}

func (s *Signer) mac(purpose string, data []byte) string {
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte(purpose + "\n"))
	h.Write(data)
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// Sign returns a cookie's value that holds content, for one purpose.
func (s *Signer) Sign(purpose string, content any) string {
	data, err := json.Marshal(content)
	if err != nil {
		panic(err) // structs of strings and numbers only
	}
	return base64.RawURLEncoding.EncodeToString(data) + "." + s.mac(purpose, data)
}

// Verify reads what Sign made for the same purpose, and reports whether it is that.
func (s *Signer) Verify(purpose, value string, into any) bool {
	if s.key == nil {
		return false
	}
	encoded, signature, _ := strings.Cut(value, ".")
	data, err := base64.RawURLEncoding.DecodeString(encoded)
	return err == nil && hmac.Equal([]byte(signature), []byte(s.mac(purpose, data))) && json.Unmarshal(data, into) == nil
}

const sessionPurpose = "xarchive-session"

// NewSession begins a session of a person and returns the value of its cookie.
func (s *Signer) NewSession(p Person) string {
	return s.Sign(sessionPurpose, Session{ID: rand.Text(), Tenant: s.tenant, Ends: s.now().Add(SessionLife).Unix(), Person: p})
}

// Session reads the value of a session's cookie; nil if it is none, has ended, or is of
// nobody with a role.
func (s *Signer) Session(value string) *Session {
	var in Session
	if !s.Verify(sessionPurpose, value, &in) || !strings.EqualFold(in.Tenant, s.tenant) || s.now().Unix() >= in.Ends {
		return nil
	}
	if in.Person.Role != Reader && in.Person.Role != Administrator {
		return nil
	}
	return &in
}

// FormOfSession returns the token that the forms of a session carry.
func (s *Signer) FormOfSession(in *Session) string { return s.mac("form of a session", []byte(in.ID)) }
