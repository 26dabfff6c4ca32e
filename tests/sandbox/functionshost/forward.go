package functionshost

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
)

// frontEndLimit is how long Azure's load balancer waits for an HTTP answer.
// https://learn.microsoft.com/azure/azure-functions/functions-scale#timeout
const frontEndLimit = 230 * time.Second

// ServeHTTP answers a request from outside.
func (h *Host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw := r.URL.EscapedPath()
	if target, _, _ := strings.Cut(r.RequestURI, "?"); strings.HasPrefix(target, "/") {
		raw = target // as it came over the wire
	}
	path, err := decodePath(raw)
	if err != nil {
		http.Error(w, "", http.StatusBadRequest)
		return
	}
	if status := hostsOwn(path); status != 0 {
		w.WriteHeader(status)
		return
	}
	f := h.app.find(r.Method, path)
	home := path == "/"
	switch {
	case home && !strings.EqualFold(h.env["AzureWebJobsDisableHomepage"], "true"):
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!DOCTYPE html><title>Your Functions app is up and running</title><p>This is the host's own page; set AzureWebJobsDisableHomepage to true.")
	case f == nil && home:
		w.WriteHeader(http.StatusNoContent)
	case f == nil || f.disabled:
		w.WriteHeader(http.StatusNotFound)
	case !f.http.anonymous:
		w.WriteHeader(http.StatusUnauthorized) // there are no function keys here
	default:
		h.forward(w, r, path)
	}
}

// hostsOwn is the status of what the host keeps for itself, 0 for other paths.
// Without the host's keys there is nothing to be had at either.
func hostsOwn(path string) int {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch strings.ToLower(first) {
	case "admin":
		return http.StatusUnauthorized
	case "runtime":
		return http.StatusNotFound
	}
	return 0
}

// forward hands a request to the handler and its answer back, neither following
// redirects nor reading the body into memory.
func (h *Host) forward(w http.ResponseWriter, r *http.Request, path string) {
	limit := h.app.timeout
	if !h.options.NoFrontEnd && (limit == 0 || limit > h.frontLimit) {
		limit = h.frontLimit
	}
	ctx := r.Context()
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	worker, err := h.await(ctx)
	if err != nil {
		h.log.WarnContext(ctx, "no handler for a request", "path", path, "error", err.Error())
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	out, err := h.outgoing(ctx, worker, r, path)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	h.forwarded.Add(1)
	resp, err := h.client.Transport.RoundTrip(out)
	if err != nil {
		status := http.StatusInternalServerError
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			status = http.StatusBadGateway // what the load balancer's caller sees
		}
		h.log.WarnContext(ctx, "the handler did not answer a request", "path", path, "error", err.Error())
		w.WriteHeader(status)
		return
	}
	defer resp.Body.Close()
	header := w.Header()
	for name, values := range resp.Header {
		if !hopByHop[name] {
			header[name] = values
		}
	}
	w.WriteHeader(resp.StatusCode)
	if _, err := io.Copy(flushing{w}, resp.Body); err != nil {
		h.log.WarnContext(ctx, "the handler's answer broke off", "path", path, "error", err.Error())
		panic(http.ErrAbortHandler) // or the caller would take it for whole
	}
}

// outgoing is the request that the handler gets.
func (h *Host) outgoing(ctx context.Context, to *worker, r *http.Request, path string) (*http.Request, error) {
	uri := to.url + forwardedPath(path)
	if query := forwardedQuery(r.URL.RawQuery); query != "" {
		uri += "?" + query
	}
	// Without a Content-Length the host passes on no body.
	var body io.Reader
	if r.ContentLength > 0 {
		body = r.Body
	}
	out, err := http.NewRequestWithContext(ctx, r.Method, uri, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		out.ContentLength = r.ContentLength
	}
	for name, values := range r.Header {
		if !hopByHop[name] {
			out.Header[name] = append([]string(nil), values...)
		}
	}
	out.Host = r.Host
	if !h.options.NoFrontEnd {
		h.passFrontEnd(out, r)
	}
	// The host adds its headers to whatever is there under their names, and its own
	// name behind the caller's.
	add := func(name, value string) {
		out.Header.Set(name, strings.Join(append(out.Header.Values(name), value), ", "))
	}
	add("X-Azure-Functions-HostVersion", Version)
	add("X-Azure-Functions-InvocationId", uuid.NewString())
	out.Header.Set("User-Agent", strings.TrimSpace(r.UserAgent()+" Azure-Functions-Host/"+Version))
	return out, nil
}

// passFrontEnd does to a request what App Service's front end does to one from
// the Internet: its headers replace forged ones, except X-Forwarded-For, which
// grows.
func (h *Host) passFrontEnd(out *http.Request, r *http.Request) {
	if h.options.PublicHost != "" {
		out.Host = h.options.PublicHost
	}
	client := r.RemoteAddr
	if forged := r.Header.Get("X-Forwarded-For"); forged != "" {
		out.Header.Set("X-Forwarded-For", forged+", "+client)
	} else {
		out.Header.Set("X-Forwarded-For", client)
	}
	host, _, _ := net.SplitHostPort(out.Host)
	if host == "" {
		host = out.Host
	}
	for name, value := range map[string]string{
		"X-Forwarded-Proto":      "https",
		"X-Forwarded-TlsVersion": "1.3",
		"X-AppService-Proto":     "https",
		"X-ARR-SSL":              "2048|256|CN=Microsoft Azure RSA TLS Issuing CA 07, O=Microsoft Corporation, C=US|CN=*.azurewebsites.net",
		"X-ARR-LOG-ID":           uuid.NewString(),
		"X-Original-URL":         r.RequestURI,
		"X-WAWS-Unencoded-URL":   r.RequestURI,
		"X-SITE-DEPLOYMENT-ID":   host,
		"WAS-DEFAULT-HOSTNAME":   host,
		"DISGUISED-HOST":         out.Host,
		"CLIENT-IP":              client,
		"Max-Forwards":           "10",
	} {
		out.Header.Set(name, value)
	}
}

// hopByHop are headers of one connection: RFC 9110 section 7.6.1.
var hopByHop = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Proxy-Authenticate": true, "Proxy-Authorization": true,
	"Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true, "Expect": true,
}

// flushing hands every piece of an answer on at once.
type flushing struct{ to http.ResponseWriter }

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.to.Write(p)
	if err == nil {
		err = http.NewResponseController(f.to).Flush()
	}
	return n, err
}
