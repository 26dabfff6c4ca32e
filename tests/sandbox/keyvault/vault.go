package keyvault

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// maxValue is Key Vault's limit of a secret's value, bytes.
	maxValue = 25 << 10
	// retention is how long a deleted secret can be recovered, days: the default.
	retention = 90
)

// names are Key Vault's rule; upper and lower case are one.
var names = regexp.MustCompile(`^[0-9a-zA-Z-]{1,127}$`)

// version is one value of a secret.
type version struct {
	id                 string // 32 hexadecimal digits
	value              string
	contentType        *string
	tags               map[string]*string
	disabled           bool
	expires, notBefore *time.Time
	created, updated   time.Time // UTC
}

// secret is a name with its versions, the newest last.
type secret struct {
	name      string
	versions  []version
	deletedAt time.Time // zero: it is not deleted
	settles   time.Time // until then it is being deleted or recovered
}

func (s *secret) newest() version { return s.versions[len(s.versions)-1] }

// failure is a refusal as Key Vault words it.
type failure struct {
	status               int
	code, inner, message string
}

func (f *failure) Error() string { return fmt.Sprintf("%d %s: %s", f.status, f.code, f.message) }

func notFound(name string) error {
	return &failure{http.StatusNotFound, "SecretNotFound", "", fmt.Sprintf("A secret with (name/id) %s was not found in this key vault. If you recently deleted this secret you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182", name)}
}

func conflict(inner, message string) error {
	return &failure{http.StatusConflict, "Conflict", inner, message}
}

func bad(message string) *failure {
	return &failure{http.StatusBadRequest, "BadParameter", "", message}
}

// vault holds the secrets. Its methods may be called at once.
type vault struct {
	now    func() time.Time
	settle time.Duration

	mu      sync.Mutex
	secrets map[string]*secret // by lower-case name
}

func newVault(now func() time.Time, settle time.Duration) *vault {
	return &vault{now: now, settle: settle, secrets: map[string]*secret{}}
}

// set adds a version. A deleted secret keeps its name until it is purged; revive
// brings it back first.
func (v *vault) set(name string, added version, revive bool) (version, error) {
	switch {
	case !names.MatchString(name):
		return version{}, bad(fmt.Sprintf("The request URI contains an invalid name: %s", name))
	case len(added.value) > maxValue:
		return version{}, bad("The secret value is too long: 25 KB at most.")
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.secrets[strings.ToLower(name)]
	if s != nil && revive {
		s.deletedAt, s.settles = time.Time{}, time.Time{}
	}
	if s != nil {
		if err := v.free(s); err != nil {
			return version{}, err
		}
	} else {
		s = &secret{name: name}
		v.secrets[strings.ToLower(name)] = s
	}
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	added.id = hex.EncodeToString(id)
	added.created = v.now().UTC()
	added.updated = added.created
	s.versions = append(s.versions, added)
	return added, nil
}

// free tells whether a secret can be written: 409 if it is deleted or on its way.
func (v *vault) free(s *secret) error {
	moving := v.now().Before(s.settles)
	switch {
	case moving && !s.deletedAt.IsZero():
		return conflict("ObjectIsBeingDeleted", fmt.Sprintf("Secret %s is currently being deleted.", s.name))
	case moving:
		return conflict("ObjectIsBeingRecovered", fmt.Sprintf("Secret %s is currently being recovered.", s.name))
	case !s.deletedAt.IsZero():
		return conflict("ObjectIsDeletedButRecoverable", fmt.Sprintf("Secret %s is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the secret can only be recovered or purged.", s.name))
	}
	return nil
}

// active is a secret that can be used; its caller holds mu.
func (v *vault) active(name string) (*secret, error) {
	s := v.secrets[strings.ToLower(name)]
	if s == nil || !s.deletedAt.IsZero() || v.now().Before(s.settles) {
		return nil, notFound(name)
	}
	return s, nil
}

// deleted is a secret that can be recovered or purged; its caller holds mu.
func (v *vault) deleted(name string) (*secret, error) {
	s := v.secrets[strings.ToLower(name)]
	if s == nil || s.deletedAt.IsZero() {
		return nil, &failure{http.StatusNotFound, "SecretNotFound", "", "Deleted Secret not found: " + name}
	}
	return s, nil
}

// get returns a version, the newest for "". One that is disabled is refused.
func (v *vault) get(name, id string) (version, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, err := v.active(name)
	if err != nil {
		return version{}, err
	}
	found := s.newest()
	if id != "" {
		i := slices.IndexFunc(s.versions, func(w version) bool { return w.id == id })
		if i < 0 {
			return version{}, notFound(name + "/" + id)
		}
		found = s.versions[i]
	}
	if found.disabled {
		return version{}, &failure{http.StatusForbidden, "Forbidden", "SecretDisabled", "Operation get is not allowed on a disabled secret."}
	}
	return found, nil
}

// update changes what is said of a version, not its value. "" is the newest.
func (v *vault) update(name, id string, change func(*version)) (version, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, err := v.active(name)
	if err != nil {
		return version{}, err
	}
	i := len(s.versions) - 1
	if id != "" {
		if i = slices.IndexFunc(s.versions, func(w version) bool { return w.id == id }); i < 0 {
			return version{}, notFound(name + "/" + id)
		}
	}
	change(&s.versions[i])
	s.versions[i].updated = v.now().UTC()
	return s.versions[i], nil
}

// versions lists a secret's, the oldest first.
func (v *vault) versions(name string) ([]version, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, err := v.active(name)
	if err != nil {
		return nil, err
	}
	return slices.Clone(s.versions), nil
}

// list returns copies of the secrets, deleted ones or the others, by name.
func (v *vault) list(deleted bool) []secret {
	v.mu.Lock()
	defer v.mu.Unlock()
	var found []secret
	for _, s := range v.secrets {
		if !s.deletedAt.IsZero() == deleted && !v.now().Before(s.settles) {
			found = append(found, secret{s.name, slices.Clone(s.versions), s.deletedAt, s.settles})
		}
	}
	slices.SortFunc(found, func(a, b secret) int { return strings.Compare(a.name, b.name) })
	return found
}

// remove deletes a secret with all its versions; it can be recovered.
func (v *vault) remove(name string) (secret, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, err := v.active(name)
	if err != nil {
		return secret{}, err
	}
	s.deletedAt = v.now().UTC()
	s.settles = s.deletedAt.Add(v.settle)
	return *s, nil
}

// getDeleted returns a deleted secret.
func (v *vault) getDeleted(name string) (secret, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, err := v.deleted(name)
	if err != nil {
		return secret{}, err
	}
	if v.now().Before(s.settles) {
		return secret{}, &failure{http.StatusNotFound, "SecretNotFound", "", "Deleted Secret not found: " + name}
	}
	return *s, nil
}

// recover brings a deleted secret back with all its versions.
func (v *vault) recover(name string) (secret, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, err := v.deleted(name)
	if err != nil {
		return secret{}, err
	}
	if v.now().Before(s.settles) {
		return secret{}, v.free(s)
	}
	s.deletedAt = time.Time{}
	s.settles = v.now().Add(v.settle)
	return *s, nil
}

// purge ends a deleted secret for good.
func (v *vault) purge(name string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, err := v.deleted(name)
	if err != nil {
		return err
	}
	if v.now().Before(s.settles) {
		return v.free(s)
	}
	delete(v.secrets, strings.ToLower(name))
	return nil
}
