package access

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// A session is a cookie's value and nothing else: who may see the pages, until when,
// signed (HMAC-SHA-256) with a key derived from the secret shared with the Compliance
// Center. Any instance can check it, and changing the secret ends all sessions.
// Signing out takes the cookie from the browser; a copy would be good until it
// ends, which is why that is soon.

// SessionLife is how long a session lasts.
const SessionLife = 30 * time.Minute

// Session says who may see the pages.
type Session struct {
	ID     string `json:"i"`
	Tenant string `json:"t"`
	Ends   int64  `json:"e"` // Unix seconds
}

// Signer signs what browsers keep for the pages, and checks it. It is of one
// moment: a request makes its own, so that a changed secret counts at once.
type Signer struct {
	key    []byte
	tenant string
	now    func() time.Time
}

// Signer returns the signer under the shared secret as it is now. It returns
// [ErrUndecided] where the secret cannot be read.
func (a *Access) Signer(ctx context.Context) (*Signer, error) {
	key, err := a.key(ctx, "pages, v1")
	if err != nil {
		return nil, err
	}
	return &Signer{key, a.opt.TenantID, a.opt.Now}, nil
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
	encoded, signature, _ := strings.Cut(value, ".")
	data, err := base64.RawURLEncoding.DecodeString(encoded)
	return err == nil && hmac.Equal([]byte(signature), []byte(s.mac(purpose, data))) && json.Unmarshal(data, into) == nil
}

const sessionPurpose = "xarchive-session"

// NewSession begins a session and returns the value of its cookie.
func (s *Signer) NewSession() string {
	return s.Sign(sessionPurpose, Session{ID: rand.Text(), Tenant: s.tenant, Ends: s.now().Add(SessionLife).Unix()})
}

// Session reads the value of a session's cookie; nil if it is none, or has ended.
func (s *Signer) Session(value string) *Session {
	var in Session
	if !s.Verify(sessionPurpose, value, &in) || !strings.EqualFold(in.Tenant, s.tenant) || s.now().Unix() >= in.Ends {
		return nil
	}
	return &in
}

// FormOfSession returns the token that the forms of a session carry.
func (s *Signer) FormOfSession(in *Session) string { return s.mac("form of a session", []byte(in.ID)) }

// FormOfVisitor returns the token that the form of a browser without session
// carries; id is in the browser's cookie.
func (s *Signer) FormOfVisitor(id string) string { return s.mac("form of a visitor", []byte(id)) }
