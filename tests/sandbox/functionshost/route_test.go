package functionshost

import (
	"strings"
	"testing"
)

func TestRouteMatching(t *testing.T) {
	for _, c := range []struct {
		template string
		yes, no  string // paths, separated by spaces
	}{
		{"", "/", "/a //"},
		{"/", "/", "/a"},
		{"job/IsCreated", "/job/IsCreated /JOB/iscreated /job/IsCreated/", "/job /job/IsCreated/x //job/IsCreated /job//IsCreated /job/IsCreated//"},
		{"{a}", "/x /x/", "/ /x/y"},
		{"{a?}", "/ /x", "/x/y //"},
		{"a/{*rest}", "/a /a/ /a/b/c", "/ /b /ab"},
		{"a/{**rest}", "/a/b//c", "/b"},
		{"{a:regex(^(x|y)$)?}/{*rest}", "/ /x /Y/1/2", "/z /xy"},
		{"{a:regex(^(s|k)$)}", "/s /S /k", "/ſ"}, // in .NET, a long s is no s
		{"{a:regex(^[0-9]{{2}}$)}/z", "/12/z", "/1/z /123/z"},
		{"{a:regex(^a:b$)}", "/a:b", "/a"},
		{"a/{*rest:regex(^[a-z]*$)}", "/a/b", "/a /a/b/c /a/1"},
		{"n/{id:regex(^[0-9]+$)?}", "/n /n/7", "/n/x"},
		{"{a:regex(^.{{2,}}$):regex(^[a-z]*$)}", "/ab", "/a /a1"},
	} {
		r, err := parseRoute(c.template)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		for _, path := range strings.Fields(c.yes) {
			if !r.match(path) {
				t.Errorf("%q does not match %s", c.template, path)
			}
		}
		for _, path := range strings.Fields(c.no) {
			if r.match(path) {
				t.Errorf("%q matches %s", c.template, path)
			}
		}
	}
}

func TestBadRoutes(t *testing.T) {
	for _, template := range []string{"a//b", "{a", "a}", "{}", "{a}/{A}", "{*rest}/x", "{a:nosuch}", "{a:regex()}", "{a:regex([)}", "{a:int}", "{a=home}", "{a:regex(x}",
		"a?", "x-{a}", "{a}{b}", "{a=1?}/{b?x}", "{*a?}", "{a:regex(^x{2}$)}"} {
		if _, err := parseRoute(template); err == nil {
			t.Errorf("%q was taken", template)
		}
	}
}

func TestDecodePath(t *testing.T) {
	for raw, want := range map[string]string{
		"/": "/", "/a%20b": "/a b", "/%61": "/a", "/a%2Fb": "/a%2Fb", "/a%2fb": "/a%2fb", "/%e2%82%ac": "/€", "/%ff": "/%ff", "/%E2%82x": "/%E2%82x",
		"/a/../b": "/b", "/a/%2e%2e/b": "/b", "/a/./b": "/a/b", "/../a": "/a", "/a/..": "/", "/a/%252e%252e/b": "/a/%2e%2e/b", "//a": "//a", "/a%": "/a%", "/a%4": "/a%4", "/%zz": "/%zz",
	} {
		if got, err := decodePath(raw); err != nil || got != want {
			t.Errorf("%s: want %s, got %s, %v", raw, want, got, err)
		}
	}
	for _, raw := range []string{"", "*", "a", "/a%00b"} {
		if got, err := decodePath(raw); err == nil {
			t.Errorf("%q gave %q", raw, got)
		}
	}
}

func TestForwardedPath(t *testing.T) {
	for decoded, want := range map[string]string{
		"/": "/", "/job/IsCreated": "/job/IsCreated", "/a b": "/a%20b", "/€": "/%E2%82%AC", "/a%2Fb": "/a%2Fb", "/a?b": "/a", "/a#b": "/a",
		"/a/%2e%2e/b": "/b", `/a/..\b`: "/b", "/a%41": "/aA", "/setup\n": "/setup", "/a%": "/a%25", "/a%ff": "/a%ff",
	} {
		if got := forwardedPath(decoded); got != want {
			t.Errorf("%s: want %s, got %s", decoded, want, got)
		}
	}
}

func TestForwardedQuery(t *testing.T) {
	for raw, want := range map[string]string{
		"": "", "a=1&b=2": "a=1&b=2", "a=1&A=2": "a=1,2", "a=x%2Cy": "a=x,y", "flag": "flag=", "a=x+y&&": "a=x%20y", "a=%41": "a=A", "a=%zz": "a=%25zz", "a=b=c": "a=b%3Dc",
	} {
		if got := forwardedQuery(raw); got != want {
			t.Errorf("%s: want %s, got %s", raw, want, got)
		}
	}
}

