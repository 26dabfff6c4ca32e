package pages

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/access"
	"xarchive/handler/internal/jobs/jobstest"
	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/state"
)

// Every page with every method, and what all answers have.
func TestMethodsAndHeaders(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	for path, allow := range map[string]string{
		"/": "GET, HEAD", "/Configure": "GET, HEAD, POST", "/Status": "GET, HEAD, POST", "/status/": "GET, HEAD, POST",
		"/preview/OnJobCreating": "GET, HEAD, POST", "/Views/TwitterOAuth": "GET, HEAD", "/Views/SignOut": "POST",
		"/Views/style.css": "GET, HEAD", "/Views/page.js": "GET, HEAD", "/Views/icon.svg": "GET, HEAD",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
			status := b.send(method, path, "")
			if allowed := slices.Contains(strings.Split(allow, ", "), method); allowed == (status == 405) {
				t.Errorf("%s %s: %d", method, path, status)
			}
			h := b.resp.Header
			if status == 405 && h.Get("Allow") != allow {
				t.Errorf("%s %s: Allow %q", method, path, h.Get("Allow"))
			}
			if method == "HEAD" && b.page != "" {
				t.Errorf("HEAD %s has a body", path)
			}
			csp := h.Get("Content-Security-Policy")
			if strings.Contains(csp, "unsafe") || !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") ||
				!strings.Contains(csp, "form-action 'self'") || h.Get("X-Frame-Options") != "DENY" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") == "" {
				t.Errorf("%s %s: %v", method, path, h)
			}
			static := strings.Contains(path, ".") && status == 200
			if !static && (h.Get("Cache-Control") != "no-store" || status != 303 && !strings.HasPrefix(h.Get("Content-Type"), "text/html; charset=utf-8")) {
				t.Errorf("%s %s: %d, Cache-Control %q, Content-Type %q", method, path, status, h.Get("Cache-Control"), h.Get("Content-Type"))
			}
			// What breaks the policy would not be shown.
			if strings.Contains(b.page, "style=") || strings.Contains(b.page, "<style") || strings.Contains(b.page, "onclick") || strings.Contains(b.page, "<script>") {
				t.Errorf("%s %s has inline style or script", method, path)
			}
		}
	}
	// The Compliance Center's calls are beside the pages.
	if status := b.send("GET", "/setup/Validate", ""); status != 401 || !strings.HasPrefix(b.page, `{"Message"`) {
		t.Errorf("%d %s", status, b.page)
	}
	if status := b.send("GET", "/setup/Validate", "", "Authorization", basic()); status != 200 {
		t.Errorf("%d %s", status, b.page)
	}
	b.get("/Views/other", 404, "There is nothing here")
}

func basic() string {
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth(tenant, secret)
	return r.Header.Get("Authorization")
}

func TestStaticFilesAreKept(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.get("/", 200)
	for _, start := range []string{`href="/Views/style.css`, `src="/Views/page.js`} {
		_, rest, _ := strings.Cut(b.page, start)
		address := start[strings.Index(start, "/"):] + rest[:strings.Index(rest, `"`)]
		other := w.browser()
		other.get(address, 200)
		if !strings.Contains(other.resp.Header.Get("Cache-Control"), "immutable") || other.page == "" {
			t.Errorf("%s: %v", address, other.resp.Header)
		}
		tag := other.resp.Header.Get("ETag")
		if status := other.send("GET", address, "", "If-None-Match", tag); status != 304 {
			t.Errorf("%s again: %d", address, status)
		}
		other.get(strings.Split(address, "?")[0]+"?v=old", 200)
		if strings.Contains(other.resp.Header.Get("Cache-Control"), "immutable") {
			t.Error("an old address is kept for good")
		}
	}
}

// A stranger, or the host that asks whether somebody is there, costs nothing and
// learns nothing.
func TestHomeForStrangers(t *testing.T) {
	w := newWorld(t)
	w.Save(state.Job{ID: "j-1", AccountID: "77", AccountName: "Contoso News"})
	w.Vault.Forbid(true)
	w.BreakState(true)
	asked := w.Vault.Requests()["GetSecret"]
	b := w.browser()
	b.get("/", 200, "The connector is running")
	if w.Vault.Requests()["GetSecret"] != asked {
		t.Error("a stranger makes the connector ask for something")
	}
	if strings.Contains(b.page, "Contoso") || strings.Contains(b.page, tenant) || len(b.resp.Cookies()) != 0 {
		t.Errorf("a stranger is told %s", b.text())
	}
	b.send("GET", "/", "", "Cookie", sessionCookie+"=forged.cookie")
	b.has("cannot check who you are")
	w.Vault.Forbid(false)
	w.Pass(5 * time.Second) // as long as the vault's failure is kept
	b.send("GET", "/", "", "Cookie", sessionCookie+"=forged.cookie")
	b.has("The connector is running")
	if strings.Contains(b.page, "Contoso") {
		t.Error("a forged cookie lets in")
	}
}

