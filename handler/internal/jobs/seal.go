package jobs

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
)

// The secret of a request token lies in the state container for the minutes that
// a sign-in takes, because another instance may have to end it. It lies there
// sealed: AES-256-GCM under a key derived (HKDF, RFC 5869) from the secret shared
// with the Compliance Center. Bound to it are the token and what its sign-in is bound to
// (signin.go), so that it opens for no other sign-in.

const sealLabel = "xarchive sign-in: secret of an OAuth 1.0a request token, v1"

var errSeal = errors.New("the sign-in was sealed under another secret, or altered")

// seal returns a secret, sealed for one sign-in.
func seal(key, token, boundTo, secret string) ([]byte, error) {
	aead, err := sealer(key)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nil, []byte(secret), bound(token, boundTo)), nil
}

// unseal returns the secret that seal was given; errSeal where anything differs.
func unseal(key, token, boundTo string, sealed []byte) (string, error) {
	aead, err := sealer(key)
	if err != nil {
		return "", err
	}
	secret, err := aead.Open(nil, nil, sealed, bound(token, boundTo))
	if err != nil {
		return "", errSeal
	}
	return string(secret), nil
}

// sealer makes the cipher; it draws nonces itself and puts them in front.
func sealer(key string) (cipher.AEAD, error) {
	derived, err := hkdf.Key(sha256.New, []byte(key), nil, sealLabel, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func bound(token, boundTo string) []byte { return []byte(token + "\n" + boundTo) }
