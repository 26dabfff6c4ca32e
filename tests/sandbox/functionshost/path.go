package functionshost

import (
	"errors"
	"net/url"
	"strings"
	"unicode/utf8"
)

// errBadPath is a request target that the host's web server refuses.
var errBadPath = errors.New("the request's path is not valid")

// decodePath turns a raw path, as it is on the request line, into the one
// that routes see, as the host's web server (Kestrel) does: percent-encoding is
// decoded except of a slash, then dot segments are resolved. Bytes that are not
// UTF-8 stay encoded; a NUL is refused.
// https://learn.microsoft.com/aspnet/core/fundamentals/servers/kestrel
func decodePath(raw string) (string, error) {
	if !strings.HasPrefix(raw, "/") {
		return "", errBadPath
	}
	var out strings.Builder
	for i := 0; i < len(raw); {
		text, end := decodeRun(raw, i)
		if end == i {
			text, end = raw[i:i+1], i+1
		}
		out.WriteString(text)
		i = end
	}
	if strings.ContainsRune(out.String(), 0) {
		return "", errBadPath
	}
	return resolveDots(out.String()), nil
}

// decodeRun decodes the percent-encoded bytes that begin at i, as far as they
// go. end is i if there are none.
func decodeRun(raw string, i int) (text string, end int) {
	var bytes []byte
	for end = i; end+2 < len(raw) && raw[end] == '%'; end += 3 {
		b, ok := hexByte(raw[end+1], raw[end+2])
		if !ok {
			break
		}
		bytes = append(bytes, b)
	}
	var out strings.Builder
	for n := 0; n < len(bytes); {
		r, size := utf8.DecodeRune(bytes[n:])
		if r == utf8.RuneError && size <= 1 || r == '/' {
			out.WriteString(raw[i+3*n : i+3*n+3])
			n++
			continue
		}
		out.WriteRune(r)
		n += size
	}
	return out.String(), end
}

func hexByte(high, low byte) (byte, bool) {
	h, ok1 := hexDigit(high)
	l, ok2 := hexDigit(low)
	return h<<4 | l, ok1 && ok2
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// resolveDots removes "." and ".." segments as RFC 3986 section 5.2.4 does. Empty
// segments stay.
func resolveDots(path string) string {
	segments := strings.Split(path[1:], "/")
	out := make([]string, 0, len(segments))
	for i, s := range segments {
		last := i == len(segments)-1
		switch s {
		case ".":
			if last {
				out = append(out, "")
			}
		case "..":
			if len(out) > 0 {
				out = out[:len(out)-1]
			}
			if last {
				out = append(out, "")
			}
		default:
			out = append(out, s)
		}
	}
	return "/" + strings.Join(out, "/")
}

// forwardedPath is the path that the handler gets for a decoded one. The host
// does not pass on what came over the wire: it puts the decoded path into a
// .NET Uri and takes its AbsolutePath, which reads a backslash as a slash, ends at
// "?" and "#", decodes what need not be encoded and then resolves dot
// segments once more. So a route with an open catch-all lets "/x/..%5Cingest"
// arrive as "/ingest". Whether a given .NET decodes "%2e" here is left open by its
// documentation; this is the worse case.
// (azure-functions-host: DefaultHttpWorkerService.GetPathValue)
func forwardedPath(decoded string) string {
	if i := strings.IndexAny(decoded, "?#"); i >= 0 {
		decoded = decoded[:i]
	}
	// .NET's Uri drops a line's end at its own end.
	decoded = strings.ReplaceAll(strings.TrimRight(decoded, "\n"), `\`, "/")
	var plain strings.Builder
	for i := 0; i < len(decoded); i++ {
		if decoded[i] == '%' && i+2 < len(decoded) {
			if b, ok := hexByte(decoded[i+1], decoded[i+2]); ok && unreserved(b) {
				plain.WriteByte(b)
				i += 2
				continue
			}
		}
		plain.WriteByte(decoded[i])
	}
	return escapePath(resolveDots(plain.String()))
}

const upperHex = "0123456789ABCDEF"

// escapePath encodes what may not stand in a path, and leaves what is encoded.
func escapePath(path string) string {
	var out strings.Builder
	for i := 0; i < len(path); i++ {
		c := path[i]
		encoded := false
		if c == '%' && i+2 < len(path) {
			_, encoded = hexByte(path[i+1], path[i+2])
		}
		if unreserved(c) || encoded || strings.IndexByte("/!$&'()*+,;=:@[]", c) >= 0 {
			out.WriteByte(c)
			continue
		}
		out.Write([]byte{'%', upperHex[c>>4], upperHex[c&15]})
	}
	return out.String()
}

// unreserved is RFC 3986 section 2.3.
func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// forwardedQuery is the query that the handler gets: the host reads it into a
// dictionary, whose names ignore case, and writes it anew. A name that comes
// more than once gets its values joined by commas, and what was encoded
// needlessly is not any more.
func forwardedQuery(raw string) string {
	type parameter struct{ name, value string }
	var all []*parameter
	for _, part := range strings.Split(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		p := &parameter{unescape(name), unescape(value)}
		for _, other := range all {
			if strings.EqualFold(other.name, p.name) {
				other.value, p = other.value+","+p.value, nil
				break
			}
		}
		if p != nil {
			all = append(all, p)
		}
	}
	out := make([]string, len(all))
	for i, p := range all {
		out[i] = escape(p.name) + "=" + strings.ReplaceAll(escape(p.value), "%2C", ",")
	}
	return strings.Join(out, "&")
}

func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// unescape leaves alone what is not validly encoded.
func unescape(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return strings.ReplaceAll(s, "+", " ")
}
