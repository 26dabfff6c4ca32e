package connector

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"unicode"

	"xarchive/handler/internal/secrets"
)

// mask stands for a secret that is set. It is never the value of one: it is sent
// back for every secret alike, and where it comes in it means "leave unchanged".
const mask = "********"

// maxSetting bounds a setting's value, in bytes. Key Vault takes 25,000.
const maxSetting = 4096

// Setting is one of the secrets that the Configuration call and its page save.
type Setting struct {
	Member string // its name in the call's JSON
	Secret string // its name in Key Vault
}

// AllSettings lists the settings in the order in which the set-up guide gathers them.
func AllSettings() []Setting {
	return []Setting{
		{"TwitterApiKeyValue", secrets.TwitterAPIKey},
		{"TwitterApiSecretKeyValue", secrets.TwitterAPISecretKey},
		{"TwitterAccessTokenValue", secrets.TwitterAccessToken},
		{"TwitterAccessTokenSecretValue", secrets.TwitterAccessTokenSecret},
		{"AADAppIdValue", secrets.AADApplicationID},
		{"AADAppSecretValue", secrets.AADApplicationSecret},
		{"AADAppUriValue", secrets.AADApplicationURI},
	}
}

// SettingInfo is what is shown of a setting.
type SettingInfo struct {
	Setting
	secrets.Info
}

// Settings tells which settings are set, since when and from where. Errors as
// secrets.Store.Describe's.
func (a *API) Settings(ctx context.Context) ([]SettingInfo, error) {
	all := AllSettings()
	names := make([]string, len(all))
	for i, s := range all {
		names[i] = s.Secret
	}
	described, err := a.Secrets.Describe(ctx, names...)
	if err != nil {
		return nil, err
	}
	infos := make([]SettingInfo, len(all))
	for i := range all {
		infos[i] = SettingInfo{all[i], described[i]}
	}
	return infos, nil
}

// SaveSettings saves values by their names in JSON, each as a new version of its
// secret; "" and the mask leave a setting as it is. It returns how many were
// saved. Errors: a wrong value, before anything is saved; secrets.ErrReadOnly; a
// vault that fails, with a sentence on what was saved until then.
func (a *API) SaveSettings(ctx context.Context, values map[string]string) (saved int, err error) {
	if err := a.Secrets.Writable(); err != nil {
		return 0, err
	}
	given := map[string]string{}
	for _, s := range AllSettings() {
		value := strings.TrimSpace(values[s.Member])
		switch {
		case value == "" || value == mask:
			continue
		case len(value) > maxSetting:
			return 0, bad("%s is longer than %d bytes.", s.Member, maxSetting)
		case strings.ContainsFunc(value, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }):
			return 0, bad("%s has white space or a control character in it. Copy the value again, alone.", s.Member)
		}
		given[s.Member] = value
	}
	var done []string
	for _, s := range AllSettings() {
		value, ok := given[s.Member]
		if !ok {
			continue
		}
		if err := a.Secrets.Set(ctx, s.Secret, value); err != nil {
			told := explain(err)
			before := "Nothing was saved."
			if len(done) > 0 {
				before = "Saved were only " + strings.Join(done, ", ") + "."
			}
			return len(done), fmt.Errorf("%w: %w", &refusal{told.status, fmt.Sprintf("%s could not be saved. %s %s", s.Member, told.message, before)}, err)
		}
		done = append(done, s.Member)
		a.Log.InfoContext(ctx, "setting saved", "secret", s.Secret)
	}
	a.Secrets.ForgetX("") // a token's and a key's other half may be kept from before
	return len(done), nil
}

// configuration is GET /api/Configuration: an object of strings, each the mask for
// a setting that is set and "" for one that is not. No value is ever sent.
func (a *API) configuration(r *http.Request) (any, error) {
	infos, err := a.Settings(r.Context())
	if err != nil {
		return nil, err
	}
	masked := map[string]string{}
	for _, info := range infos {
		masked[info.Member] = ""
		if info.Set {
			masked[info.Member] = mask
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
	_, err := a.SaveSettings(r.Context(), map[string]string{
		"TwitterApiKeyValue": in.TwitterAPIKeyValue, "TwitterApiSecretKeyValue": in.TwitterAPISecretKeyValue,
		"TwitterAccessTokenValue": in.TwitterAccessTokenValue, "TwitterAccessTokenSecretValue": in.TwitterAccessTokenSecretValue,
		"AADAppIdValue": in.AADAppIDValue, "AADAppSecretValue": in.AADAppSecretValue, "AADAppUriValue": in.AADAppURIValue,
	})
	return true, err
}
