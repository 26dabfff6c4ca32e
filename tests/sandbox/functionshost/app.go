package functionshost

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// app is a staged function app: what the host reads before it starts anything.
type app struct {
	dir         string
	executable  string   // absolute, or a program's name on the path
	arguments   []string // customHandler.description.arguments
	workingDir  string
	routePrefix string
	timeout     time.Duration // functionTimeout; 0 is none
	console     slog.Level    // from which on the handler's lines are passed on
	functions   []*function
}

// function is one folder with a function.json.
type function struct {
	name     string
	disabled bool
	http     *httpTrigger  // one of the two
	timer    *timerTrigger // is set
}

type httpTrigger struct {
	route     *route
	methods   []string // upper case; empty means every method
	anonymous bool
}

type timerTrigger struct {
	binding      string
	schedule     schedule
	runOnStartup bool
	monitored    bool // whether the host keeps the schedule's state
}

// defaultTimeout is the host's on plans that are not Consumption.
// https://learn.microsoft.com/azure/azure-functions/functions-host-json#functiontimeout
const defaultTimeout = 30 * time.Minute

// loadApp reads and checks dir. Every fault is an error, all of them at once; the
// app is usable if the faults are only those of functions, which it leaves out.
func loadApp(dir string, env map[string]string) (*app, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	a := &app{dir: dir, workingDir: dir, routePrefix: "api", timeout: defaultTimeout}
	if err := a.readHostJSON(env); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, "host.json"), err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the app's folder: %w", err)
	}
	var faults []error
	for _, e := range entries {
		file := filepath.Join(dir, e.Name(), "function.json")
		content, err := os.ReadFile(file)
		if !e.IsDir() || errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			var f *function
			if f, err = parseFunction(e.Name(), content, a.routePrefix, env); err == nil {
				if err = a.clash(f); err == nil {
					a.functions = append(a.functions, f)
				}
			}
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", file, err))
		}
	}
	if len(faults) == 0 && len(a.functions) == 0 {
		faults = append(faults, fmt.Errorf("%s: no function found: the host looks for function.json in direct child folders", dir))
	}
	return a, errors.Join(faults...)
}

// hostJSON is what of host.json matters here.
// https://learn.microsoft.com/azure/azure-functions/functions-host-json
type hostJSON struct {
	Version         string
	FunctionTimeout *string
	Logging         struct{ LogLevel map[string]string }
	Extensions      struct {
		HTTP struct{ RoutePrefix *string }
	}
	CustomHandler *struct {
		Description struct {
			DefaultExecutablePath string
			WorkingDirectory      string
			Arguments             []string
		}
		EnableForwardingHttpRequest bool
		// EnableProxyingHttpRequest, which newer hosts put first, is passed over, as
		// older hosts do: those buffer answers, which is the harder case.
	}
}

func (a *app) readHostJSON(env map[string]string) error {
	content, err := os.ReadFile(filepath.Join(a.dir, "host.json"))
	if err != nil {
		return errors.New("cannot be read: is this a staged app (make package)?")
	}
	var h hostJSON
	if err := json.Unmarshal(content, &h); err != nil {
		return fmt.Errorf("is not valid: %w", err)
	}
	switch {
	case h.Version != "2.0":
		return fmt.Errorf(`the version must be "2.0", it is %q`, h.Version)
	case h.CustomHandler == nil || h.CustomHandler.Description.DefaultExecutablePath == "":
		return errors.New("customHandler.description.defaultExecutablePath is missing")
	case !h.CustomHandler.EnableForwardingHttpRequest:
		return errors.New("customHandler.enableForwardingHttpRequest must be true: HTTP invocations in an envelope are not supported here")
	}
	if p := h.Extensions.HTTP.RoutePrefix; p != nil {
		a.routePrefix = strings.Trim(*p, "/")
	}
	a.console = consoleLevel(h.Logging.LogLevel)
	limit := h.FunctionTimeout
	if override, ok := env["AzureFunctionsJobHost__functionTimeout"]; ok {
		limit = &override
	}
	if limit != nil {
		if a.timeout, err = parseTimeout(*limit); err != nil {
			return fmt.Errorf("functionTimeout: %w", err)
		}
	}
	d := h.CustomHandler.Description
	a.arguments, a.executable = d.Arguments, d.DefaultExecutablePath
	if d.WorkingDirectory != "" {
		a.workingDir = rooted(a.dir, d.WorkingDirectory)
	}
	file := rooted(a.dir, d.DefaultExecutablePath)
	info, err := os.Stat(file)
	switch {
	case err == nil && info.Mode().IsRegular() && info.Mode()&0o111 == 0:
		return fmt.Errorf("the executable %s lacks the executable bit", file)
	case err == nil && info.Mode().IsRegular():
		a.executable = file
	case strings.ContainsAny(d.DefaultExecutablePath, `/\.`) || len(d.Arguments) == 0:
		// A bare name with arguments may be a runtime on the path ("node").
		return fmt.Errorf("the executable %s is not there", file)
	}
	return nil
}

