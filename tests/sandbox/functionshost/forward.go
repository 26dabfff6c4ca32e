package functionshost

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// frontEndLimit is how long Azure's load balancer waits for an HTTP answer.
// https://learn.microsoft.com/azure/azure-functions/functions-scale#timeout
const frontEndLimit = 230 * time.Second

// ServeHTTP answers a request from outside.
func (h *Host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if status := tooLarge(r); status != 0 {
		w.WriteHeader(status)
		return
	}
	raw := r.URL.EscapedPath()
	if target, _, _ := strings.Cut(r.RequestURI, "?"); strings.HasPrefix(target, "/") {
		raw = target // as it came over the wire
	}
	path, err := decodePath(raw)
	if err != nil {
		http.Error(w, "", http.StatusBadRequest)
		return
	}
	if status := hostsOwn(r.Method, path); status != 0 {
		w.WriteHeader(status)
		return
	}
	f := h.app.find(r.Method, path)
	switch {
	case f == nil && path == "/" && !isTrue(h.env["AzureWebJobsDisableHomepage"]):
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!DOCTYPE html><title>Your Functions app is up and running</title><p>This is the host's own page; set AzureWebJobsDisableHomepage to true.")
	case f == nil && path == "/":
		w.WriteHeader(http.StatusNoContent)
	case f == nil || f.disabled:
		w.WriteHeader(http.StatusNotFound)
	case !f.http.anonymous:
		w.WriteHeader(http.StatusUnauthorized) // there are no function keys here
	default:
		if status := unforwardable(r); status != 0 {
			h.log.WarnContext(r.Context(), "a request cannot be forwarded", "path", path, "status", status)
			w.WriteHeader(status)
			return
		}
		h.forward(w, r, path)
	}
}

// forward hands a request to the handler and its whole answer back. It follows no
// redirects.
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
	h.forwarded.Add(1)
	resp, answer, err := h.deliver(ctx, r, path)
	if err != nil {
		status := http.StatusInternalServerError
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			status = http.StatusBadGateway // what the load balancer's caller sees
		}
		h.log.WarnContext(ctx, "the handler did not answer a request", "path", path, "error", err.Error())
		w.WriteHeader(status)
		return
	}
	header := w.Header()
	for name, values := range resp.Header {
		if !dropped[name] {
			header[name] = values
		}
	}
	if r.Method != http.MethodHead {
		header.Set("Content-Length", strconv.Itoa(len(answer)))
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(answer)
}

// sends is how often a request without a body is sent at most, if the handler
// closes the connection before it answers: .NET's HTTP client repeats it.
const sends = 4

// largeBody is the size from which on an answer before the whole body was sent is
// lost; what is smaller lies in buffers by then. Seen from 300 KB on, at times, and
// from 5 MiB on always.
const largeBody = 300 << 10

// deliver sends a request to the handler, and returns the answer once all of it is
// there. What is broken off is an error, and so is an answer before the whole
// of a large body has been sent.
func (h *Host) deliver(ctx context.Context, r *http.Request, path string) (*http.Response, []byte, error) {
	id := uuid.NewString()
	worker, err := h.await(ctx)
	if err != nil {
		return nil, nil, err
	}
	var failed error
	for range sends {
		body := &counted{from: r.Body}
		out, err := h.outgoing(ctx, worker, r, path, id, body)
		if err != nil {
			return nil, nil, err
		}
		resp, err := h.client.Transport.RoundTrip(out)
		if err == nil {
			answer, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err == nil && r.ContentLength >= largeBody && r.ContentLength > body.read.Load() {
				err = errors.New("the handler answered before it had read the body")
			}
			return resp, answer, err
		}
		var unreachable *net.OpError
		if failed = err; r.ContentLength > 0 || ctx.Err() != nil || errors.As(err, &unreachable) && unreachable.Op == "dial" {
			break
		}
	}
	return nil, nil, failed
}

// counted counts the bytes that were read of a body.
type counted struct {
	from io.Reader
	read atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.read.Add(int64(n))
	return n, err
}

// outgoing is the request that the handler gets.
func (h *Host) outgoing(ctx context.Context, to *worker, r *http.Request, path, id string, from io.Reader) (*http.Request, error) {
	uri := to.url + forwardedPath(path)
	if query := forwardedQuery(r.URL.RawQuery); query != "" {
		uri += "?" + query
	}
	var body io.Reader
	if r.ContentLength > 0 {
		body = from
	}
	out, err := http.NewRequestWithContext(ctx, r.Method, uri, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		out.ContentLength = r.ContentLength
	}
	for name, values := range r.Header {
		if !dropped[name] && name != "Content-Encoding" {
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
	add("X-Azure-Functions-InvocationId", id)
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

// dropped are the headers of one connection that the host does not pass on. The
// others of RFC 9110, section 7.6.1, it does: Keep-Alive, TE, Proxy-Authorization.
var dropped = map[string]bool{
	"Connection": true, "Proxy-Connection": true, "Proxy-Authenticate": true,
	"Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
}
