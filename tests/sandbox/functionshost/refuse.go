package functionshost

import (
	"mime"
	"net/http"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Limits of the host's web server, in bytes.
// https://learn.microsoft.com/aspnet/core/fundamentals/servers/kestrel/options
const (
	maxRequestLine = 8 << 10
	maxHeaders     = 32 << 10
	maxBody        = 100 << 20 // the host's own
)

// tooLarge is the status of a request that the web server does not take, else 0.
func tooLarge(r *http.Request) int {
	if len(r.Method)+len(r.RequestURI)+len(r.Proto)+len("  \r\n") > maxRequestLine {
		return http.StatusRequestURITooLong
	}
	size := len("Host: \r\n") + len(r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			size += len(name) + len(v) + len(": \r\n")
		}
	}
	if size > maxHeaders {
		return http.StatusRequestHeaderFieldsTooLarge
	}
	return 0
}

// hostsOwn is the status of what the host keeps for itself, 0 for other paths.
// Without the host's keys there is little to be had.
func hostsOwn(method, path string) int {
	path = strings.ToLower(path)
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch {
	case path == "/admin/host/ping":
		return http.StatusOK
	case path == "/admin/host/status" && method == http.MethodPost:
		return http.StatusNotFound
	case first == "admin", first == "runtime":
		return http.StatusUnauthorized
	}
	return 0
}

var ordinaryHost = regexp.MustCompile(`^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?$`)

// unforwardable is the status of a request that a function's route matches and the
// host yet fails to hand on, else 0. Any stranger can cause these answers; the handler
// never learns of them.
func unforwardable(r *http.Request) int {
	for _, values := range r.Header {
		for _, v := range values {
			switch {
			case !utf8.ValidString(v):
				return http.StatusBadRequest
			case strings.IndexFunc(v, func(c rune) bool { return c > 126 }) >= 0:
				return http.StatusInternalServerError
			}
		}
	}
	kind := r.Header.Get("Content-Type")
	media, _, err := mime.ParseMediaType(kind)
	switch {
	case kind != "" && (err != nil || !strings.Contains(media, "/")):
		return http.StatusInternalServerError
	case !ordinaryHost.MatchString(r.Host):
		return http.StatusInternalServerError
	case r.ContentLength < 0: // chunked
		return http.StatusInternalServerError
	case r.ContentLength > maxBody:
		return http.StatusInternalServerError
	}
	return 0
}
