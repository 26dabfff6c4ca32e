package functionshost

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestForwarding(t *testing.T) {
	h := run(t, Options{PublicHost: "contoso.azurewebsites.net"})
	got := h.echo(t, "POST", "/Api/Configuration/?b=2&a=%41", "body", "X-Custom: 1", "User-Agent: caller/1",
		"X-Azure-Functions-InvocationId: forged", "X-Forwarded-For: 203.0.113.7", "X-ARR-SSL: forged", "Cookie: a=b")
	for what, c := range map[string][2]string{
		"method": {got.Method, "POST"}, "URI": {got.URI, "/Api/Configuration/?b=2&a=A"}, "body": {got.Body, "body"}, "host": {got.Host, "contoso.azurewebsites.net"},
		"header": {got.Header.Get("X-Custom"), "1"}, "cookie": {got.Header.Get("Cookie"), "a=b"}, "proto": {got.Header.Get("X-Forwarded-Proto"), "https"},
		"agent": {got.Header.Get("User-Agent"), "caller/1 Azure-Functions-Host/" + Version}, "version": {got.Header.Get("X-Azure-Functions-HostVersion"), Version},
		"target": {got.Header.Get("X-Original-Url"), "/Api/Configuration/?b=2&a=%41"},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: want %q, got %q", what, c[1], c[0])
		}
	}
	for name, pattern := range map[string]string{
		"X-Azure-Functions-InvocationId": `^forged, [0-9a-f-]{36}$`, // the host adds its own to a forged one
		"X-Forwarded-For":                `^203\.0\.113\.7, 127\.0\.0\.1:\d+$`,
		"X-Arr-Ssl":                      `^2048`,
	} {
		if v := got.Header.Get(name); !regexp.MustCompile(pattern).MatchString(v) {
			t.Errorf("%s: %q", name, v)
		}
	}
	if got := h.echo(t, "GET", "/", ""); got.URI != "/" {
		t.Errorf("the site's root came as %q", got.URI)
	}
	if resp, body := h.send(t, "HEAD", "/Status", ""); resp.StatusCode != 200 || body != "" {
		t.Errorf("HEAD: %d %q", resp.StatusCode, body)
	}
	if h.Forwarded() != 3 {
		t.Errorf("%d requests forwarded", h.Forwarded())
	}
}

func TestWithoutFrontEnd(t *testing.T) {
	h := run(t, Options{NoFrontEnd: true, PublicHost: "contoso.azurewebsites.net"})
	got := h.echo(t, "GET", "/Status", "", "X-Forwarded-For: 203.0.113.7")
	if got.Host != "caller.example" || got.Header.Get("X-Forwarded-For") != "203.0.113.7" || got.Header.Get("X-Arr-Ssl") != "" {
		t.Errorf("%+v", got)
	}
}

