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

// testTime bounds a test; somebody is waiting for it.
const testTime = 30 * time.Second

// test tries all connections side by side.
func (p *Pages) test(ctx context.Context, callback string) []result {
	ctx, cancel := context.WithTimeout(ctx, testTime)
	defer cancel()
	tests := []struct {
		name, good string
		try        func(context.Context) error
	}{
		{"X", "X accepts the app's keys, and the callback address is registered.", func(ctx context.Context) error { return p.Checker.X(ctx, callback) }},
		{"Microsoft Entra", "Entra gives a token for the Office 365 Import service.", p.Checker.Entra},
		{"Storage", "Both containers can be reached.", p.Checker.Storage},
		{"Key Vault", "Secrets can be read.", p.Checker.KeyVault},
	}
	if p.API.ReadOnly() {
		tests[3].good = "No Key Vault is set; secrets come from the environment."
	}
	results := make([]result, len(tests))
	var all sync.WaitGroup
	for i, t := range tests {
		all.Go(func() {
			results[i] = result{Name: t.name, OK: true, Says: t.good}
			if err := t.try(ctx); err != nil {
				cause := cmp.Or(errors.Unwrap(err), err) // what is behind the words
				p.Log.WarnContext(ctx, "a connection test failed", "connection", t.name, "says", err.Error(), "error", cause.Error())
				results[i].OK, results[i].Says = false, err.Error()
			}
		})
	}
	all.Wait()
	return results
}
