package api

import (
	"net/http"
	"strings"

	"xarchive/handler/internal/jobs"
	"xarchive/handler/internal/secrets"
)

// mask stands for a secret that is set. It is never the value of one: it is sent
// back for every secret alike, and where it comes in it means "leave unchanged".
const mask = "********"

// member is what a setting is called in the Configuration call's JSON.
func member(setting string) string {
	return map[string]string{
		secrets.TwitterAPIKey:            "TwitterApiKeyValue",
		secrets.TwitterAPISecretKey:      "TwitterApiSecretKeyValue",
		secrets.TwitterAccessToken:       "TwitterAccessTokenValue",
		secrets.TwitterAccessTokenSecret: "TwitterAccessTokenSecretValue",
		secrets.AADApplicationID:         "AADAppIdValue",
		secrets.AADApplicationSecret:     "AADAppSecretValue",
		secrets.AADApplicationURI:        "AADAppUriValue",
	}[setting]
}

// configuration is GET /api/Configuration: an object of strings, each the mask for
// a setting that is set and "" for one that is not. No value is ever sent.
func (a *API) configuration(r *http.Request) (any, error) {
	infos, err := a.jobs.Settings(r.Context())
	if err != nil {
		return nil, err
	}
	masked := map[string]string{}
	for _, info := range infos {
		masked[member(info.Name)] = ""
		if info.Set {
			masked[member(info.Name)] = mask
		}
	}
	return masked, nil
}

// configure is POST /api/Configuration: it saves what is given and answers true.
// An empty or missing member, null, and the mask leave a setting unchanged.
func (a *API) configure(r *http.Request) (any, error) {
	var in struct {
		TwitterAPIKeyValue, TwitterAPISecretKeyValue           string
		TwitterAccessTokenValue, TwitterAccessTokenSecretValue string
		AADAppIDValue, AADAppSecretValue, AADAppURIValue       string
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	values := map[string]string{
		secrets.TwitterAPIKey: in.TwitterAPIKeyValue, secrets.TwitterAPISecretKey: in.TwitterAPISecretKeyValue,
		secrets.TwitterAccessToken: in.TwitterAccessTokenValue, secrets.TwitterAccessTokenSecret: in.TwitterAccessTokenSecretValue,
		secrets.AADApplicationID: in.AADAppIDValue, secrets.AADApplicationSecret: in.AADAppSecretValue, secrets.AADApplicationURI: in.AADAppURIValue,
	}
	for setting, value := range values {
		if strings.TrimSpace(value) == mask {
			delete(values, setting)
		}
	}
	_, err := a.jobs.SaveSettings(r.Context(), values)
	return true, jobs.WithWords(err, member)
}