func TestRedirectsAndCookiesGoThrough(t *testing.T) {
	h := run(t, Options{})
	resp, _ := h.send(t, "GET", "/api/redirect", "")
	if resp.StatusCode != 302 || resp.Header.Get("Location") != "/api/Configuration" || len(resp.Cookies()) != 1 {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	if got := h.echo(t, "GET", "/Status", ""); got.Header.Get("Cookie") != "" {
		t.Error("the host kept a cookie")
	}
}

// The first fear of every custom handler: that the Internet can do what only the
// timer may.
func TestNothingButTheTimerReachesAFunction(t *testing.T) {
	out := newOutput()
	h := run(t, Options{Stderr: out})
	for _, path := range refusedPaths {
		for _, method := range []string{"POST", "GET"} {
			resp, _ := h.send(t, method, path, `{"Data":{"timer":{"IsPastDue":false}}}`, "Content-Type: application/json",
				"X-Azure-Functions-InvocationId: 6a0f2a1c-1111-4111-8111-000000000000", "User-Agent: Azure-Functions-Host/"+Version, "Host: 127.0.0.1")
			if resp.StatusCode != 404 && resp.StatusCode != 401 && resp.StatusCode != 400 {
				t.Errorf("%s %s: status %d", method, path, resp.StatusCode)
			}
		}
	}
	if h.Forwarded() != 0 {
		t.Errorf("%d of them were forwarded", h.Forwarded())
	}
	if _, err := h.Tick(t.Context(), "ingest"); err != nil {
		t.Fatal(err)
	}
	out.wait(t, "started")
	select {
	case line := <-out.lines:
		t.Errorf("there was another invocation: %s", line)
	default:
	}
}

func TestMethodsOfTheRoute(t *testing.T) {
	h := run(t, Options{})
	for method, want := range map[string]int{"GET": 200, "POST": 200, "DELETE": 200, "PUT": 404, "PATCH": 404, "OPTIONS": 404, "BREW": 404} {
		if resp, _ := h.send(t, method, "/Status", ""); resp.StatusCode != want {
			t.Errorf("%s: want %d, got %d", method, want, resp.StatusCode)
		}
	}
}

// TestHomePage: the host shows its own only where no function's route takes the root.
func TestHomePage(t *testing.T) {
	h := run(t, Options{Env: settings("AzureWebJobsDisableHomepage", "false")})
	if got := h.echo(t, "GET", "/", ""); got.URI != "/" {
		t.Errorf("the root came as %q", got.URI)
	}
	only := map[string]string{"connector/function.json": bindings(goodHTTP, goodOut)}
	for disabled, want := range map[string]int{"false": 200, "true": 204} {
		h := run(t, Options{Dir: stage(t, only), Env: settings("AzureWebJobsDisableHomepage", disabled)})
		if resp, body := h.send(t, "GET", "/", ""); resp.StatusCode != want || (want == 200) != strings.Contains(body, "up and running") || h.Forwarded() != 0 {
			t.Errorf("disabled %s: %d %s", disabled, resp.StatusCode, body)
		}
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("NOT_AN_APP_SETTING", "secret")
	h := run(t, Options{Env: settings("TENANT_ID", "t")})
	_, body := h.send(t, "GET", "/api/env", "")
	var env []string
	if err := json.Unmarshal([]byte(body), &env); err != nil {
		t.Fatal(err)
	}
	all := "\n" + strings.Join(env, "\n") + "\n"
	for _, want := range []string{"FUNCTIONS_CUSTOMHANDLER_PORT=", "FUNCTIONS_CUSTOMHANDLER_WORKER_ID=", "FUNCTIONS_HTTPWORKER_PORT=", "FUNCTIONS_APP_ROOT_PATH=" + h.app.dir + "\n", "TENANT_ID=t\n", "PATH="} {
		if !strings.Contains(all, "\n"+want) {
			t.Errorf("no %q", want)
		}
	}
	if strings.Contains(all, "NOT_AN_APP_SETTING") {
		t.Error("the handler got this process's own environment")
	}
}

func TestEnvelope(t *testing.T) {
	for schedule, monitored := range map[string]bool{"0 0 0 1 1 *": true, "*/30 * * * * *": false, "23:00:00": true} {
		out := newOutput()
		h := run(t, Options{Stderr: out, Env: settings("INGEST_SCHEDULE", schedule, "AzureWebJobs.ingest.Disabled", "true")})
		inv, err := h.Tick(t.Context(), "INGEST")
		if err != nil {
			t.Fatal(err)
		}
		if inv.Status != 200 || inv.Function != "ingest" || len(inv.Logs) != 2 || inv.Logs[1] != "two" || len(inv.ID) != 36 || inv.Start.IsZero() {
			t.Errorf("%+v", inv)
		}
		if all := h.Invocations(); len(all) != 1 || all[0].ID != inv.ID {
			t.Errorf("%+v", all)
		}
		var got struct {
			Data struct {
				Timer struct {
					Schedule       map[string]bool
					ScheduleStatus map[string]time.Time
					IsPastDue      *bool
				} `json:"timer"`
			}
			Metadata struct {
				Timer string `json:"timer"`
				Sys   struct {
					MethodName, RandGuid string
					UtcNow               time.Time
				} `json:"sys"`
			}
		}
		d := json.NewDecoder(strings.NewReader(strings.TrimPrefix(out.wait(t, "started "), "started ")))
		d.DisallowUnknownFields()
		if err := d.Decode(&got); err != nil {
			t.Fatal(err)
		}
		timer, sys := got.Data.Timer, got.Metadata.Sys
		if timer.IsPastDue == nil || *timer.IsPastDue || len(timer.Schedule) != 1 || timer.Schedule["AdjustForDST"] == (schedule == "23:00:00") {
			t.Errorf("%s: %+v", schedule, timer)
		}
		if s := timer.ScheduleStatus; (s != nil) != monitored || monitored && (len(s) != 3 || s["Next"].Before(time.Now()) || s["Last"].Year() != 1) {
			t.Errorf("%s: status %v", schedule, s)
		}
		if got.Metadata.Timer != `""` {
			t.Errorf("metadata of the timer: %q", got.Metadata.Timer)
		}
		if sys.MethodName != "ingest" || len(sys.RandGuid) != 36 || sys.UtcNow.IsZero() {
			t.Errorf("%+v", sys)
		}
	}
}

func TestAnswersThatFailAnInvocation(t *testing.T) {
	for answer, want := range map[string]string{
		"status 500": "status 500", "status 302": "status 302", "status 204": "instead of 200", "status 202": "instead of 200", "text": "application/json",
		"[]": "no JSON object", "{": "no JSON object", `{}`: "Outputs", `{"Outputs":null,"Logs":[]}`: "Outputs", `{"Outputs":{},"Logs":null}`: "Logs",
		`{"Outputs":{},"Logs":[1]}`: "Logs", `{"Outputs":{},"Logs":[null]}`: "Logs", `{"Outputs":{},"Logs":"x"}`: "Logs", `{"Outputs":{"a":1},"Logs":[]}`: "no output binding",
		`{"outputs":{},"Logs":[]}`: "unknown member", `{"Outputs":{},"Logs":[],"Other":1}`: "unknown member", `{"Outputs":{},"Logs":[]} x`: "no JSON object", `{"Outputs":{},"Logs":[]}`: "ReturnValue",
		`{"Outputs":{},"Logs":{},"ReturnValue":null}`: "Logs",
	} {
		w := newRecorder(answer)
		_, err := checkAnswer(w.response(), []byte(w.body))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want an error with %q, got %v", answer, want, err)
		}
	}
	for _, answer := range []string{goodAnswer, `{"Outputs":{},"Logs":[],"ReturnValue":7}`} {
		w := newRecorder(answer)
		if _, err := checkAnswer(w.response(), []byte(w.body)); err != nil {
			t.Errorf("%s: %v", answer, err)
		}
	}
	// And once the whole way.
	h := run(t, Options{Env: settings("ANSWER", "status 500")})
	if inv, err := h.Tick(t.Context(), "ingest"); err == nil || inv.Status != 500 || h.Invocations()[0].Err == nil {
		t.Errorf("%+v, %v", inv, err)
	}
}

// recorder runs timerAnswer without a server.
type recorder struct {
	header http.Header
	status int
	body   string
}

func newRecorder(answer string) *recorder {
	r := &recorder{header: http.Header{}}
	timerAnswer(r, answer)
	return r
}
func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(p []byte) (int, error) { r.body += string(p); return len(p), nil }
func (r *recorder) response() *http.Response {
	return &http.Response{StatusCode: r.status, Header: r.header}
}

func TestTickUnknownFunction(t *testing.T) {
	h := run(t, Options{})
	for _, name := range []string{"connector", "nosuch"} {
		if _, err := h.Tick(t.Context(), name); err == nil {
			t.Errorf("%s ran", name)
		}
	}
}

// TestTicksAtOnce: by its schedule a timer never runs twice at once; a tick on demand
// does not wait.
func TestTicksAtOnce(t *testing.T) {
	t.Parallel()
	out := newOutput()
	h := run(t, Options{Stderr: out, Env: settings("INGEST_SCHEDULE", "* * * * * *", "ANSWER", "block")})
	out.wait(t, "started") // by its schedule
	ended := make(chan error, 1)
	go func() {
		_, err := h.Tick(t.Context(), "ingest")
		ended <- err
	}()
	out.wait(t, "started") // at the same time
	for range 2 {
		h.send(t, "POST", "/api/release", "")
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	out.wait(t, "started") // the next of the schedule, which had come due in the meantime
	if _, most := h.send(t, "GET", "/api/most", ""); most != "2" {
		t.Errorf("%s runs at once, want 2", most)
	}
	h.send(t, "POST", "/api/release", "")
}

func TestWaitInvocations(t *testing.T) {
	t.Parallel()
	h := run(t, Options{Env: settings("INGEST_SCHEDULE", "* * * * * *")})
	all, err := h.WaitInvocations(t.Context(), 2) // by the schedule alone
	if err != nil || len(all) < 2 || all[0].ID == all[1].ID || all[1].Start.Before(all[0].Start.Add(all[0].Duration)) {
		t.Errorf("%+v, %v", all, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.WaitInvocations(ctx, 1000); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// Without timers the schedule does nothing; a tick does.
func TestNoTimers(t *testing.T) {
	t.Parallel()
	h := run(t, Options{NoTimers: true, Env: settings("INGEST_SCHEDULE", "* * * * * *")})
	ctx, cancel := context.WithTimeout(t.Context(), 2100*time.Millisecond) // longer than two periods
	defer cancel()
	if all, err := h.WaitInvocations(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := h.Tick(t.Context(), "ingest"); err != nil {
		t.Error(err)
	}
	if all, err := h.WaitInvocations(t.Context(), 1); err != nil || len(all) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestFunctionTimeout(t *testing.T) {
	t.Parallel()
	h := run(t, Options{Env: settings("ANSWER", "block", "AzureFunctionsJobHost__functionTimeout", "00:00:01")})
	pid := h.PID()
	if _, err := h.Tick(t.Context(), "ingest"); !errors.Is(err, ErrTimeout) {
		t.Fatalf("%v", err)
	}
	if h.PID() != pid {
		t.Error("the handler was killed at once; the host lets it live for 2 seconds")
	}
	if err := h.WaitRestarts(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	h.echo(t, "GET", "/Status", "")
	if h.PID() == pid || h.Restarts() != 1 {
		t.Errorf("the handler was not restarted (%d)", h.Restarts())
	}
}

func TestKilledHandlerIsStartedAnew(t *testing.T) {
	out := newOutput()
	h := run(t, Options{Stderr: out, Env: settings("ANSWER", "block")})
	pid := h.PID()
	failed := make(chan error, 1)
	go func() {
		_, err := h.Tick(context.Background(), "ingest")
		failed <- err
	}()
	out.wait(t, "started")
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err == nil {
		t.Error("the invocation of the killed handler succeeded")
	}
	if err := h.WaitRestarts(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	h.echo(t, "GET", "/Status", "")
	if h.PID() == pid || h.Restarts() != 1 {
		t.Errorf("pid %d, %d restarts", h.PID(), h.Restarts())
	}
	go func() {
		_, err := h.Tick(context.Background(), "ingest")
		failed <- err
	}()
	out.wait(t, "started")
	h.send(t, "POST", "/api/release", "")
	if err := <-failed; err != nil {
		t.Errorf("the next tick: %v", err)
	}
}

func TestRepeatedCrashesEndIt(t *testing.T) {
	h := run(t, Options{})
	for range crashLimit {
		h.replaced(t, func() {
			h.crash(t)
		})
	}
	if err := h.WaitRestarts(t.Context(), crashLimit); !errors.Is(err, ErrHandlerGone) {
		t.Errorf("%v", err)
	}
	if _, err := h.Tick(t.Context(), "ingest"); !errors.Is(err, ErrHandlerGone) {
		t.Errorf("%v", err)
	}
	if conn, err := net.Dial("tcp", h.address); err == nil {
		_ = conn.Close()
		t.Error("the host still listens; after the last crash it ends")
	}
}

// crash has the handler crash. The answer is 500, or none if the host ends with it. The
// request has a body, so that the host does not send it to the next handler, too.
func (h *Host) crash(t *testing.T) {
	t.Helper()
	resp, err := http.Post(h.URL()+"/api/crash", "text/plain", strings.NewReader("x"))
	if err != nil {
		return
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusInternalServerError {
		t.Errorf("status %d", resp.StatusCode)
	}
}

// replaced waits until another handler has come for the one that end ends, or none
// comes any more.
func (h *Host) replaced(t *testing.T, end func()) {
	t.Helper()
	if err := h.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	old := h.worker
	h.mu.Unlock()
	end()
	patience := time.After(30 * time.Second)
	for {
		h.mu.Lock()
		w, gone, changed := h.worker, h.gone, h.changed
		h.mu.Unlock()
		if gone != nil || w != nil && w != old {
			return
		}
		select {
		case <-changed:
		case <-patience:
			t.Fatal("the handler was neither replaced nor given up")
		}
	}
}

// supervisedEnd waits until the handler has been given up.
func (h *Host) supervisedEnd(t *testing.T) {
	t.Helper()
	select {
	case <-h.supervised:
	case <-time.After(30 * time.Second):
		t.Fatal("the handler was not given up")
	}
}

func TestExitCodes(t *testing.T) {
	out := newOutput()
	h := run(t, Options{Stderr: out})
	port := out.wait(t, "port ")
	// With a body: the host sends it once, and not to the next handler, too.
	h.replaced(t, func() { h.send(t, "POST", "/api/again", "x") })
	h.echo(t, "GET", "/Status", "")
	if again := out.wait(t, "port "); h.Restarts() != 1 || again != port {
		t.Errorf("%d restarts, %s after %s; want one, on the same port", h.Restarts(), again, port)
	}
	h.send(t, "GET", "/api/quit", "")
	out.wait(t, "bye") // not lost, though its line has no end
	h.supervisedEnd(t)
	if err := h.WaitReady(t.Context()); !errors.Is(err, ErrHandlerGone) || !strings.Contains(err.Error(), "exit code 0") {
		t.Errorf("%v", err)
	}
	for range 2 { // and so it stays
		if resp, _ := h.send(t, "GET", "/Status", ""); resp.StatusCode != 500 {
			t.Errorf("after exit code 0: want 500, got %d", resp.StatusCode)
		}
	}
}

func TestStartFailures(t *testing.T) {
	out := newOutput()
	_, err := Start(t.Context(), Options{Dir: stage(t, nil), Env: settings("START", "crash"), Stderr: out})
	if err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("%v", err)
	}
	out.wait(t, "no such setting")

	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := Start(ctx, Options{Dir: stage(t, nil), Env: settings("START", "mute")}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := Start(t.Context(), Options{Dir: stage(t, nil), Env: settings(), Port: l.Addr().(*net.TCPAddr).Port}); err == nil || !strings.Contains(err.Error(), "another port") {
		t.Errorf("%v", err)
	}
}

func TestNotReadyInTime(t *testing.T) {
	a, err := loadApp(stage(t, nil), settings())
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(a, Options{Env: settings("START", "mute")}, "")
	h.readyLimit = 200 * time.Millisecond
	if err := h.runWorker(t.Context(), func(error) {}); err == nil || !strings.Contains(err.Error(), "within 200ms") {
		t.Errorf("%v", err)
	}
}

// TestStop: an idle handler is killed at once; one at work has its time, and is never
// told.
func TestStop(t *testing.T) {
	for _, c := range []struct {
		ticks, patient bool
		wantErr        bool
	}{{false, true, false}, {false, false, false}, {true, true, false}, {true, false, true}} {
		out := newOutput()
		h := run(t, Options{Stderr: out, Env: settings("ANSWER", "block")})
		pid, ticked := h.PID(), make(chan error, 1)
		if c.ticks {
			go func() {
				_, err := h.Tick(context.Background(), "ingest")
				ticked <- err
			}()
			out.wait(t, "started")
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if !c.patient {
			cancel()
		}
		if c.ticks && c.patient {
			go func() {
				<-h.stopping
				_, _ = http.Post(h.URL()+"/api/release", "", nil)
			}()
		}
		for range 2 {
			if err := h.Stop(ctx); (err != nil) != c.wantErr {
				t.Errorf("%+v: %v", c, err)
			}
		}
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("%+v: the handler lives", c)
		}
		if c.ticks {
			if err := <-ticked; (err != nil) != c.wantErr {
				t.Errorf("%+v: the tick: %v", c, err)
			}
		}
		if _, err := net.Dial("tcp", h.address); err == nil {
			t.Errorf("%+v: the host still listens", c)
		}
		if _, err := h.Tick(t.Context(), "ingest"); err == nil {
			t.Error("a tick after the end succeeded")
		}
	}
}

// A killed test must not leave handlers behind.
func TestHandlerDiesWithTheHost(t *testing.T) {
	if _, err := os.Stat("/proc/self"); err != nil {
		t.Skip("only Linux can do it")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), role+"=host", "APP="+stage(t, nil))
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var port string
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if _, err := fmt.Sscanf(lines.Text(), "port %s", &port); err == nil {
			continue
		}
		if strings.HasPrefix(lines.Text(), "pid ") {
			break
		}
	}
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		_ = cmd.Process.Kill()
		t.Fatal(err)
	}
	defer conn.Close()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the handler outlives its host")
	}
	_, _ = io.Copy(io.Discard, stdout)
	_ = cmd.Wait()
}