func rooted(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// parseTimeout reads functionTimeout; "-1" is no limit (0 here).
func parseTimeout(text string) (time.Duration, error) {
	if text == "-1" {
		return 0, nil
	}
	d, err := parseTimeSpan(text)
	if err == nil && d < time.Second {
		err = fmt.Errorf("%q is less than the least, one second", text)
	}
	return d, err
}

// functionName is what the host accepts as a function's name.
var functionName = regexp.MustCompile(`^(?i)[a-z][a-z0-9_-]{0,127}$`)

// binding is an element of function.json's bindings, of any kind known here.
type binding struct {
	Type, Direction, Name string

	AuthLevel string // httpTrigger
	Methods   []string
	Route     *string

	Schedule     *string // timerTrigger
	RunOnStartup bool
	UseMonitor   *bool
}

func parseFunction(name string, content []byte, prefix string, env map[string]string) (*function, error) {
	if !functionName.MatchString(name) || strings.EqualFold(name, "host") {
		return nil, fmt.Errorf("%q is not a valid function name", name)
	}
	var config struct {
		Bindings []binding
		Disabled bool
	}
	if err := json.Unmarshal(content, &config); err != nil {
		return nil, fmt.Errorf("is not valid: %w", err)
	}
	f := &function{name: name, disabled: config.Disabled || isTrue(env["AzureWebJobs."+name+".Disabled"])}
	var outputs int
	names := map[string]bool{}
	for i, b := range config.Bindings {
		where := func(err error) error { return fmt.Errorf("binding %d (%s): %w", i+1, b.Type, err) }
		if b.Name == "" || names[b.Name] {
			return nil, where(fmt.Errorf("the name %q is missing or taken", b.Name))
		}
		names[b.Name] = true
		want := map[string]string{"httptrigger": "in", "timertrigger": "in", "http": "out"}[strings.ToLower(b.Type)]
		switch {
		case want == "":
			return nil, where(errors.New("the host has no such binding by itself (an extension bundle would bring more; none is supported here)"))
		case !strings.EqualFold(b.Direction, want):
			return nil, where(fmt.Errorf("the direction is %q, it must be %q", b.Direction, want))
		}
		if want == "out" {
			outputs++
			continue
		}
		if f.http != nil || f.timer != nil {
			return nil, where(errors.New("a function has one trigger"))
		}
		var err error
		if strings.EqualFold(b.Type, "httpTrigger") {
			f.http, err = parseHTTPTrigger(name, b, prefix)
		} else {
			f.timer, err = parseTimerTrigger(b, env)
		}
		if err != nil {
			return nil, where(err)
		}
	}
	switch {
	case f.http == nil && f.timer == nil:
		return nil, errors.New("there is no trigger among the bindings")
	case f.http != nil && outputs != 1:
		return nil, errors.New("an HTTP function needs exactly one http output binding, or its requests are not forwarded")
	case f.timer != nil && outputs != 0:
		return nil, errors.New("an http output binding needs an HTTP trigger")
	}
	return f, nil
}

func parseHTTPTrigger(name string, b binding, prefix string) (*httpTrigger, error) {
	template := name
	if b.Route != nil && *b.Route != "" {
		template = *b.Route
	}
	lower := strings.ToLower(strings.Trim(template, "/"))
	if strings.HasPrefix(lower, "admin") || strings.HasPrefix(lower, "runtime") {
		return nil, fmt.Errorf("the route %q conflicts with the host's own, admin and runtime", template)
	}
	if prefix != "" {
		template = prefix + "/" + strings.TrimPrefix(template, "/")
	}
	t := &httpTrigger{}
	for _, m := range b.Methods {
		t.methods = append(t.methods, strings.ToUpper(m))
	}
	switch strings.ToLower(b.AuthLevel) {
	case "anonymous":
		t.anonymous = true
	case "", "function", "admin", "user", "system":
	default:
		return nil, fmt.Errorf("the authLevel %q is unknown", b.AuthLevel)
	}
	var err error
	t.route, err = parseRoute(template)
	return t, err
}

func parseTimerTrigger(b binding, env map[string]string) (*timerTrigger, error) {
	if b.Schedule == nil {
		return nil, errors.New("the schedule is missing")
	}
	expression, err := resolveSettings(*b.Schedule, env)
	if err != nil {
		return nil, fmt.Errorf("schedule: %w", err)
	}
	s, err := parseSchedule(expression)
	if err != nil {
		return nil, err
	}
	monitored := (b.UseMonitor == nil || *b.UseMonitor) && !s.frequent(time.Now())
	return &timerTrigger{binding: b.Name, schedule: s, runOnStartup: b.RunOnStartup, monitored: monitored}, nil
}

// clash finds the function that f cannot be beside: one of the same name, or one
// whose route is the same text with a method in common. (Two templates that
// overlap otherwise are allowed; the host asks them in turn.)
func (a *app) clash(f *function) error {
	for _, other := range a.functions {
		if strings.EqualFold(f.name, other.name) {
			return fmt.Errorf("the function %q has the same name", other.name)
		}
		if f.http == nil || other.http == nil ||
			!strings.EqualFold(strings.Trim(f.http.route.template, "/"), strings.Trim(other.http.route.template, "/")) {
			continue
		}
		common := func(m string) bool { return slices.Contains(other.http.methods, m) }
		if len(f.http.methods) == 0 || len(other.http.methods) == 0 || slices.ContainsFunc(f.http.methods, common) {
			return fmt.Errorf("the route %q conflicts with that of the function %q", f.http.route.template, other.name)
		}
	}
	return nil
}

// find returns the HTTP function for a request, or nil.
func (a *app) find(method, path string) *function {
	for _, f := range a.functions {
		if f.http != nil && f.http.route.match(path) &&
			(len(f.http.methods) == 0 || slices.Contains(f.http.methods, strings.ToUpper(method))) {
			return f
		}
	}
	return nil
}

// named returns the function of that name, or nil. Case does not matter.
func (a *app) named(name string) *function {
	for _, f := range a.functions {
		if strings.EqualFold(f.name, name) {
			return f
		}
	}
	return nil
}

func isTrue(setting string) bool { return strings.EqualFold(setting, "true") || setting == "1" }