func TestSignInAndOut(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	for _, c := range []struct{ tenant, secret string }{{tenant, "wrong"}, {"72f988bf-86f1-41af-91ab-2d7cd011db47", secret}, {"", ""}} {
		b.get("/Configure", 200)
		b.post("/Configure", 403, "do", "enter", "tenantId", c.tenant, "secret", c.secret)
		b.has("do not match", "APISecretKey")
		if strings.Contains(b.page, c.secret) && c.secret != "" {
			t.Error("the page repeats the secret")
		}
	}
	b.get("/Configure", 200)
	for _, c := range b.resp.Cookies() {
		t.Errorf("a second cookie for the form: %s", c)
	}
	b.post("/Configure?saved=0", 303, "do", "enter", "tenantId", " "+strings.ToUpper(tenant), "secret", secret)
	if b.location() != "/Configure?saved=0" {
		t.Errorf("sent to %s", b.location())
	}
	var found bool
	for _, c := range b.resp.Cookies() {
		if c.Name != sessionCookie {
			continue
		}
		found = true
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 1800 || c.Secure || strings.Contains(c.Value, secret) {
			t.Errorf("%+v", c)
		}
	}
	if !found {
		t.Error("there is no session cookie")
	}
	if strings.Contains(b.page, "1.2.3-test") {
		t.Error("a stranger is told the version")
	}
	b.get("/Configure", 200, "Test connection", "Sign out", "Version 1.2.3-test.")
	if strings.Contains(w.Log.String(), "s3cret") {
		t.Errorf("the log holds the secret: %s", w.Log)
	}

	// Forms of a signed-in browser need its own token.
	token := b.csrf()
	for _, wrong := range []string{"", "x", token[:len(token)-1]} {
		if status := b.send("POST", "/Views/SignOut", "csrf="+wrong); status != 403 {
			t.Errorf("token %q: %d", wrong, status)
		}
	}
	b.get("/Configure", 200, "Test connection")
	b.post("/Views/SignOut", 303)
	b.get("/Configure", 200, "APISecretKey")
	b.get("/", 200, "The connector is running")
}

func TestFormsOfOthers(t *testing.T) {
	w := newWorld(t)
	b, other := w.browser(), w.browser()
	other.get("/Configure", 200)
	token := other.csrf()
	// Before there is a session: a form made for another browser.
	b.get("/Configure", 200)
	if status := b.send("POST", "/Configure", "do=enter&tenantId="+tenant+"&secret=x&csrf="+token); status != 403 {
		t.Errorf("another visitor's token: %d", status)
	}
	b.has("out of date")
	// A browser without cookies.
	if status := w.browser().send("POST", "/Configure", "do=enter&tenantId="+tenant+"&secret=x&csrf="+token); status != 403 {
		t.Errorf("no cookie: %d", status)
	}
	// With sessions.
	b.signIn("/Configure")
	other.signIn("/Configure")
	token = other.csrf()
	for _, body := range []string{"do=save&TwitterApiKeyValue=stolen", "do=save&TwitterApiKeyValue=stolen&csrf=", "do=save&TwitterApiKeyValue=stolen&csrf=" + token, "do=test&csrf=" + token} {
		if status := b.send("POST", "/Configure", body); status != 403 {
			t.Errorf("%s: %d", body, status)
		}
	}
	own := b
	own.get("/Configure", 200)
	body := "do=save&TwitterApiKeyValue=stolen&csrf=" + own.csrf()
	for _, origin := range []string{"https://evil.example", "null"} {
		if status := own.send("POST", "/Configure", body, "Origin", origin); status != 403 {
			t.Errorf("from %s: %d", origin, status)
		}
	}
	for _, site := range []string{"cross-site", "same-site"} {
		if status := own.send("POST", "/Configure", body, "Sec-Fetch-Site", site); status != 403 {
			t.Errorf("%s: %d", site, status)
		}
	}
	if w.Vault.Value(secrets.TwitterAPIKey) != jobstest.XKey || w.tried != "" {
		t.Error("a foreign form did something")
	}
	// A browser that says no more than where it is, behind a front end that has
	// replaced the host.
	w.serve(w.Access, w.Jobs, func(o *Options) { o.PublicURL = "http://localhost:7999" })
	if status := own.send("POST", "/Configure", body, "Origin", "http://localhost:7999"); status != 303 {
		t.Errorf("from the pages' own address: %d", status)
	}
	if status := own.send("POST", "/Configure", body, "Sec-Fetch-Site", "same-origin"); status != 303 {
		t.Errorf("its own form: %d", status)
	}
	if status := own.send("POST", "/Configure", strings.Repeat("x", maxForm+1)); status != 400 {
		t.Errorf("a long form: %d", status)
	}
}