// connectorRoute is the repository's own.
func connectorRoute(t testing.TB, dir string) *httpTrigger {
	a, err := loadApp(dir, settings())
	if err != nil {
		t.Fatal(err)
	}
	return a.named("connector").http
}

// reaches tells whether a raw path is forwarded, and as which.
func reaches(trigger *httpTrigger, raw string) (string, bool) {
	path, err := decodePath(raw)
	if err != nil || hostsOwn("POST", path) != 0 || !trigger.route.match(path) {
		return "", false
	}
	return forwardedPath(path), true
}

var (
	// servedPaths are those that the connector must be reached at.
	servedPaths = []string{"/", "/setup/Validate", "/preview/OnJobCreating", "/job/IsCreated", "/job/OnDeleted", "/job/OnRemediation",
		"/data/OnDownloadRequest", "/api/Configuration", "/api/ConnectorSetup/OAuthUrl", "/api/ConnectorSetup/StoreToken", "/api/ConnectorSetup/GetEntities",
		"/api/ConnectorSetup/SavePage", "/api/ConnectorSetup/DeleteToken", "/Configure", "/Configure/", "/configure", "/Views/TwitterOAuth", "/Views/SignOut", "/Views/style.css", "/Views/a-b_c.1.woff2", "/Status", "/JOB/ISCREATED", "/job/IsCreated/", "/%6Aob/IsCreated"}

	// refusedPaths must never reach the handler, as any spelling of a function's name
	// or of the host's own paths.
	refusedPaths = []string{"/ingest", "/Ingest", "/INGEST", "/ingest/", "/ingest//", "//ingest", "/./ingest", "/ingest/.", "/x/../ingest", "/setup/../ingest",
		"/%69ngest", "/inges%74", "/%49%4E%47%45%53%54", "/ingest%2F", "/%2Fingest", "/ingest%20", "/ingest%00", "/ingest;a=b", "/ingest%3F", "/ingest%23",
		"/setup/%2e%2e/ingest", "/setup/%252e%252e/ingest", "/setup/..%5Cingest", "/setup/..%5cingest", "/setup%5C..%5Cingest", "/setup/..%2Fingest", "/setup/%2e%2e%5Cingest",
		"/api/ConnectorSetup/..%5C..%5Cingest", "/views/a/..%5C..%5C..%5Cingest", "/job/%252e%252e%252fingest", "/setup/.%2e/ingest", "/%5Cingest", "/ingest%5C", "/%ef%bc%a9ngest",
		"/connector", "/Connector/", "/%63onnector", "/setup/..%5Cconnector",
		"/admin", "/admin/host/status", "/Admin/functions/ingest", "/%61dmin/functions/ingest", "/runtime/webhooks/x", "/setup/..%5Cadmin/functions/ingest",
		"/favicon.ico", "/setupx", "/xsetup", "/setup/a/b/c", "/job/-x", "/views/a/.hidden", "/.env", "/SignOut", "/static/app.css"}
)

func TestRoutesOfTheRepository(t *testing.T) {
	trigger := connectorRoute(t, stage(t, nil))
	for _, path := range servedPaths {
		if got, ok := reaches(trigger, path); !ok || !strings.EqualFold(got, strings.ReplaceAll(path, "%6A", "j")) {
			t.Errorf("%s is not forwarded as it is: %q", path, got)
		}
	}
	for _, path := range refusedPaths {
		if got, ok := reaches(trigger, path); ok {
			t.Errorf("%s is forwarded as %s", path, got)
		}
	}
}

// A catch-all would be wrong: the host rewrites the path after it has matched.
func TestCatchAllLetsAFunctionsNameThrough(t *testing.T) {
	r, err := parseRoute("{area:regex(^(setup|job)$)}/{*rest}")
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := reaches(&httpTrigger{route: r}, "/setup/..%5Cingest"); !ok || got != "/ingest" {
		t.Errorf("the stand-in is not as lenient as the host: %q", got)
	}
}

func FuzzNoPathReachesAFunction(f *testing.F) {
	for _, path := range append(servedPaths, refusedPaths...) {
		f.Add(path)
	}
	trigger := connectorRoute(f, stage(f, nil))
	f.Fuzz(func(t *testing.T, raw string) {
		got, ok := reaches(trigger, raw)
		if !ok {
			return
		}
		first, _, _ := strings.Cut(strings.ToLower(strings.Trim(got, "/")), "/")
		switch first {
		case "ingest", "connector", "admin", "runtime":
			t.Errorf("%q is forwarded as %q", raw, got)
		}
		// What was matched is what the handler gets.
		if path, _ := decodePath(raw); escapePath(path) != got {
			t.Errorf("%q was matched as %q and is forwarded as %q", raw, path, got)
		}
	})
}
