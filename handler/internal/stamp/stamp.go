// Package stamp has an authority state when bytes were there (RFC 3161), and checks
// such statements. The authority sees no more than a SHA-256.
package stamp

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"time"

	"xarchive/handler/internal/fault"

	"github.com/digitorus/pkcs7"
	"github.com/digitorus/timestamp"
)

var (
	// ErrRefused: the authority gave no time stamp.
	ErrRefused = fault.New(fault.Other, "the time-stamping authority gave no time stamp")
	// ErrWrong: a time stamp is none of these bytes, or its signature is wrong.
	ErrWrong = fault.New(fault.ArchiveAltered, "the time stamp does not belong to these bytes")
)

// Authority is a time-stamping authority that is asked over HTTP (RFC 3161, section
// 3.4).
type Authority struct {
	URL  string
	HTTP *http.Client
}

// maxAnswer bounds an answer of an authority, in bytes. One with a chain of
// certificates has some 6 KiB.
const maxAnswer = 256 << 10

// Stamp returns the authority's answer for bytes, a whole TimeStampResp: what
// `openssl ts -verify -in` takes. It is checked against the bytes, and its signature by
// the certificate in it; whether that certificate can be trusted is for [Check].
func (a Authority) Stamp(ctx context.Context, data []byte) ([]byte, error) {
	nonce, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 63))
	if err != nil {
		return nil, err
	}
	query, err := timestamp.CreateRequest(bytes.NewReader(data), &timestamp.RequestOptions{Hash: crypto.SHA256, Certificates: true, Nonce: nonce})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.URL, bytes.NewReader(query))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/timestamp-query")
	resp, err := a.HTTP.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%w: it answers %s", ErrRefused, resp.Status)
	case len(answer) > maxAnswer:
		return nil, fmt.Errorf("%w: its answer is longer than %d bytes", ErrRefused, maxAnswer)
	}
	ts, _, err := read(answer, data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if ts.Nonce == nil || ts.Nonce.Cmp(nonce) != 0 {
		return nil, fmt.Errorf("%w: it answers another request", ErrRefused)
	}
	return answer, nil
}

// read reads a time stamp, and compares it with the bytes that it stamps.
func read(answer, data []byte) (*timestamp.Timestamp, *x509.Certificate, error) {
	ts, err := timestamp.ParseResponse(answer) // which checks the signature
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrWrong, err)
	}
	sum := sha256.Sum256(data)
	if ts.HashAlgorithm != crypto.SHA256 || !bytes.Equal(ts.HashedMessage, sum[:]) {
		return nil, nil, ErrWrong
	}
	signed, err := pkcs7.Parse(ts.RawToken)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrWrong, err)
	}
	signer := signed.GetOnlySigner()
	if signer == nil { // without its certificate nobody has checked the signature
		return nil, nil, fmt.Errorf("%w: it does not hold its signer's certificate", ErrWrong)
	}
	return ts, signer, nil
}

// Statement is what a time stamp states.
type Statement struct {
	At   time.Time // UTC; the bytes were there then
	By   string    // whose certificate signed it
	Root bool      // the certificate leads to a trusted root, and is one for time stamps
}

// Check checks a time stamp of bytes. It returns ErrWrong if it is none. roots are the
// certificates that are trusted; nil are the system's. Certificates count as of the time
// that is stated: they end, and the statement stays.
func Check(answer, data []byte, roots *x509.CertPool) (Statement, error) {
	ts, signer, err := read(answer, data)
	if err != nil {
		return Statement{}, err
	}
	between := x509.NewCertPool()
	for _, c := range ts.Certificates {
		between.AddCert(c)
	}
	_, err = signer.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: ts.Time, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}})
	return Statement{At: ts.Time.UTC(), By: signer.Subject.String(), Root: err == nil}, nil
}

// Roots reads certificates in PEM.
func Roots(pem []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("there is no certificate in it")
	}
	return pool, nil
}
