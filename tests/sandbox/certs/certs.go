// Package certs is a certificate authority that lives as long as a sandbox, or longer. The
// stand-ins serve TLS with its certificates, and a program that is told of it by
// SSL_CERT_FILE verifies them as it verifies any other: nothing skips verification.
package certs

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// validity is of all certificates here. It began an hour ago, for clocks that differ.
const validity = 3 * 24 * time.Hour

// Options says where the authority keeps its certificate.
type Options struct {
	Dir string // gets ca.pem; "" makes a temporary folder, which Stop removes

	// Keep has the authority of Dir used again by the next Start with it, for programs
	// that know it and go on. Its key is then in Dir, too, in ca.key.
	Keep bool
}

// Authority issues certificates. Its methods may be called at once. Its key is
// only ever in memory, unless it is kept.
type Authority struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
	path        string
	temporary   string // folder to remove
}

// Start makes an authority and writes its certificate.
func Start(ctx context.Context, o Options) (*Authority, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("making a certificate authority: %w", err)
	}
	a, err := newAuthority(o)
	if err != nil {
		return nil, fmt.Errorf("making a certificate authority: %w", err)
	}
	return a, nil
}

func newAuthority(o Options) (*Authority, error) {
	if o.Keep {
		if a := kept(o.Dir); a != nil {
			return a, nil
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := newTemplate("X archive sandbox CA")
	template.IsCA, template.BasicConstraintsValid, template.MaxPathLenZero = true, true, true
	template.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	a := &Authority{key: key}
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	dir := o.Dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "xarchive-ca-"); err != nil {
			return nil, err
		}
		a.temporary = dir
	}
	a.path = filepath.Join(dir, "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(a.path, text, 0o644); err != nil {
		return nil, errors.Join(err, a.Stop())
	}
	if o.Keep {
		secret, err := x509.MarshalPKCS8PrivateKey(key)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, keyFile), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600)
		}
		if err != nil {
			return nil, err
		}
	}
	return a, nil
}

const keyFile = "ca.key"

// kept is the authority that an earlier Start left in a folder, nil if there is none
// that is good for another day.
func kept(dir string) *Authority {
	a := &Authority{path: filepath.Join(dir, "ca.pem")}
	pair, err := tls.LoadX509KeyPair(a.path, filepath.Join(dir, keyFile))
	if err != nil {
		return nil // whatever is wrong with it: a new one does
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || time.Until(pair.Leaf.NotAfter) < 24*time.Hour {
		return nil
	}
	a.key, a.certificate = key, pair.Leaf
	return a
}

// Stop removes the folder that Start made, if it did.
func (a *Authority) Stop() error {
	if a.temporary == "" {
		return nil
	}
	return os.RemoveAll(a.temporary)
}

// Path is of the authority's certificate, PEM, for SSL_CERT_FILE. Go reads that
// variable on Linux and BSD only; on macOS a program that must trust the authority
// has to load the file itself.
func (a *Authority) Path() string { return a.path }

// Pool holds the authority's certificate alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// Client is an HTTP client that trusts this authority alone and uses no proxy.
func (a *Authority) Client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: a.Pool()},
		ForceAttemptHTTP2: true,
	}}
}

// Server issues a server certificate for DNS names and IP addresses. It panics
// where that fails, for no host it is asked for can make it.
func (a *Authority) Server(hosts ...string) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := newTemplate("X archive sandbox")
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// Loopback issues a certificate for localhost, 127.0.0.1 and ::1.
func (a *Authority) Loopback() tls.Certificate {
	return a.Server("localhost", "127.0.0.1", "::1")
}

func newTemplate(name string) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	start := time.Now().Add(-time.Hour)
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    start,
		NotAfter:     start.Add(validity),
	}
}
