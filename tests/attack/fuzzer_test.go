package attack

import (
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"xarchive/tests/sandbox"
)

// fuzzer makes requests up.
type fuzzer struct {
	*rand.Rand
	w       *world
	session string // cookies of a person who is signed in
}

func pick[T any](f *fuzzer, from []T) T { return from[f.IntN(len(from))] }

var (
	methods = []string{"GET", "GET", "GET", "POST", "POST", "DELETE", "HEAD", "PUT", "PATCH", "OPTIONS", "TRACE", "get", "X"}

	// calls need authorization; pages show a stranger a form at most.
	calls = []string{"/setup/Validate", "/job/IsCreated", "/job/OnDeleted", "/job/OnRemediation", "/api/Configuration", "/data/OnDownloadRequest",
		"/api/ConnectorSetup/OAuthUrl", "/api/ConnectorSetup/StoreToken", "/api/ConnectorSetup/GetEntities", "/api/ConnectorSetup/SavePage", "/api/ConnectorSetup/DeleteToken"}
	pages = []string{"/", "/Configure", "/Status", "/preview/OnJobCreating", "/Views/TwitterOAuth", "/Views/SignOut", "/Views/style.css", "/Views/page.js", "/Views/icon.svg", "/api/health",
		"/Views/SignIn", "/Views/Entra", "/Views/Entra/Return", "/Views/Changes", "/Archive", "/Archive/Message", "/Archive/File", "/Archive/Body", "/Status/Account", "/api/XActivity"}
	other = []string{"/ingest", "/Ingest/", "/admin/host/status", "/admin/functions/ingest", "/runtime/webhooks", "/.env", "/local.settings.json", "/host.json", "/handler",
		"/api/ingest", "/connector", "/robots.txt", "/debug/pprof/", "/metrics", "/swagger", "/../../etc/passwd", "/Views/../../host.json", "/Views/%2e%2e/handler"}

	parameters = []string{"jobId", "JOBID", "tenantId", "jobType", "redirectUrl", "remediationType", "loginUrl", "oauth_token", "oauth_verifier", "denied", "v", "account", "saved", "q", "n", "id", "from", "to",
		"state", "code", "error", "error_description", "do", "name", "kind", "text", "month", "before", "job", "tasks", "crc_token"}
	members = []string{"JobId", "TaskId", "StartTime", "EndTime", "DirtyEntities", "BlobSasUri", "TwitterApiKeyValue", "AADAppIdValue", "temporaryAccessCode", "redirectUrl", "jobId", "Id", "Name", "__proto__"}
	values  = []string{"", "job-z", ".", "..", "../../jobs/x", "a.", "a/b", "a%2Fb", "a\x00b", "a\r\nSet-Cookie: x=y", "<script>alert(1)</script>", "' OR 1=1 --", "${jndi:ldap://x}", "{{7*7}}",
		"Twitter", "Relogin", "0", "-1", "1e309", "9223372036854775808", "99999999999999999999", "2026-01-31T13:45:00Z", "0001-01-01T00:00:00", "9999-12-31T23:59:59.9999999", "2026-02-30T25:61:61",
		"https://evil.example/oauth/authenticate?oauth_token=x", "javascript:alert(1)", "//evil.example", "http://169.254.169.254/metadata/identity/oauth2/token",
		"https://example.blob.core.windows.net/container?sv=2024-11-04&sr=c&sp=wc&sig=c2ln", "https://localhost/c?sig=x", "file:///etc/passwd",
		"\xff\xfe", "\u202e\u0000", "🜁", "%00", "%", "%zz", strings.Repeat("A", 5000), strings.Repeat("[", 3000), "null", "true", "NaN"}
	headers = []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "X-Azure-Functions-InvocationId", "X-Functions-Key", "Origin", "Referer",
		"Sec-Fetch-Site", "Sec-Fetch-Mode", "Content-Type", "Accept", "Accept-Encoding", "Cookie", "Host", "If-None-Match", "Range", "Expect", "traceparent", "baggage", "User-Agent", "X-MS-CLIENT-PRINCIPAL", "X-ARR-ClientCert", "Content-Encoding", "X-Twitter-Webhooks-Signature"}
	headerValues = []string{"", "127.0.0.1", "1.2.3.4, 5.6.7.8:99", "evil.example", "https", "http", "DELETE", "cross-site", "same-origin", "navigate", "https://evil.example", "null", "text/plain", "application/json", "application/xml",
		"multipart/form-data; boundary=x", "text/html", "gzip", "xarchive-session=forged.cookie", "__Host-xarchive-session=e30.x; xarchive-form=x", "*", "bytes=0-", "100-continue", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Azure-Functions-Host/4.0", strings.Repeat("h", 3000)}
)

