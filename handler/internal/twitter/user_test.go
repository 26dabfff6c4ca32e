package twitter

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"xarchive/handler/internal/fault"
)

// TestUser: the answers are those of X's OpenAPI description, 2.166: Get2UsersIdResponse,
// and the problems that it names.
func TestUser(t *testing.T) {
	const metrics = `"public_metrics":{"followers_count":10,"following_count":2,"tweet_count":3150,"listed_count":0,"like_count":1}`
	for _, c := range []struct {
		name, body string
		want       User
		err        error
	}{
		{"an account", `{"data":{"id":"77","name":"Contoso Ltd","username":"contoso",` + metrics + `}}`,
			User{ID: "77", Name: "Contoso Ltd", Username: "contoso", PostCount: 3150}, nil},
		{"without a post", `{"data":{"id":"77","name":"n","username":"u","public_metrics":{"tweet_count":0}}}`, User{ID: "77", Name: "n", Username: "u"}, nil},
		{"suspended", `{"errors":[{"resource_id":"77","parameter":"id","resource_type":"user","title":"Forbidden","detail":"User has been suspended: [77].","type":"https://api.twitter.com/2/problems/resource-unavailable"}]}`,
			User{}, ErrForbidden},
		{"gone", `{"errors":[{"value":"77","resource_id":"77","parameter":"id","resource_type":"user","title":"Not Found Error","detail":"Could not find user with id: [77].","type":"https://api.twitter.com/2/problems/resource-not-found"}]}`,
			User{}, ErrForbidden},
		{"no number of posts", `{"data":{"id":"77","name":"n","username":"u"}}`, User{}, ErrIncomplete},
		{"no account", `{"data":{}}`, User{}, ErrIncomplete},
		{"another account", `{"data":{"id":"78","name":"n","username":"u",` + metrics + `}}`, User{}, ErrIncomplete},
		{"no JSON", `<html>`, User{}, ErrIncomplete},
		{"of another form", `{"data":[]}`, User{}, ErrIncomplete},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if _, err := oauthParams(r, signInAccess.Secret); err != nil {
					t.Error(err)
				}
				if fields := r.URL.Query().Get("user.fields"); r.URL.Path != "/2/users/77" || !strings.Contains(fields, "public_metrics") {
					t.Errorf("%s with fields %s", r.URL.Path, fields)
				}
				_, _ = w.Write([]byte(c.body))
			}))
			defer srv.Close()
			got, err := NewClient(srv.Client(), srv.URL, signInApp, signInAccess).User(t.Context(), "77")
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("%+v, %v, want %+v, %v", got, err, c.want, c.err)
			}
			if errors.Is(c.err, ErrIncomplete) && fault.CauseOf(err) != fault.XIncomplete {
				t.Errorf("cause %s", fault.CauseOf(err))
			}
		})
	}
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	if _, err := NewClient(srv.Client(), srv.URL, signInApp, signInAccess).User(t.Context(), "77"); !errors.Is(err, ErrNotFound) {
		t.Errorf("404: %v", err)
	}
}
