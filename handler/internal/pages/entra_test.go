package pages

import (
	"encoding/base64"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/access"
	"xarchive/handler/internal/audit"
	"xarchive/handler/internal/jobs/jobstest"
	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/web"
	"xarchive/tests/sandbox/certs"
	"xarchive/tests/sandbox/openid"
)

const entraApp, entraSecret = "0c5c2d3e-9c0f-4a57-8a5e-3a8f2c1d7b11", "the-app's-own-secret"

// entraWorld is a world in which people sign in at a real OpenID provider.
type entraWorld struct {
	*world
	provider *openid.Server
	outside  *http.Client // of the browser, for the provider
}

func newEntraWorld(t *testing.T) *entraWorld {
	t.Helper()
	w := &entraWorld{world: newWorld(t)}
	ca, err := certs.Start(t.Context(), certs.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	w.outside = ca.Client()
	w.provider, err = openid.Start(t.Context(), openid.Options{Certificate: ca.Loopback(), TenantID: tenant, ClientID: entraApp, ClientSecret: entraSecret,
		RedirectURIs: []string{w.server.URL + "/Views/Entra/Return"}, People: []openid.Person{openid.Ada, openid.Rita, openid.Norma}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.provider.Stop(); err != nil {
			t.Error(err)
		}
	})
	w.Vault.Put(secrets.AADApplicationID, strings.ToUpper(entraApp))
	w.Vault.Put(secrets.AADApplicationSecret, entraSecret)
	w.instance()
	return w
}

// instance serves a new instance of the connector, which knows its public address.
func (w *entraWorld) instance(change ...func(*Options)) {
	guard := access.New(access.Options{TenantID: tenant, Secrets: w.Vault.Store(w.Now, w.Logger), Now: w.Now, AuthorityURL: w.provider.URL(), HTTP: w.outside})
	w.serve(guard, w.Jobs, append([]func(*Options){func(o *Options) { o.PublicURL = w.server.URL }}, change...)...)
}

// toEntra opens a page, follows its link to Microsoft, and returns where that leads.
func (w *entraWorld) toEntra(b *browser, page string) string {
	w.T.Helper()
	b.get(page, 200, "Sign in with Microsoft", "APISecretKey")
	b.get(w.server.URL+"/Views/Entra?"+url.Values{"to": {page}}.Encode(), 302)
	return b.location()
}

// back is where the browser comes back to, signed in at Entra as somebody.
func (w *entraWorld) back(address, user string) string {
	w.T.Helper()
	back, err := w.provider.SignIn(w.T.Context(), w.outside, address, user)
	if err != nil {
		w.T.Fatal(err)
	}
	return back
}

// enter signs a person in who has a role.
func (w *entraWorld) enter(b *browser, page string, p openid.Person) {
	w.T.Helper()
	b.get(w.back(w.toEntra(b, page), p.User), 303)
	if b.location() != page {
		w.T.Errorf("sent to %s, want %s", b.location(), page)
	}
	b.get(page, 200, "Sign out", p.User)
}

// TestEntraAdministrator: somebody with that role may change everything; the log of changes
// names the person; who signs out is out.
func TestEntraAdministrator(t *testing.T) {
	w := newEntraWorld(t)
	b := w.browser()
	address, err := url.Parse(w.toEntra(b, "/Configure"))
	if err != nil {
		t.Fatal(err)
	}
	asked := address.Query()
	if asked.Get("response_type") != "code" || asked.Get("code_challenge_method") != "S256" || len(asked.Get("code_challenge")) != 43 ||
		asked.Get("state") == "" || asked.Get("nonce") == "" || asked.Get("client_id") != entraApp || asked.Get("redirect_uri") != w.server.URL+"/Views/Entra/Return" {
		t.Errorf("Entra is asked %v", asked)
	}
	w.enter(b, "/Configure", openid.Ada)
	b.post("/Configure", 303, "do", "save", "TwitterApiKeyValue", "a-new-value")
	b.get("/Views/Changes?x=%2Fy", 200, "Settings saved", "ada@contoso.example (Ada Admin), on these pages", openid.Ada.ObjectID, "role Administrator", "Signed in to these pages")
	list, _, err := w.Audit.Newest(t.Context(), 0, 1)
	if want := (audit.Actor{Who: openid.Ada.User, Name: openid.Ada.Name, ObjectID: openid.Ada.ObjectID, Role: "Administrator", Door: "page", From: "127.0.0.1", Session: list[0].Session}); err != nil || list[0].Actor != want || want.Session == "" {
		t.Errorf("the log has %+v, %v", list[0], err)
	}
	log := w.Log.String()
	for _, hidden := range []string{entraSecret, "a-new-value", asked.Get("state"), asked.Get("nonce")} {
		if strings.Contains(log, hidden) {
			t.Errorf("the log holds %s", hidden)
		}
	}

	thief, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	at, _ := url.Parse(w.server.URL)
	thief.SetCookies(at, b.http.Jar.Cookies(at))
	b.get("/Configure", 200)
	b.post("/Views/SignOut", 303)
	b.http.Jar = thief
	for range 2 {
		b.get("/Configure", 200, "Sign in with Microsoft")
		w.instance()
	}
}

// TestEntraAcknowledges: who acknowledges a loss is whom Entra names, whatever a form says.
func TestEntraAcknowledges(t *testing.T) {
	w := newEntraWorld(t)
	now := w.Now()
	w.Save(state.Job{ID: "j-1", TenantID: tenant, AccountID: "77", Handle: "contoso", CreatedAt: now.Add(-48 * time.Hour)})
	w.account(state.Account{ID: "77", LastRun: now, Covered: state.Ranges{{To: now}}, Gaps: []state.Gap{{Range: state.Range{From: now.Add(-30 * time.Hour), To: now.Add(-29 * time.Hour)}, Why: state.LeftOut}}})
	b := w.browser()
	w.enter(b, "/Status", openid.Ada)
	found := regexp.MustCompile(`name="finding" value="([^"]+)"`).FindStringSubmatch(b.page)
	if found == nil || strings.Contains(b.page, "Your name") {
		t.Fatalf("the page is %s", b.text())
	}
	b.post("/Status", 303, "do", "acknowledge", "job", "j-1", "finding", found[1], "by", "somebody else", "reason", "Counsel knows")
	b.get("/Status", 200, "Acknowledged by Ada Admin (ada@contoso.example) on")
	if strings.Contains(b.text(), "somebody else") {
		t.Error("the form's name is shown")
	}
}

// TestEntraReader: somebody with that role sees every page, is shown no form that changes
// anything, and every form that comes all the same is refused with the reason.
func TestEntraReader(t *testing.T) {
	w := newEntraWorld(t)
	loss := state.Range{From: w.Now().Add(-48 * time.Hour), To: w.Now().Add(-47 * time.Hour)}
	w.Save(state.Job{ID: "j-1", TenantID: tenant, AccountID: "77", Handle: "contoso"})
	w.account(state.Account{ID: "77", LastRun: w.Now(), Gaps: []state.Gap{{Range: loss, Why: state.BeyondReach}}})
	e := w.put("1", w.Now(), "what it says")
	b := w.browser()
	w.enter(b, "/Archive", openid.Rita)
	b.get("/Archive/File?name="+e.Name, 200)
	for _, page := range []string{"/", "/Configure", "/Status", "/Status/Account?job=j-1", "/Status/History?job=j-1", "/Archive", "/Archive/Message?name=" + e.Name, "/Views/Changes", jobURL} {
		b.get(page, 200, "Sign out", "You are rita@contoso.example, Reader.")
		if n := strings.Count(b.page, "<button"); n != strings.Count(b.page, `method="get"`)+1 { // the search, and signing out
			t.Errorf("%s has %d buttons: %s", page, n, b.text())
		}
	}
	before, _, err := w.Audit.Newest(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range w.handler.(*web.Mux).Routes() {
		method, page, _ := strings.Cut(m, " ")
		if method != "POST" || page == "/Views/SignOut" || strings.HasPrefix(page, "/api/") || strings.HasPrefix(page, "/setup/") || strings.HasPrefix(page, "/data/") || strings.HasPrefix(page, "/job/") {
			continue
		}
		if page == "/preview/OnJobCreating" {
			page = jobURL
		}
		for _, do := range []string{"save", "test", "acknowledge", "export", "verify", "statement", "sign-in", "count", "read", "stop", ""} {
			b.get("/Configure", 200)
			b.post(page, 403, "do", do, "TwitterApiKeyValue", "stolen", "job", "j-1")
			b.has("This needs the role Administrator", "rita@contoso.example with the role Reader", "Nothing was done")
		}
	}
	for _, do := range []string{"export", "verify", "statement&month=2026-01"} { // an address only looks
		if b.get("/Archive?do="+do, 200, "1 message"); strings.Contains(b.text(), "Verified just now") {
			t.Errorf("the address of %s does it", do)
		}
	}
	if got := w.Vault.Value(secrets.TwitterAPIKey); got == "stolen" {
		t.Error("a Reader has changed a setting")
	}
	if after, _, err := w.Audit.Newest(t.Context(), 0, 100); err != nil || len(after) != len(before) {
		t.Errorf("the log has %d changes more, %v", len(after)-len(before), err)
	}

	// An administrator began a sign-in with X in this browser; a Reader does not end it.
	admin := w.browser()
	w.enter(admin, "/Configure", openid.Ada)
	back := w.atX(admin.toX(strings.Replace(jobURL, "j-1", "j-2", 1)), jobstest.Press)
	at, _ := url.Parse(w.server.URL)
	reader := b.http.Jar.Cookies(at)
	admin.http.Jar.SetCookies(at, reader)
	admin.get(back, 403, "This needs the role Administrator")
	w.exchanges(0)
}

// TestEntraWithoutRole: somebody of the tenant without a role is not let in, and told what to
// ask for.
func TestEntraWithoutRole(t *testing.T) {
	w := newEntraWorld(t)
	b := w.browser()
	b.get(w.back(w.toEntra(b, "/Status"), openid.Norma.User), 403, "You have no role here", "Norma Nobody", openid.Norma.User, openid.Norma.ObjectID, "Reader", "Administrator", "Users and groups")
	b.get("/Status", 200, "Sign in with Microsoft")
	if list, _, err := w.Audit.Newest(t.Context(), 0, 10); err != nil || len(list) != 0 {
		t.Errorf("the log has %v, %v", list, err)
	}
}

// TestEntraTokens: what is not a token of this sign-in, for this app, of this tenant, of now,
// signs nobody in.
func TestEntraTokens(t *testing.T) {
	w := newEntraWorld(t)
	for what, change := range map[string]func(map[string]any){
		"the nonce of another sign-in": func(c map[string]any) { c["nonce"] = "other" },
		"no nonce":                     func(c map[string]any) { delete(c, "nonce") },
		"another audience":             func(c map[string]any) { c["aud"] = "11111111-2222-4333-8444-555555555555" },
		"more audiences":               func(c map[string]any) { c["aud"] = []string{entraApp, "other"} },
		"another issuer":               func(c map[string]any) { c["iss"] = "https://login.example/" + tenant + "/v2.0" },
		"another tenant's issuer": func(c map[string]any) {
			c["iss"] = strings.Replace(c["iss"].(string), tenant, "72f988bf-86f1-41af-91ab-2d7cd011db47", 1)
		},
		"another tenant":      func(c map[string]any) { c["tid"] = "72f988bf-86f1-41af-91ab-2d7cd011db47" },
		"no tenant":           func(c map[string]any) { delete(c, "tid") },
		"expired":             func(c map[string]any) { c["exp"] = time.Now().Add(-time.Hour).Unix() },
		"no end":              func(c map[string]any) { delete(c, "exp") },
		"of tomorrow":         func(c map[string]any) { c["iat"] = time.Now().Add(24 * time.Hour).Unix() },
		"begins tomorrow":     func(c map[string]any) { c["nbf"] = time.Now().Add(24 * time.Hour).Unix() },
		"of nobody":           func(c map[string]any) { delete(c, "oid") },
		"roles that are none": func(c map[string]any) { c["roles"] = "Administrator" },
	} {
		w.provider.Change(change)
		b := w.browser()
		b.get(w.back(w.toEntra(b, "/Configure"), openid.Ada.User), 403, "Nobody is signed in by it", "APISecretKey")
		b.get("/Configure", 200, "Sign in with Microsoft")
		if strings.Contains(b.page, "Sign out") {
			t.Errorf("%s: signed in", what)
		}
	}
	// Roles are compared to the letter; others and spaces in names do no harm.
	w.provider.Change(func(c map[string]any) { c["roles"] = []string{"administrator", "READER"} })
	b := w.browser()
	b.get(w.back(w.toEntra(b, "/Configure"), openid.Ada.User), 403, "You have no role here")
	w.provider.Change(func(c map[string]any) { c["name"] = strings.Repeat("Ada\r\n<b>", 300) })
	b.get(w.back(w.toEntra(b, "/Configure"), openid.Ada.User), 303)
	b.get("/Views/Changes", 200, "Ada <b>Ada")
	for _, token := range []string{"eyJ", entraSecret} {
		if strings.Contains(w.Log.String(), token) {
			t.Errorf("the log holds %s", token)
		}
	}
}

// TestEntraCallbacks: what comes back counts once, in the browser that left, for its state,
// within ten minutes.
func TestEntraCallbacks(t *testing.T) {
	w := newEntraWorld(t)
	at, _ := url.Parse(w.server.URL)
	b, victim := w.browser(), w.browser()
	back := w.back(w.toEntra(b, "/Status"), openid.Ada.User)
	const notBegun = "This browser did not begin this sign-in"
	victim.get(back, 400, notBegun)
	w.toEntra(victim, "/Status") // one of its own
	victim.get(back, 400, notBegun)
	u, _ := url.Parse(back)
	for _, state := range []string{"", "x", u.Query().Get("state") + "x"} {
		q := u.Query()
		q.Set("state", state)
		b.get("/Views/Entra/Return?"+q.Encode(), 400, notBegun)
	}
	if b.send("HEAD", back, ""); w.provider.Exchanges() != 0 {
		t.Errorf("Entra was asked %d times", w.provider.Exchanges())
	}

	// A cookie that somebody made up for a state of another sign-in.
	for _, value := range []string{"", "x", "e30", base64.RawURLEncoding.EncodeToString([]byte(`{"s":"other","n":"n","v":"v","e":99999999999}`))} {
		forged := w.browser()
		forged.http.Jar.SetCookies(at, []*http.Cookie{{Name: entraCookieName(u.Query().Get("state")), Value: value, Path: "/"}})
		forged.get(back, 400, notBegun)
	}

	// The Functions host sends a request again whose answer was lost; so does a thief with
	// the cookies.
	kept := b.http.Jar.Cookies(at)
	b.get(back, 303)
	b.get(back, 400, notBegun)
	replay := w.browser()
	replay.http.Jar.SetCookies(at, kept)
	replay.get(back, 403, "used already")
	replay.get("/Status", 200, "Sign in with Microsoft")

	// Another's code in one's own sign-in: PKCE and the nonce are of the browser that left.
	stolen, _ := url.Parse(w.back(w.toEntra(w.browser(), "/Status"), openid.Ada.User))
	own, _ := url.Parse(w.back(w.toEntra(victim, "/Status"), openid.Rita.User))
	q := own.Query()
	q.Set("code", stolen.Query().Get("code"))
	victim.get("/Views/Entra/Return?"+q.Encode(), 403, "Nobody is signed in by it")

	late := w.browser()
	back = w.back(w.toEntra(late, "/Status"), openid.Ada.User)
	w.Pass(access.EntraSignInLife)
	late.get(back, 400, notBegun)

	// Who cancels is told so, with Microsoft's code and none of its words.
	late.get(w.back(w.toEntra(late, "/Status"), ""), 403, "you cancelled", "AADSTS65004", "APISecretKey")
	if strings.Contains(late.page, "declined") {
		t.Error("the page repeats what the address says")
	}
}

// TestEntraReturnsHome: a sign-in ends on a page of the connector's, whatever it was begun for;
// Entra sends people to the address that is configured, whatever a request says.
func TestEntraReturnsHome(t *testing.T) {
	w := newEntraWorld(t)
	for to, want := range map[string]string{
		"": "/Views/SignIn", "/": "/Views/SignIn", "/Status": "/Status", "/Archive?text=a+b&from=2026-01-01": "/Archive?text=a+b&from=2026-01-01",
		"//evil.example": "", "/\\evil.example": "", "https://evil.example/": "", "/%5cevil.example": "", "/%2fevil.example": "", "/..//evil.example": "", "/x/../..//evil.example": "",
		"/\t/evil.example": "", "///evil.example": "", "javascript:alert(1)": "", "evil.example": "", "/Status\r\nSet-Cookie: a=b": "", "/Status%0d%0aSet-Cookie:%20a=b": "", "?x": "",
	} {
		if want == "" {
			want = "/Views/SignIn"
		}
		if got := local(to); got != want {
			t.Errorf("%q leads to %q", to, got)
		}
	}
	b := w.browser()
	b.get("/Views/Entra?to=https://evil.example/", 302)
	b.get(w.back(b.location(), openid.Ada.User), 303)
	if b.location() != "/Views/SignIn" {
		t.Errorf("sent to %s", b.location())
	}
	if b.send("GET", "/Views/Entra?to=/Status", "", "X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "https"); strings.Contains(b.location(), "evil") {
		t.Errorf("sent to %s", b.location())
	}
	b.send("GET", "/Status", "", "X-Forwarded-Host", "evil.example")
	if strings.Contains(b.page, "evil.example/Views/Entra") {
		t.Error("the link to sign in with Microsoft leads to the host that a request names")
	}

	w.instance(func(o *Options) { o.PublicURL = "https://contoso.example" })
	b.send("GET", "/Views/Entra?to=/Status", "")
	cookie := b.resp.Header.Get("Set-Cookie")
	if !strings.HasPrefix(cookie, "__Host-xarchive-entra-") || !strings.Contains(cookie, "; HttpOnly; Secure; SameSite=Lax") || !strings.Contains(cookie, "Path=/;") {
		t.Errorf("the cookie is %s", cookie)
	}
	if !strings.Contains(b.location(), url.QueryEscape("https://contoso.example/Views/Entra/Return")) {
		t.Errorf("sent to %s", b.location())
	}
}

// TestEntraOutOfOrder: while Entra does not answer, or the app's secret is wrong, the page says
// so, and the shared secret lets people in.
func TestEntraOutOfOrder(t *testing.T) {
	w := newEntraWorld(t)
	b := w.browser()
	w.provider.Down(true)
	b.get("/Views/Entra?to=/Status", 503, "Microsoft Entra cannot be reached", "APISecretKey")
	if !strings.Contains(b.page, `action="/Status"`) {
		t.Errorf("the form leads elsewhere: %s", b.page)
	}
	b.post("/Status", 303, "do", "enter", "tenantId", tenant, "secret", secret)
	b.get("/Status", 200, "Sign out")

	w.provider.Down(false)
	w.Pass(time.Minute)
	b = w.browser()
	back := w.back(w.toEntra(b, "/Status"), openid.Ada.User)
	w.provider.Down(true)
	b.get(back, 503, "Microsoft Entra cannot be reached", "APISecretKey")
	w.provider.Down(false)

	w.Vault.Put(secrets.AADApplicationSecret, "wrong")
	w.Pass(5 * time.Minute) // as long as a secret is kept
	b.get(w.back(w.toEntra(b, "/Status"), openid.Ada.User), 500, "does not accept the connector's client secret", "APISecretKey")

	// Codes that are made up make Entra be asked only so often; the shared secret passes.
	for range 30 {
		u, _ := url.Parse(w.toEntra(b, "/Status"))
		b.send("GET", "/Views/Entra/Return?code=made-up&state="+u.Query().Get("state"), "")
		w.Vault.Put(secrets.AADApplicationSecret, entraSecret)
	}
	if before := w.provider.Exchanges(); before > 35 {
		t.Errorf("Entra was asked %d times", before)
	}
	b.signIn("/Status")

	w.Vault.Put(secrets.AADApplicationSecret, "")
	w.instance()
	b = w.browser()
	b.get("/Status", 200, "APISecretKey")
	if strings.Contains(b.page, "Microsoft.</a>") || strings.Contains(b.page, "/Views/Entra") {
		t.Error("a way is offered that is not set up")
	}
	b.get("/Views/Entra", 500, "not set up")
}
