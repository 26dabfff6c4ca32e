package entra

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Signature is how a token is signed.
type Signature int

const (
	// Signed is as Entra signs: RS256 with the newest published key.
	Signed Signature = iota
	// OtherKey is RS256 with a key that is not published, under a published key's id.
	OtherKey
	// UnknownKey is RS256 with a key that is not published, under an id of its own.
	UnknownKey
	// Unsigned is "alg":"none", RFC 7518 section 3.6.
	Unsigned
	// HMAC is HS256 with the published key as the secret: it fools a verifier that
	// lets the token choose the algorithm, RFC 8725 section 2.1.
	HMAC
)

// Claims describes a token. What is left out is as in a valid token of an app.
// https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
type Claims struct {
	Version  int    // 1 or 2; 0 is 1, which Microsoft's own services ask for
	Audience string // aud
	AppID    string // appid in version 1, azp in version 2
	TenantID string // tid, and in the issuer; "" is the server's
	Issuer   string // iss; "" is the tenant's of that version
	ObjectID string // oid and sub; "" is derived from AppID

	IssuedAt  time.Time // zero is now
	NotBefore time.Time // zero is IssuedAt
	Expires   time.Time // zero is an hour after IssuedAt

	Extra     map[string]any // sets claims; nil as a value removes one
	Signature Signature
}

// Issue makes a token, good or bad. It panics if Extra cannot be JSON.
func (s *Server) Issue(c Claims) string {
	tenant := c.TenantID
	if tenant == "" {
		tenant = s.options.TenantID
	}
	if c.IssuedAt.IsZero() {
		c.IssuedAt = s.now()
	}
	if c.NotBefore.IsZero() {
		c.NotBefore = c.IssuedAt
	}
	if c.Expires.IsZero() {
		c.Expires = c.IssuedAt.Add(lifetime)
	}
	if c.ObjectID == "" {
		c.ObjectID = c.AppID
	}
	claims := map[string]any{
		"aud": c.Audience, "tid": tenant, "oid": c.ObjectID, "sub": c.ObjectID, "idtyp": "app",
		"iat": c.IssuedAt.Unix(), "nbf": c.NotBefore.Unix(), "exp": c.Expires.Unix(), "uti": randomID(),
	}
	if c.Version == 2 {
		claims["ver"], claims["iss"], claims["azp"], claims["azpacr"] = "2.0", s.issuer2(tenant), c.AppID, "1"
	} else {
		claims["ver"], claims["iss"], claims["appid"], claims["appidacr"] = "1.0", issuer1(tenant), c.AppID, "1"
		claims["idp"] = issuer1(tenant)
	}
	if c.Issuer != "" {
		claims["iss"] = c.Issuer
	}
	maps.Copy(claims, c.Extra)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(fmt.Sprintf("entra: claims that cannot be JSON: %v", err))
	}
	return s.sign(payload, c.Signature)
}

func (s *Server) sign(payload []byte, how Signature) string {
	newest := s.keys.newest()
	switch how {
	case OtherKey:
		return sign(payload, jose.RS256, s.foreign.private, newest.id)
	case UnknownKey:
		return sign(payload, jose.RS256, s.foreign.private, s.foreign.id)
	case HMAC:
		public := x509.MarshalPKCS1PublicKey(&newest.private.PublicKey)
		return sign(payload, jose.HS256, public, newest.id)
	case Unsigned:
		encode := base64.RawURLEncoding.EncodeToString
		return encode([]byte(`{"typ":"JWT","alg":"none"}`)) + "." + encode(payload) + "."
	}
	return sign(payload, jose.RS256, newest.private, newest.id)
}

func sign(payload []byte, algorithm jose.SignatureAlgorithm, secret any, id string) string {
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", id)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: secret}, options)
	if err != nil {
		panic(err) // the keys are made here, of the right kind
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		panic(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return token
}

// Verify tells whether a token is one that a service of this audience may let in:
// signed here with a published key, of this tenant, for the audience, and in its time.
func (s *Server) Verify(token, audience string) error {
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return fmt.Errorf("checking a token: %w", err)
	}
	published := s.keys.published()
	found := published.Key(parsed.Headers[0].KeyID)
	if len(found) != 1 {
		return errors.New("checking a token: it is signed with no published key")
	}
	var standard jwt.Claims
	var own struct {
		TenantID string `json:"tid"`
	}
	if err := parsed.Claims(found[0].Key, &standard, &own); err != nil {
		return fmt.Errorf("checking a token: %w", err)
	}
	tenant := s.options.TenantID
	if own.TenantID != tenant || (standard.Issuer != issuer1(tenant) && standard.Issuer != s.issuer2(tenant)) {
		return errors.New("checking a token: it is of another tenant")
	}
	if standard.Expiry == nil {
		return errors.New("checking a token: it never expires")
	}
	if err := standard.Validate(jwt.Expected{AnyAudience: jwt.Audience{audience}, Time: s.now()}); err != nil {
		return fmt.Errorf("checking a token: %w", err)
	}
	return nil
}

// Rotate makes a new key, with which tokens are signed from now on. The key before
// it stays published, as Entra's does; the one before that is withdrawn.
func (s *Server) Rotate() error { return s.keys.rotate() }

func issuer1(tenant string) string             { return "https://sts.windows.net/" + tenant + "/" }
func (s *Server) issuer2(tenant string) string { return s.url + "/" + tenant + "/v2.0" }

// keys are the signing keys, the newest last.
type keys struct {
	mu  sync.Mutex
	all []*key
}

type key struct {
	id      string
	private *rsa.PrivateKey
}

func newKey() (*key, error) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("making a signing key: %w", err)
	}
	id := make([]byte, 20) // as long as the SHA-1 thumbprint that Entra uses
	_, _ = rand.Read(id)   // never fails
	return &key{base64.RawURLEncoding.EncodeToString(id), private}, nil
}

func newKeys() (*keys, error) {
	k := &keys{}
	return k, k.rotate()
}

func (k *keys) rotate() error {
	next, err := newKey()
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all = append(k.all, next)
	k.all = k.all[max(0, len(k.all)-2):]
	return nil
}

func (k *keys) newest() *key {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.all[len(k.all)-1]
}

// published is the key set as Entra writes it, without "alg".
func (k *keys) published() jose.JSONWebKeySet {
	k.mu.Lock()
	defer k.mu.Unlock()
	var set jose.JSONWebKeySet
	for _, key := range k.all {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: &key.private.PublicKey, KeyID: key.id, Use: "sig"})
	}
	return set
}
