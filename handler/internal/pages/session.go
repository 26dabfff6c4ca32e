package pages

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"xarchive/handler/internal/loopback"
)

// A session is a cookie and nothing else: who may see the pages, until when, signed
// (HMAC-SHA-256) with a key derived from the secret shared with the Compliance
// Center. Any instance can check it, and changing the secret ends all sessions.
// Signing out takes the cookie from the browser; a copy would be good until it
// ends, which is why that is soon.
//
// Every form carries a token that belongs to the session, or, before there is one, to
// a cookie that the browser was given with the form.

const (
	sessionLife = 30 * time.Minute
	signInLife  = 10 * time.Minute // of a sign-in at X; as in package connector

	sessionCookie = "xarchive-session"
	formCookie    = "xarchive-form"
)

// session says who may see the pages.
type session struct {
	ID     string `json:"i"`
	Tenant string `json:"t"`
	Ends   int64  `json:"e"` // Unix seconds
}

// secure tells whether the browser speaks TLS to Azure's front end. Only a request
// to this machine may be plain, for local work; whatever a header says, another
// host is never served cookies that travel in clear.
func (p *Pages) secure(r *http.Request) bool {
	if strings.HasPrefix(p.PublicURL, "https://") {
		return true
	}
	proto, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Proto"), ",")
	return r.TLS != nil || strings.EqualFold(strings.TrimSpace(proto), "https") || !loopback.Host(hostname(host(r)))
}

// host is the host that the browser asked for, with its port.
func host(r *http.Request) string {
	if forwarded, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Host"), ","); strings.TrimSpace(forwarded) != "" {
		return strings.TrimSpace(forwarded)
	}
	return r.Host
}

func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

// public is where the browser reaches the connector. A request that lies about its
// host gains nothing: X sends browsers only to addresses that are registered.
func (v *visit) public() string {
	if v.PublicURL != "" {
		return v.PublicURL
	}
	u := url.URL{Scheme: "http", Host: host(v.r)}
	if v.secure {
		u.Scheme = "https"
	}
	return u.String()
}

// PublicURL is the address of the app whose host name Azure, or Core Tools on a
// developer's machine, gives in WEBSITE_HOSTNAME; "" for "".
func PublicURL(websiteHostname string) string {
	switch {
	case websiteHostname == "":
		return ""
	case loopback.Host(hostname(websiteHostname)):
		return "http://" + websiteHostname
	}
	return "https://" + websiteHostname
}

// callback is the address that must be registered with the app at X.
func (v *visit) callback() string { return v.public() + "/Views/TwitterOAuth" }

func (v *visit) cookieName(name string) string {
	if v.secure {
		return "__Host-" + name // browsers take it only over TLS, for this host alone
	}
	return name
}

func (v *visit) setCookie(name, value string, life time.Duration) {
	c := &http.Cookie{Name: v.cookieName(name), Value: value, Path: "/", HttpOnly: true, Secure: v.secure,
		SameSite: http.SameSiteLaxMode, MaxAge: int(life / time.Second)}
	if life <= 0 {
		c.MaxAge = -1
	}
	http.SetCookie(v.w, c)
}

func (v *visit) cookie(name string) string {
	c, err := v.r.Cookie(v.cookieName(name))
	if err != nil {
		return ""
	}
	return c.Value
}

// key is the one that the pages sign with. Where the shared secret cannot be read
// the visit is answered with that, and key is nil.
func (v *visit) key() []byte {
	key, err := v.API.Key(v.r.Context(), "pages, v1")
	if err != nil {
		told := v.API.Explain(v.r.Context(), "page "+v.path, err)
		v.Log.WarnContext(v.r.Context(), "pages are closed: the shared secret cannot be read", "status", told.Status)
		v.fault(http.StatusServiceUnavailable, "The connector cannot check who you are",
			"Its shared secret (api-secret-key) cannot be read. If the connector has just been deployed, set that secret in its Key Vault and let its identity read it; otherwise try again in a few minutes. The connector's log says why.")
		return nil
	}
	return key
}

func mac(key []byte, purpose string, data []byte) string {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(purpose + "\n"))
	h.Write(data)
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// sign makes a cookie's value of what is to be kept in it.
func sign(key []byte, purpose string, content any) string {
	data, err := json.Marshal(content)
	if err != nil {
		panic(err) // structs of strings and numbers only
	}
	return base64.RawURLEncoding.EncodeToString(data) + "." + mac(key, purpose, data)
}