// mutated returns a text with some bytes changed, or as it is.
func (f *fuzzer) mutated(s string) string {
	for f.IntN(6) == 0 && len(s) > 0 {
		i := f.IntN(len(s))
		switch f.IntN(4) {
		case 0:
			s = s[:i] + s[i+1:]
		case 1:
			s = s[:i] + string(rune(f.IntN(0x300))) + s[i:]
		case 2:
			s = s[:i] + strings.ToUpper(s[i:])
		case 3:
			s += s[i:]
		}
	}
	return s
}

// who says who calls: a stranger with something in hand, somebody with the shared secret, or
// a person who is signed in to the pages.
type who int

const (
	stranger who = iota
	secretHolder
	signedIn
)

// authorization is one of a stranger's.
func (f *fuzzer) authorization() string {
	basic := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	return pick(f, []string{"", "", basic(sandbox.TenantID, "wrong"), basic(sandbox.TenantID, sandbox.APISecretKey[1:]+"x"), basic("", ""), basic(sandbox.TenantID, ""), "Basic", "Basic !!!", "basic\t" + basic("a", "b"),
		basic("00000000-0000-0000-0000-000000000000", pick(f, values)), "Bearer", "Bearer x.y.z", "Bearer eyJhbGciOiJub25lIn0.e30.", "Negotiate x", pick(f, values), basic(sandbox.TenantID, pick(f, values))})
}

// request makes one request up, sends it, and looks at the answer.
func (f *fuzzer) request() {
	method, path, query := pick(f, methods), f.path(), f.query()
	by := stranger
	header := http.Header{}
	switch f.IntN(10) {
	case 0, 1:
		by = secretHolder
	case 2:
		by = signedIn
	}
	for range f.IntN(5) {
		header.Add(pick(f, headers), pick(f, headerValues))
	}
	switch by {
	case secretHolder:
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(sandbox.TenantID+":"+sandbox.APISecretKey)))
	case signedIn:
		header.Set("Cookie", f.session)
		header.Set("Authorization", f.authorization())
	default:
		header.Set("Authorization", f.authorization())
	}
	body := ""
	if method != "GET" && method != "HEAD" {
		body = f.body(header)
	}
	if by == stranger && f.IntN(12) == 0 {
		f.raw(method, path+query, header, body)
		return
	}
	u := f.w.Host.URL()
	req, err := http.NewRequestWithContext(f.w.t.Context(), method, u, strings.NewReader(body))
	if err != nil {
		return // net/http does not send it; raw does
	}
	req.URL.Opaque = "//" + req.URL.Host + path + query
	for name, values := range header {
		for _, v := range values {
			if name == "Host" {
				continue
			}
			req.Header.Add(name, v)
		}
	}
	resp, err := client.Do(req)
	if err != nil {
		return // it could not be sent, or the host has cut it
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return
	}
	f.judge(by, method, path, query, body, resp.StatusCode, fmt.Sprint(resp.Header)+string(answer))
}

// raw sends what no library would.
func (f *fuzzer) raw(method, target string, header http.Header, body string) {
	u, err := url.Parse(f.w.Host.URL())
	if err != nil {
		f.w.t.Error(err)
		return
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		f.w.t.Error(err)
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second)) // some are never answered, as they should be
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s\r\n", method, target, pick(f, []string{"HTTP/1.1", "HTTP/1.0", "HTTP/9.9"}))
	fmt.Fprintf(&b, "Host: %s\r\n", pick(f, []string{u.Host, "evil.example", "", "127.0.0.1"}))
	for name, values := range header {
		for _, v := range values {
			fmt.Fprintf(&b, "%s: %s\r\n", name, v)
		}
	}
	length := pick(f, []int{len(body), len(body), len(body) / 2, 0})
	fmt.Fprintf(&b, "Content-Length: %d\r\nConnection: close\r\n\r\n%s", length, body)
	if _, err := io.WriteString(conn, b.String()); err != nil {
		return
	}
	if status, text, err := readRaw(conn); err == nil {
		f.judge(stranger, method, target, "", body, status, text)
	}
}

// path is a path, sometimes a bit changed.
func (f *fuzzer) path() string {
	path := pick(f, pick(f, [][]string{calls, calls, pages, pages, other}))
	if f.IntN(4) == 0 {
		path = pick(f, []string{strings.ToLower(path), strings.ToUpper(path), path + "/", "/" + path, path + "//", path + "/x", path + ";x=y", strings.ReplaceAll(path, "/", "/./"), "/x/.." + path, f.mutated(path)})
	}
	return clean.Replace(path)
}

// clean keeps a target on its line.
var clean = strings.NewReplacer(" ", "%20", "\r", "%0d", "\n", "%0a", "#", "%23", "\x00", "%00", "?", "%3f")

