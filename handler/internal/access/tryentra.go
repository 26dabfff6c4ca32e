package access

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"xarchive/handler/internal/fault"

	"golang.org/x/oauth2"
)

// TryEntra finds out, by asking Entra as a browser without any sign-in does, whether people
// could sign in with it and come back to callback. ready is that Entra knows the app and the
// address; the sentence says what is known. Nothing is changed, and nobody is signed in.
func (a *Access) TryEntra(ctx context.Context, callback string) (sentence string, ready bool) {
	const goesOn = " Without it, people sign in with the APISecretKey."
	config, err := a.clientAtEntra(ctx, callback)
	if err != nil {
		return fault.Of(err).Words() + goesOn, false
	}
	// prompt=none: Entra asks nobody anything, and answers at once.
	// https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest
	address := config.AuthCodeURL("check", oauth2.SetAuthURLParam("prompt", "none"), oauth2.S256ChallengeOption(oauth2.GenerateVerifier()))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "Entra's address is none." + goesOn, false
	}
	hc := &http.Client{Transport: a.opt.HTTP.Transport, Timeout: askTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := hc.Do(req)
	if err != nil {
		return fault.Of(errEntraDown(err)).Words(), false
	}
	defer answer.Body.Close()
	if strings.HasPrefix(answer.Header.Get("Location"), callback+"?") {
		return "Entra knows the app, and the redirect URI " + callback + " is registered with it. People sign in with its role Reader or Administrator.", true
	}
	body, _ := io.ReadAll(io.LimitReader(answer.Body, maxAnswer)) // what came says enough
	for _, says := range []string{"AADSTS50011", "redirect_uri"} {
		if answer.StatusCode != http.StatusFound && strings.Contains(string(body), says) {
			return "Nobody can sign in with Microsoft: register the redirect URI (Web) " + callback + " with the Entra app." + goesOn, false
		}
	}
	return fmt.Sprintf("Entra does not say whether the redirect URI %s is registered (status %d). It must be, for people to sign in with Microsoft.", callback, answer.StatusCode) + goesOn, false
}