func TestSessionsEnd(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.signIn("/Configure")
	w.Pass(access.SessionLife - time.Second)
	b.get("/Status", 200, "Recent tasks")
	token := b.csrf()
	w.Pass(time.Second)
	b.get("/Status", 200, "APISecretKey")
	if status := b.send("POST", "/Configure", "do=save&TwitterApiKeyValue=x&csrf="+token); status != 403 || w.Vault.Value(secrets.TwitterAPIKey) != jobstest.XKey {
		t.Errorf("after its end: %d", status)
	}
	b.has("session has ended")

	b.signIn("/Status")
	w.Vault.Put(secrets.APISecretKey, "a new shared secret of 32 characters")
	w.Pass(5 * time.Minute) // as long as a secret is kept
	b.get("/Status", 200, "APISecretKey")
}

func TestCookiesInAzure(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		host, proto, publicURL string
		secure                 bool
	}{
		{"contoso.azurewebsites.net", "https", "", true},
		{"contoso.azurewebsites.net", "", "", true},
		{"contoso.azurewebsites.net", "http", "", true},
		{"127.0.0.1:7071", "https", "", true},
		{"127.0.0.1:7071", "", "https://contoso.azurewebsites.net", true},
		{"127.0.0.1:7071", "", "", false},
		{"localhost:7071", "http", "", false},
		{"[::1]:7071", "", "", false},
	} {
		w.serve(w.Access, w.Jobs, func(o *Options) { o.PublicURL = c.publicURL })
		r := httptest.NewRequest("GET", "http://"+c.host+"/Configure", nil)
		if c.proto != "" {
			r.Header.Set("X-Forwarded-Proto", c.proto)
		}
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, r)
		cookies := rec.Result().Cookies()
		if len(cookies) != 1 || cookies[0].Secure != c.secure || strings.HasPrefix(cookies[0].Name, "__Host-") != c.secure || !cookies[0].HttpOnly {
			t.Errorf("%+v: %v", c, cookies)
		}
		if hsts := rec.Header().Get("Strict-Transport-Security") != ""; hsts != c.secure {
			t.Errorf("%+v: HSTS %v", c, hsts)
		}
	}
	for name, want := range map[string]string{"": "", "contoso.azurewebsites.net": "https://contoso.azurewebsites.net", "localhost:7071": "http://localhost:7071"} {
		if got := PublicURL(name); got != want {
			t.Errorf("%q: want %q, got %q", name, want, got)
		}
	}
}

func TestSlowedOnPagesToo(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	for range 20 {
		b.get("/Configure", 200)
		b.post("/Configure", 403, "do", "enter", "tenantId", tenant, "secret", "guess")
	}
	b.post("/Configure", 429, "do", "enter", "tenantId", tenant, "secret", "guess")
	b.has("Too many attempts have failed")
	if b.resp.Header.Get("Retry-After") == "" {
		t.Error("it is not said when to try again")
	}
	b.post("/Configure", 303, "do", "enter", "tenantId", tenant, "secret", secret)
}

func TestSharedSecretUnreadable(t *testing.T) {
	w := newWorld(t)
	for _, value := range []string{"", "a secret of less than 32 charac"} {
		w.Vault.Put(secrets.APISecretKey, value)
		w.Pass(5 * time.Minute)
		b := w.browser()
		for _, path := range []string{"/Configure", "/Status", jobURL} {
			b.get(path, 503, "api-secret-key", "cannot be read", "fewer than 32 characters")
		}
	}
}

// TestStrangersGetNothingOfTheSecret: what a stranger is given is random, and not made
// of the shared secret, by which it could be guessed.
func TestStrangersGetNothingOfTheSecret(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.get("/Configure", 200)
	cookies := b.resp.Cookies()
	if len(cookies) != 1 || cookies[0].Value != b.csrf() || len(b.csrf()) < 26 {
		t.Errorf("the stranger has %v and the form's token %s", cookies, b.csrf())
	}
	if w.Vault.Value(secrets.PagesKey) != "" {
		t.Error("a stranger has a key made")
	}
}

// TestVaultThatFailsIsNotHammered: strangers' requests do not each make the connector ask
// a vault that refuses it; once it answers, it is asked within seconds.
func TestVaultThatFailsIsNotHammered(t *testing.T) {
	w := newWorld(t)
	w.Vault.Forbid(true)
	b := w.browser()
	before := w.Vault.Requests()["GetSecret"]
	for range 50 {
		b.get("/Configure", 503, "cannot be read")
	}
	if n := w.Vault.Requests()["GetSecret"] - before; n != 1 {
		t.Errorf("the vault was asked %d times", n)
	}
	w.Vault.Forbid(false)
	w.Pass(5 * time.Second)
	b.get("/Configure", 200, "APISecretKey")
}

// TestHeadEndsNoSignIn: what previews links, or checks them, ends no sign-in with X.
func TestHeadEndsNoSignIn(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.signIn(jobURL)
	back := w.atX(b.toX(jobURL), jobstest.Press)
	if status := b.send("HEAD", back, ""); status != 200 {
		t.Errorf("HEAD: %d", status)
	}
	w.exchanges(0)
	b.get(back, 303)
	w.exchanges(1)
}
