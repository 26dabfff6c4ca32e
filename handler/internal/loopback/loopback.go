// Package loopback reports whether a host name means this machine. What must be
// TLS elsewhere may be plain there, for the stand-ins of local work.
package loopback

import (
	"net/netip"
	"strings"
)

// Host tells whether a host, without port and as url.URL.Hostname gives it, is
// localhost or a loopback address. Names are not resolved: what DNS says of a
// name proves nothing.
func Host(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
