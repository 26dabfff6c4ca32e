package secrets

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// Info is what may be shown of a secret. It never holds the value.
type Info struct {
	Name    string
	Set     bool
	Changed time.Time // UTC; when the present version was made; zero where that is not known
	Ends    time.Time // UTC; when it ends; zero where it does not or that is not known
	From    string    // for people: "Key Vault contoso.vault.azure.net" or "environment variable API_SECRET_KEY"
}

// Describe returns, for each name, whether the secret is set, since when and from
// where. The source is asked each time, and nothing of the answer is kept. It
// returns [ErrUnavailable] or the context's error.
func (s *Store) Describe(ctx context.Context, names ...string) ([]Info, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	infos := make([]Info, len(names))
	group, ctx := errgroup.WithContext(ctx)
	for i, name := range names {
		group.Go(func() (err error) {
			infos[i], err = s.source.describe(ctx, name)
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
	if a := answer.Attributes; a != nil && a.Expires != nil {
		info.Ends = a.Expires.UTC()
	}
	return info, nil
}