func (f *fuzzer) query() string {
	var parts []string
	for range f.IntN(4) {
		value := pick(f, values)
		if f.IntN(2) == 0 {
			value = job
		}
		if name := pick(f, parameters); f.IntN(5) > 0 {
			parts = append(parts, name+"="+url.QueryEscape(value))
		} else {
			parts = append(parts, name+"="+clean.Replace(value))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "?" + strings.Join(parts, pick(f, []string{"&", "&", "&", ";"}))
}

// body is a body of one of the types that calls and pages take, or of none.
func (f *fuzzer) body(header http.Header) string {
	var b strings.Builder
	switch f.IntN(6) {
	case 0:
		return ""
	case 1:
		for range f.IntN(200) {
			b.WriteByte(byte(f.IntN(256)))
		}
		return b.String()
	case 2:
		header.Set("Content-Type", "application/x-www-form-urlencoded")
		form := url.Values{"csrf": {pick(f, values)}, "do": {pick(f, []string{"enter", "save", "test", "sign-in", "export", "verify", "statement", "acknowledge", "x"})}, "tenantId": {sandbox.TenantID}, "secret": {pick(f, values)}}
		for range f.IntN(3) {
			form.Set(pick(f, members), pick(f, values))
		}
		return form.Encode()
	}
	header.Set("Content-Type", "application/json")
	b.WriteString("{")
	for i := range f.IntN(7) {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, "%q:%s", pick(f, members), f.json(0))
	}
	b.WriteString("}")
	return f.mutated(b.String())
}

func (f *fuzzer) json(depth int) string {
	switch n := f.IntN(8); {
	case n == 0 && depth < 4:
		var parts []string
		for range f.IntN(6) {
			parts = append(parts, f.json(depth+1))
		}
		return "[" + strings.Join(parts, ",") + "]"
	case n == 1 && depth < 4:
		return "{" + fmt.Sprintf("%q:", pick(f, members)) + f.json(depth+1) + "}"
	case n == 2:
		return pick(f, []string{"null", "true", "0", "-1", "1e400", "12345678901234567890", "1.5"})
	case n == 3:
		return fmt.Sprintf("%q", job)
	}
	return fmt.Sprintf("%q", pick(f, values))
}

// judge looks at an answer: nothing failed, a stranger got nothing, no secret is in it.
func (f *fuzzer) judge(by who, method, path, query, body string, status int, text string) {
	t := f.w.t
	what := fmt.Sprintf("%s %s%s with a body of %d bytes, by %s", method, path, query, len(body), map[who]string{stranger: "a stranger", secretHolder: "one with the secret", signedIn: "one signed in"}[by])
	for _, secret := range f.w.leaks(text) {
		t.Errorf("%s: the answer holds %s", what, secret)
	}
	if strings.Contains(text, "panic") || strings.Contains(text, "goroutine") || strings.Contains(text, "xarchive/handler/") {
		t.Errorf("%s: the answer shows insides: %.500s", what, text)
	}
	// The host's own failures, which have no body, are not the connector's.
	if status >= 500 && (strings.Contains(text, `"Message"`) || strings.Contains(text, "<html")) && !(by == signedIn || by == secretHolder) {
		t.Errorf("%s: %d %.300s", what, status, text)
	}
	// The host itself answers the start page's other methods with 204 and nothing.
	if by == stranger && status/100 == 2 && status != http.StatusNoContent && !public(path, text) {
		t.Errorf("%s: a stranger gets %d %.300s", what, status, text)
	}
}

// answersChallenge is an answer to X's challenge and nothing else.
var answersChallenge = regexp.MustCompile(`\{"response_token":"sha256=[A-Za-z0-9+/]{43}="\}$`)

// public reports whether an answer is one that a stranger may have: a form to sign in, the
// start page, style, script, the one word of the health call, or the answer to a challenge of
// X's, which anybody may pose: it is no event's signature, since no event is such a text.
func public(path, text string) bool {
	if strings.Contains(text, "tenantId") && strings.Contains(text, `name="secret"`) && !strings.Contains(text, "Sign out") {
		return true
	}
	if strings.Contains(text, "The connector is running") || strings.Contains(text, "A sign-in ends here") {
		return true
	}
	for _, kind := range []string{"text/css", "text/javascript", "image/svg+xml"} {
		if strings.Contains(text, "Content-Type:["+kind) {
			return true
		}
	}
	if health := strings.Contains(strings.ReplaceAll(strings.ToLower(path), "/./", "/"), "/api/health"); health && !strings.Contains(text, "jobs") && (strings.Contains(text, `{"level":`) || strings.HasSuffix(text, "]")) {
		return true
	}
	if strings.Contains(strings.ReplaceAll(strings.ToLower(path), "/./", "/"), "/api/xactivity") && (answersChallenge.MatchString(strings.TrimSpace(text)) || strings.HasSuffix(text, "]") && strings.Contains(text, "application/json")) {
		return true
	}
	// A HEAD: the header alone, of a page.
	return strings.HasSuffix(text, "]") && strings.Contains(text, "Content-Type:[text/html")
}
