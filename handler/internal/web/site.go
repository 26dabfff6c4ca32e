package web

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"xarchive/handler/internal/loopback"
)

// Host is the host that the caller asked for, with its port: Azure's front end may have
// replaced the request's own.
func Host(r *http.Request) string {
	if forwarded, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Host"), ","); strings.TrimSpace(forwarded) != "" {
		return strings.TrimSpace(forwarded)
	}
	return r.Host
}

// Hostname is a host without its port.
func Hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

// Secure reports whether the caller speaks TLS to Azure's front end. Only a request to
// this machine may be plain, for local work, whatever a header says.
func Secure(r *http.Request) bool {
	proto, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Proto"), ",")
	return r.TLS != nil || strings.EqualFold(strings.TrimSpace(proto), "https") || !loopback.Host(Hostname(Host(r)))
}

// OfAnotherSite reports whether a browser made the request for a page of another site:
// by Fetch Metadata, or by Origin where a browser has not that. Callers that are no
// browsers send neither.
// https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header
func OfAnotherSite(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
	default:
		return true
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	u, err := url.Parse(origin)
	return err != nil || !strings.EqualFold(u.Host, Host(r)) && !strings.EqualFold(u.Host, r.Host)
}

// ByBrowser reports whether a browser made the request, for a page or to show its answer.
func ByBrowser(r *http.Request) bool {
	for header := range r.Header {
		if strings.HasPrefix(header, "Sec-Fetch-") {
			return true
		}
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}
