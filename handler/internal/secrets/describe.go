package secrets

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// ErrForbidden: the vault answers, and refuses the connector's identity. It is a
// kind of ErrUnavailable.
var ErrForbidden = fmt.Errorf("%w", ErrUnavailable)

// Info is what may be shown of a secret. It never holds the value.
type Info struct {
	Name    string
	Set     bool
	Changed time.Time // UTC; when the present version was made; zero where that is not known
	From    string    // for people: "Key Vault contoso.vault.azure.net" or "environment variable API_SECRET_KEY"
}

// describer is a source that can say more of a secret than its value.
type describer interface {
	describe(ctx context.Context, name string) (Info, error)
}

// Describe tells, of each name, whether it is set, since when and from where. The
// source is asked anew, and nothing of the answer is kept. Errors: ErrUnavailable,
// ErrForbidden, the context's.
func (s *Store) Describe(ctx context.Context, names ...string) ([]Info, error) {
	source, ok := s.source.(describer)
	if !ok {
		return nil, fmt.Errorf("%w: where its secrets are kept does not say", ErrUnavailable)
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	infos := make([]Info, len(names))
	group, ctx := errgroup.WithContext(ctx)
	for i, name := range names {
		group.Go(func() (err error) {
			infos[i], err = source.describe(ctx, name)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return infos, nil
}

func (e environment) describe(_ context.Context, name string) (Info, error) {
	return Info{Name: name, Set: strings.TrimSpace(e.getenv(environmentName(name))) != "",
		From: "environment variable " + environmentName(name)}, nil
}

// describe reads the secret's present version for its attributes. A list would do
// without the value, but needs one more permission.
// https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret/get-secret
func (v *vault) describe(ctx context.Context, name string) (Info, error) {
	info := Info{Name: name, From: "Key Vault " + v.host}
	answer, err := v.client.GetSecret(ctx, name, "", nil)
	if isStatus(err, http.StatusNotFound) {
		return info, nil
	}
	if err != nil {
		if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return Info{}, context.Cause(ctx)
		}
		return Info{}, v.failed("reading secret "+name, err)
	}
	info.Set = answer.Value != nil && strings.TrimSpace(*answer.Value) != ""
	if a := answer.Attributes; a != nil && a.Created != nil {
		info.Changed = a.Created.UTC()
	}
	return info, nil
}
