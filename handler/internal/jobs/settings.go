package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"xarchive/handler/internal/audit"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/secrets"
)

// maxSetting bounds a setting's value, in bytes. Key Vault takes 25,000.
const maxSetting = 4096

// Settings lists the settings that can be saved, in the order in which the set-up
// guide gathers them. A setting is a secret and goes by that secret's name; what a
// call or a page calls it is theirs to know.
func Settings() []string {
	return []string{
		secrets.TwitterAPIKey, secrets.TwitterAPISecretKey, secrets.TwitterAccessToken, secrets.TwitterAccessTokenSecret,
		secrets.AADApplicationID, secrets.AADApplicationSecret, secrets.AADApplicationURI,
	}
}

// Settings returns of each setting, in the order of [Settings], whether it is set,
// since when and from where.
func (j *Jobs) Settings(ctx context.Context) ([]secrets.Info, error) {
	return j.opt.Secrets.Describe(ctx, Settings()...)
}

// Public returns the value of a setting that is no secret: the application's ID and its
// URI, which people copy into the Compliance Center.
func (j *Jobs) Public(ctx context.Context, name string) (string, error) {
	if name != secrets.AADApplicationID && name != secrets.AADApplicationURI {
		return "", fmt.Errorf("%s is a secret", name)
	}
	return j.opt.Secrets.Get(ctx, name)
}

// SettingError says why a setting was not saved.
type SettingError struct {
	Setting string   // its name, one of [Settings]
	Wrong   string   // what is wrong with the value: the rest of a sentence that begins with the setting's name; "" if Err failed
	Saved   []string // the settings saved before
	Err     error    // why the value could not be saved; nil if it is wrong
}

// Words says it to a person who knows the settings by other names; label gives them.
func (e *SettingError) Words(label func(setting string) string) string {
	if e.Err == nil {
		return label(e.Setting) + " " + e.Wrong
	}
	before := "Nothing was saved."
	if len(e.Saved) > 0 {
		var names []string
		for _, s := range e.Saved {
			names = append(names, label(s))
		}
		before = "Saved were only " + strings.Join(names, ", ") + "."
	}
	return fmt.Sprintf("%s could not be saved. %s %s", label(e.Setting), fault.Of(e.Err).Words(), before)
}

// WithWords returns err with the sentence that names its setting by label; any error
// that is not a SettingError as it is.
func WithWords(err error, label func(setting string) string) error {
	var s *SettingError
	if !errors.As(err, &s) {
		return err
	}
	return fault.RefuseWith(s.FaultCause(), s.Words(label), err)
}

func (e *SettingError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("saving %s, after %d others: %v", e.Setting, len(e.Saved), e.Err)
	}
	return e.Setting + " " + e.Wrong
}

// Unwrap returns why the value could not be saved.
func (e *SettingError) Unwrap() error { return e.Err }

// FaultCause returns the cause of Err, or that the request is wrong.
func (e *SettingError) FaultCause() fault.Cause {
	if e.Err != nil {
		return fault.CauseOf(e.Err)
	}
	return fault.BadRequest
}

// SaveSettings saves values by the names of [Settings], each as a new version of its
// secret; "" leaves a setting as it is. It returns how many were saved. Errors:
// secrets.ErrReadOnly; a [*SettingError] for a wrong value, before anything is
// saved, or for a vault that fails.
func (j *Jobs) SaveSettings(ctx context.Context, values map[string]string) (saved int, err error) {
	if err := j.opt.Secrets.Writable(); err != nil {
		return 0, err
	}
	for _, name := range Settings() {
		if wrong := wrongValue(strings.TrimSpace(values[name])); wrong != "" {
			return 0, &SettingError{Setting: name, Wrong: wrong}
		}
	}
	var names, done []string
	for _, name := range Settings() {
		if strings.TrimSpace(values[name]) != "" {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return 0, nil
	}
	err = j.change(ctx, audit.Change{What: audit.SettingsSaved, Detail: strings.Join(names, ", ")}, func() error {
		for _, name := range names {
			if err := j.opt.Secrets.Set(ctx, name, strings.TrimSpace(values[name])); err != nil {
				return &SettingError{Setting: name, Saved: done, Err: err}
			}
			done = append(done, name)
			j.opt.Log.InfoContext(ctx, "setting saved", "secret", name)
		}
		return nil
	})
	j.keys.ForgetApp() // the other half of a pair may be kept from before
	return len(done), err
}

func wrongValue(value string) string {
	switch {
	case len(value) > maxSetting:
		return fmt.Sprintf("is longer than %d bytes.", maxSetting)
	case strings.ContainsFunc(value, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }):
		return "has white space or a control character in it. Copy the value again, alone."
	}
	return ""
}