// verify reads what sign made for the same purpose.
func verify(key []byte, purpose, value string, into any) bool {
	encoded, signature, _ := strings.Cut(value, ".")
	data, err := base64.RawURLEncoding.DecodeString(encoded)
	return err == nil && hmac.Equal([]byte(signature), []byte(mac(key, purpose, data))) && json.Unmarshal(data, into) == nil
}

// signedIn finds the session, and sets the token for the page's forms.
func (v *visit) signedIn(key []byte) bool {
	var s session
	if !verify(key, sessionCookie, v.cookie(sessionCookie), &s) || !strings.EqualFold(s.Tenant, v.TenantID) || v.Now().Unix() >= s.Ends {
		return false
	}
	v.who, v.csrf = &s, mac(key, "form of a session", []byte(s.ID))
	return true
}

// genuine tells whether a form has its session's token.
func (v *visit) genuine() bool {
	return v.csrf != "" && hmac.Equal([]byte(v.field("csrf")), []byte(v.csrf))
}

// visitor gives a browser without session what its form is checked with.
func (v *visit) visitor(key []byte) {
	id := v.cookie(formCookie)
	if id == "" || len(id) > 64 {
		id = rand.Text()
		v.setCookie(formCookie, id, sessionLife)
	}
	v.csrf = mac(key, "form of a visitor", []byte(id))
}

// enter is the way into every page but the home page: it is true for who is signed
// in and, on POST, sent a genuine form. Anyone else has been answered.
func (v *visit) enter() bool {
	key := v.key()
	if key == nil {
		return false
	}
	if v.signedIn(key) {
		switch {
		case v.r.Method != http.MethodPost || v.field("do") != "enter" && v.genuine():
			return true
		case v.field("do") == "enter": // signed in already, in another tab
			v.redirect(v.r.URL.RequestURI())
		default:
			v.fault(http.StatusForbidden, "This form is out of date", "Nothing was done. Go back, reload the page and send the form again.")
		}
		return false
	}
	v.visitor(key)
	if v.r.Method != http.MethodPost {
		v.askWhoItIs(http.StatusOK, "")
		return false
	}
	switch {
	case v.field("do") != "enter":
		v.askWhoItIs(http.StatusForbidden, "Your session has ended, and nothing was saved. Sign in and do it again.")
	case !v.genuine():
		v.askWhoItIs(http.StatusForbidden, "This form was out of date, or the browser does not keep cookies for this site. Try again.")
	default:
		v.admit()
	}
	return false
}

// admit begins a session for who knows the shared secret.
func (v *visit) admit() {
	if err := v.API.Admit(v.r, strings.TrimSpace(v.field("tenantId")), v.field("secret")); err != nil {
		told := v.API.Explain(v.r.Context(), "sign-in on "+v.path, err)
		told.SetRetry(v.w.Header())
		if told.Status == http.StatusUnauthorized {
			told.Status, told.Message = http.StatusForbidden, "The tenant ID and the secret do not match. The secret is the APISecretKey that you chose at deployment; it is kept in the Key Vault under the name api-secret-key."
		}
		v.askWhoItIs(told.Status, told.Message)
		return
	}
	// The secret may have been changed a moment ago: the key is of what it is now.
	key := v.key()
	if key == nil {
		return
	}
	s := session{ID: rand.Text(), Tenant: v.TenantID, Ends: v.Now().Add(sessionLife).Unix()}
	v.setCookie(sessionCookie, sign(key, sessionCookie, s), sessionLife)
	v.setCookie(formCookie, "", 0)
	v.Log.InfoContext(v.r.Context(), "somebody signed in to the pages", "page", v.path)
	v.redirect(v.r.URL.RequestURI())
}

// askWhoItIs shows the form for the tenant's id and the shared secret.
func (v *visit) askWhoItIs(status int, problem string) {
	tenant := v.query("tenantId")
	if v.field("tenantId") != "" {
		tenant = v.field("tenantId")
	}
	v.show(status, "enter", "Sign in", struct{ Tenant, Problem string }{tenant, problem})
}

// signOut is POST /Views/SignOut.
func (p *Pages) signOut(v *visit) {
	key := v.key()
	if key == nil {
		return
	}
	if v.signedIn(key) && !v.genuine() {
		v.fault(http.StatusForbidden, "This form is out of date", "You are still signed in. Go back, reload the page and try again.")
		return
	}
	v.setCookie(sessionCookie, "", 0)
	v.redirect("/")
}
