package jobs

import (
	"errors"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/state"
)

const (
	shared  = "the shared secret"
	boundTo = "what the sign-in is bound to"
	page    = "https://contoso.azurewebsites.net/Views/TwitterOAuth"
)

func TestSeal(t *testing.T) {
	sealed, err := seal(shared, "token", boundTo, "hush")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := unseal(shared, "token", boundTo, sealed); err != nil || got != "hush" {
		t.Errorf("%q, %v", got, err)
	}
	again, err := seal(shared, "token", boundTo, "hush")
	if err != nil || string(again) == string(sealed) {
		t.Error("the same secret seals to the same bytes")
	}
	for what, open := range map[string]func() (string, error){
		"another key":      func() (string, error) { return unseal(shared+"x", "token", boundTo, sealed) },
		"another token":    func() (string, error) { return unseal(shared, "token2", boundTo, sealed) },
		"another redirect": func() (string, error) { return unseal(shared, "token", boundTo+"2", sealed) },
		"nothing":          func() (string, error) { return unseal(shared, "token", boundTo, nil) },
	} {
		if got, err := open(); !errors.Is(err, errSeal) || got != "" {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
	for i := range sealed {
		sealed[i] ^= 1
		if got, err := unseal(shared, "token", boundTo, sealed); !errors.Is(err, errSeal) {
			t.Errorf("altered at %d: %q, %v", i, got, err)
		}
		sealed[i] ^= 1
	}
}

func TestChoose(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	in := func(token, redirect string, age time.Duration) state.SignIn {
		return state.SignIn{Token: token, RedirectURL: redirect, CreatedAt: now.Add(-age), ExpiresAt: now.Add(SignInLife - age)}
	}
	all := []state.SignIn{in("old", page, 9*time.Minute), in("new", page, time.Minute), in("elsewhere", "https://fabrikam.azurewebsites.net/Views/TwitterOAuth", 0),
		{Token: "a page's", RedirectURL: page, Page: true, CreatedAt: now, ExpiresAt: now.Add(SignInLife)}}
	for redirect, want := range map[string]string{page: "new old", strings.ToUpper(page): "new old", page + "x": ""} {
		var got []string
		for _, in := range choose(all, redirect) {
			got = append(got, in.Token)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: want %q, got %q", redirect, want, got)
		}
	}
}
