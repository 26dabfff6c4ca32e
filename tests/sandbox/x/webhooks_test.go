package x

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"xarchive/tests/sandbox/corpus"
)

// answers is a webhook whose answer to a challenge is made by a function.
type answers func(token string) (status int, body string)

func (f answers) RoundTrip(r *http.Request) (*http.Response, error) {
	if f == nil {
		return nil, errors.New("nobody is there")
	}
	status, body := f(r.URL.Query().Get("crc_token"))
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{}, Request: r}, nil
}

// TestWebhooksAreStrict: webhooks and subscriptions are the app's alone, have the bodies that
// both versions of X's specification have, an https address that answers the challenge, and
// are there once; events go to whom subscribed.
func TestWebhooksAreStrict(t *testing.T) {
	var hook answers
	var s *world
	s = newWorld(t, loadCorpus(t, `{"data":[{"id":"1700000000000000000","text":"first","author_id":"7","created_at":"2023-09-08T00:00:00.000Z"}],"includes":{"users":[{"id":"7","name":"Contoso","username":"contoso"}]}}`),
		func(o *Options) {
			o.Webhooks = answers(func(token string) (int, string) {
				if hook == nil {
					return 200, `{"response_token":"` + s.signature([]byte(token)) + `"}`
				}
				return hook(token)
			})
		})
	req, _ := http.NewRequest(http.MethodPost, s.url+"/oauth2/token", strings.NewReader("grant_type=client_credentials"))
	req.SetBasicAuth(key, secret)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	var bearer struct {
		Token string `json:"access_token"`
	}
	_ = json.NewDecoder(resp.Body).Decode(&bearer)
	call := func(method, path, body string, want int) (data map[string]json.RawMessage) {
		t.Helper()
		req, _ := http.NewRequest(method, s.url+path, strings.NewReader(body))
		req.Header.Set("Authorization", "Bearer "+bearer.Token)
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		raw, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != want {
			t.Errorf("%s %s %s: %d %s, want %d", method, path, body, resp.StatusCode, raw, want)
		}
		var got struct{ Data json.RawMessage }
		_ = json.Unmarshal(raw, &got)
		_ = json.Unmarshal(got.Data, &data)
		return data
	}
	const hooks, subs, good = "/2/webhooks", "/2/activity/subscriptions", `{"url":"https://app.example/hook"}`
	if p := s.get("7", hooks); p.status != 403 {
		t.Errorf("with an account's token: %d", p.status)
	}
	for _, body := range []string{``, `{}`, `{"url":"http://app.example/hook"}`, `{"url":"https://app.example:444/hook"}`, `{"url":"https://a.example/","more":1}`, `{"url":"https://a.example/` + strings.Repeat("x", 200) + `"}`} {
		call("POST", hooks, body, 400)
	}
	for _, bad := range []answers{func(string) (int, string) { return 404, "" }, func(string) (int, string) { return 200, `{"response_token":"sha256=wrong"}` }} {
		hook = bad
		call("POST", hooks, good, 400)
	}
	hook = nil
	id := strings.Trim(string(call("POST", hooks, good, 200)["id"]), `"`)
	call("POST", hooks, good, 400) // it is there
	for _, body := range []string{`{"event_type":"post.delete"}`, `{"event_type":"post.gone","filter":{"user_id":"7"},"webhook_id":"` + id + `"}`,
		`{"event_type":"post.delete","filter":{"user_id":"8"},"webhook_id":"` + id + `"}`, `{"event_type":"post.delete","filter":{"user_id":"7"},"webhook_id":"1"}`} {
		call("POST", subs, body, 400)
	}
	wanted := `{"event_type":"post.delete","filter":{"user_id":"7"},"webhook_id":"` + id + `","tag":"archive"}`
	call("POST", subs, wanted, 200)
	call("POST", subs, wanted, 400) // it is there
	s.Protect("7", true)
	call("POST", subs, strings.Replace(wanted, "delete", "create", 1), 403)
	p, _ := s.corpus.Post("1700000000000000000")
	if err := s.Tell(t.Context(), "post.create", p); err == nil {
		t.Error("an event that nobody subscribed to is sent")
	}
	if err := s.Tell(t.Context(), "post.delete", corpus.Post{ID: p.ID, AuthorID: "7"}); err != nil {
		t.Error(err)
	}
	call("PUT", hooks+"/1", "", 404)
	call("PUT", hooks+"/"+id, "", 200)
	call("DELETE", hooks+"/"+id, "", 200)
	call("DELETE", hooks+"/"+id, "", 404)
	if len(s.Webhooks()) != 0 {
		t.Errorf("%v", s.Webhooks())
	}
}
