package x

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/html"
)

// SignIn does what a person's browser does at X: it opens the sign-in page,
// chooses the account and authorizes the app. It returns where X sends the
// browser next, with oauth_token and oauth_verifier, without going there.
func SignIn(ctx context.Context, client *http.Client, authenticateURL, account string) (callbackURL string, err error) {
	return decide(ctx, client, authenticateURL, url.Values{"account": {account}, "decision": {"authorize"}})
}

// Deny opens the sign-in page and cancels. It returns where X sends the browser
// next, with denied.
func Deny(ctx context.Context, client *http.Client, authenticateURL string) (callbackURL string, err error) {
	return decide(ctx, client, authenticateURL, url.Values{"decision": {"cancel"}})
}

func decide(ctx context.Context, client *http.Client, address string, choices url.Values) (string, error) {
	browser := *client
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	page, err := load(ctx, &browser, http.MethodGet, address, nil)
	if err != nil {
		return "", fmt.Errorf("opening X's sign-in page: %w", err)
	}
	defer page.Body.Close()
	if page.StatusCode != http.StatusOK {
		return "", fmt.Errorf("opening X's sign-in page: status %d", page.StatusCode)
	}
	action, fields, err := readForm(io.LimitReader(page.Body, maxForm))
	if err != nil {
		return "", fmt.Errorf("reading X's sign-in page: %w", err)
	}
	if account := choices.Get("account"); account != "" && !fields.offers(account) {
		return "", fmt.Errorf("X's sign-in page does not offer account %s", account)
	}
	for name, values := range fields.hidden {
		choices[name] = values
	}
	target, err := page.Request.URL.Parse(action)
	if err != nil {
		return "", fmt.Errorf("reading X's sign-in page: %w", err)
	}
	sent, err := load(ctx, &browser, http.MethodPost, target.String(), choices)
	if err != nil {
		return "", fmt.Errorf("answering X's sign-in page: %w", err)
	}
	defer sent.Body.Close()
	if sent.StatusCode != http.StatusFound || sent.Header.Get("Location") == "" {
		return "", fmt.Errorf("answering X's sign-in page: status %d, and no way back to the app", sent.StatusCode)
	}
	return sent.Header.Get("Location"), nil
}

func load(ctx context.Context, client *http.Client, method, address string, form url.Values) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return client.Do(req)
}

type formFields struct {
	hidden url.Values
	radios []string
}

func (f formFields) offers(account string) bool {
	for _, r := range f.radios {
		if r == account {
			return true
		}
	}
	return false
}

// readForm finds the page's form: where it goes and what it holds.
func readForm(page io.Reader) (action string, fields formFields, err error) {
	doc, err := html.Parse(page)
	if err != nil {
		return "", fields, err
	}
	fields.hidden = url.Values{}
	found := false
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		at := map[string]string{}
		for _, a := range n.Attr {
			at[a.Key] = a.Val
		}
		switch {
		case n.Data == "form":
			found, action = true, at["action"]
		case n.Data == "input" && at["type"] == "hidden":
			fields.hidden.Set(at["name"], at["value"])
		case n.Data == "input" && at["type"] == "radio":
			fields.radios = append(fields.radios, at["value"])
		}
	}
	if !found {
		return "", fields, errors.New("there is no form on it")
	}
	return action, fields, nil
}
