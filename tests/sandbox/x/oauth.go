package x

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// param is a name and value as they were before any encoding.
type param struct{ name, value string }

// signed is what a verified request says of itself.
type signed struct {
	token  string
	params map[string]string // oauth_…
}

var (
	errSkew   = errors.New("the timestamp is more than five minutes from now")
	errSigned = errors.New("the request is not signed as RFC 5849 asks")
	errToken  = errors.New("the token is not known")
	errNonce  = errors.New("the nonce was used before")
)

// maxSkew is how far a client's clock may be from ours.
const maxSkew = 5 * time.Minute

// maxForm bounds a form in a request's body.
const maxForm = 1 << 20

// verify checks a request's signature (RFC 5849, sections 3.2 to 3.4). secretOf
// gives the secret of the request's token, false if it is not known.
func (s *Server) verify(r *http.Request, secretOf func(token string) (string, bool)) (signed, error) {
	fromHeader, err := authorization(r.Header.Values("Authorization"))
	if err != nil {
		return signed{}, err
	}
	oauth := map[string]string{}
	for _, p := range fromHeader {
		if _, twice := oauth[p.name]; twice {
			return signed{}, fmt.Errorf("%w: %s comes twice", errSigned, p.name)
		}
		oauth[p.name] = p.value
	}
	for _, name := range []string{"oauth_consumer_key", "oauth_nonce", "oauth_signature", "oauth_signature_method", "oauth_timestamp"} {
		if oauth[name] == "" {
			return signed{}, fmt.Errorf("%w: %s is missing", errSigned, name)
		}
	}
	if oauth["oauth_signature_method"] != "HMAC-SHA1" {
		return signed{}, fmt.Errorf("%w: the method must be HMAC-SHA1", errSigned)
	}
	if v, given := oauth["oauth_version"]; given && v != "1.0" {
		return signed{}, fmt.Errorf("%w: oauth_version must be 1.0", errSigned)
	}
	params, err := requestParams(r)
	if err != nil {
		return signed{}, err
	}
	for _, p := range fromHeader {
		if p.name != "realm" && p.name != "oauth_signature" {
			params = append(params, p)
		}
	}
	tokenSecret, known := secretOf(oauth["oauth_token"])
	want := signature(r.Method, baseURL(r), params, s.opt.ConsumerSecret, tokenSecret)
	right := hmac.Equal([]byte(want), []byte(oauth["oauth_signature"]))
	ours := hmac.Equal([]byte(s.consumerKey()), []byte(oauth["oauth_consumer_key"]))
	if !known {
		return signed{}, errToken
	}
	if !right || !ours {
		return signed{}, fmt.Errorf("%w: key, token or signature is wrong", errSigned)
	}
	return signed{oauth["oauth_token"], oauth}, s.fresh(oauth)
}

// fresh checks the timestamp, and that the nonce is new (RFC 5849, section 3.3).
func (s *Server) fresh(oauth map[string]string) error {
	at, err := strconv.ParseInt(oauth["oauth_timestamp"], 10, 64)
	now := s.now()
	if err != nil || time.Unix(at, 0).Sub(now).Abs() > maxSkew {
		return errSkew
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.swept).Abs() > 2*maxSkew {
		s.swept = now
		for nonce, seen := range s.nonces {
			if time.Unix(seen, 0).Before(now.Add(-2 * maxSkew)) {
				delete(s.nonces, nonce)
			}
		}
	}
	key := oauth["oauth_token"] + "&" + oauth["oauth_timestamp"] + "&" + oauth["oauth_nonce"]
	if _, used := s.nonces[key]; used {
		return errNonce
	}
	s.nonces[key] = at
	return nil
}

// authorization reads the Authorization header (RFC 5849, section 3.5.1).
func authorization(headers []string) ([]param, error) {
	if len(headers) != 1 {
		return nil, fmt.Errorf("%w: one Authorization header is expected", errSigned)
	}
	scheme, rest, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "OAuth") {
		return nil, fmt.Errorf("%w: the scheme is not OAuth", errSigned)
	}
	var out []param
	for part := range strings.SplitSeq(rest, ",") {
		name, quoted, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || len(quoted) < 2 || quoted[0] != '"' || quoted[len(quoted)-1] != '"' {
			return nil, fmt.Errorf("%w: the header is malformed", errSigned)
		}
		n, err1 := url.PathUnescape(name)
		v, err2 := url.PathUnescape(quoted[1 : len(quoted)-1])
		if err1 != nil || err2 != nil {
			return nil, fmt.Errorf("%w: the header is malformed", errSigned)
		}
		out = append(out, param{n, v})
	}
	return out, nil
}

// requestParams are the parameters of the query and of a form in the body
// (RFC 5849, section 3.4.1.3.1). The body can be read again afterwards.
func requestParams(r *http.Request) ([]param, error) {
	out, err := formParams(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "application/x-www-form-urlencoded" {
		return out, nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxForm))
	if err != nil {
		return nil, fmt.Errorf("%w: reading the form: %w", errSigned, err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	more, err := formParams(string(body))
	return append(out, more...), err
}

func formParams(encoded string) ([]param, error) {
	var out []param
	for pair := range strings.SplitSeq(encoded, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		n, err1 := url.QueryUnescape(name)
		v, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil {
			return nil, fmt.Errorf("%w: a parameter is not encoded rightly", errSigned)
		}
		out = append(out, param{n, v})
	}
	return out, nil
}

// baseURL is the base string URI (RFC 5849, section 3.4.1.2).
func baseURL(r *http.Request) string {
	scheme, host := "http", strings.ToLower(r.Host)
	if r.TLS != nil {
		scheme = "https"
		host = strings.TrimSuffix(host, ":443")
	} else {
		host = strings.TrimSuffix(host, ":80")
	}
	return scheme + "://" + host + r.URL.EscapedPath()
}

// signature is the HMAC-SHA1 signature of a request (RFC 5849, sections 3.4.1 and
// 3.4.2).
func signature(method, base string, params []param, consumerSecret, tokenSecret string) string {
	mac := hmac.New(sha1.New, []byte(percent(consumerSecret)+"&"+percent(tokenSecret)))
	mac.Write([]byte(baseString(method, base, params)))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func baseString(method, base string, params []param) string {
	encoded := make([]param, 0, len(params))
	for _, p := range params {
		encoded = append(encoded, param{percent(p.name), percent(p.value)})
	}
	slices.SortFunc(encoded, func(a, b param) int {
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		return strings.Compare(a.value, b.value)
	})
	var pairs []string
	for _, p := range encoded {
		pairs = append(pairs, p.name+"="+p.value)
	}
	return strings.ToUpper(method) + "&" + percent(base) + "&" + percent(strings.Join(pairs, "&"))
}

// percent encodes as RFC 5849, section 3.6 asks: all but unreserved characters.
func percent(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
