package pages

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"
)

// Checker tries each of the connector's connections, as it is set up now, by a call
// that changes nothing. Each method is nil, or an error that is a sentence or two for
// the administrator: what failed, what to do. It holds no secret. Package connection
// has the real one.
type Checker interface {
	// X tries the app's keys and that callback is registered, and the access
	// token of the settings where there is one.
	X(ctx context.Context, callback string) error
	Entra(ctx context.Context) error    // gets a token for the Import service
	Storage(ctx context.Context) error  // reaches both containers
	KeyVault(ctx context.Context) error // reads a secret
}

// result is how the test of a connection went.
type result struct {
	Name string
	OK   bool
	Says string
}

// Connection is one of the connector's connections and how it is tried.
type Connection struct {
	Name string
	Good string // what is said when it works
	Try  func(context.Context) error
}

// Connections are all of them, X first. readOnly tells that there is no Key Vault.
func Connections(c Checker, callback string, readOnly bool) []Connection {
	vault := "Secrets can be read."
	if readOnly {
		vault = "No Key Vault is set; secrets come from the environment."
	}
	return []Connection{
		{"X", "X accepts the app's keys, and the callback address is registered.", func(ctx context.Context) error { return c.X(ctx, callback) }},
		{"Microsoft Entra", "Entra gives a token for the Office 365 Import service.", c.Entra},
		{"Storage", "Both containers can be reached.", c.Storage},
		{"Key Vault", vault, c.KeyVault},
	}
}

// testTime bounds a test; somebody is waiting for it.
const testTime = 30 * time.Second

// test tries all connections side by side.
func (p *Pages) test(ctx context.Context, callback string) []result {
	ctx, cancel := context.WithTimeout(ctx, testTime)
	defer cancel()
	tests := Connections(p.Checker, callback, p.API.ReadOnly())
	results := make([]result, len(tests))
	var all sync.WaitGroup
	for i, t := range tests {
		all.Go(func() {
			results[i] = result{Name: t.Name, OK: true, Says: t.Good}
			if err := t.Try(ctx); err != nil {
				cause := cmp.Or(errors.Unwrap(err), err) // what is behind the words
				p.Log.WarnContext(ctx, "a connection test failed", "connection", t.Name, "says", err.Error(), "error", cause.Error())
				results[i].OK, results[i].Says = false, err.Error()
			}
		})
	}
	all.Wait()
	return results
}
