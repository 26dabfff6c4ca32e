package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// defaultPort is where Core Tools listen, too.
const defaultPort = 7071

// settings is what of local.settings.json matters here.
// https://learn.microsoft.com/azure/azure-functions/functions-develop-local#local-settings-file
type settings struct {
	IsEncrypted *bool
	Values      map[string]string
	Host        struct {
		LocalHTTPPort *int `json:"LocalHttpPort"`
	}
}

// readSettings reads the settings file at path, as strictly and as leniently as Core
// Tools 4: a byte order mark, comments, commas too many and numbers are accepted, and
// a file that does not say IsEncrypted is encrypted. Its errors say what to do.
func readSettings(path string) (settings, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return settings{}, fmt.Errorf("%s is missing: run 'cp local.settings.json.sample local.settings.json' (it is made for 'make sandbox' in another terminal) and then 'make start'", path)
	}
	if err != nil {
		return settings{}, fmt.Errorf("reading the local settings: %w", err)
	}
	var raw struct {
		settings
		Values map[string]json.RawMessage
	}
	// The file may hold secrets: its errors name places, never values.
	if err := json.Unmarshal(plainJSON(content), &raw); err != nil {
		var syntax *json.SyntaxError
		var kind *json.UnmarshalTypeError
		switch {
		case errors.As(err, &syntax):
			line := 1 + bytes.Count(content[:min(int(syntax.Offset), len(content))], []byte("\n"))
			return settings{}, fmt.Errorf("%s is not JSON: look at line %d", path, line)
		case errors.As(err, &kind):
			return settings{}, fmt.Errorf("%s: %s is a JSON %s, it must be a %s", path, kind.Field, kind.Value, kind.Type)
		}
		return settings{}, fmt.Errorf("%s cannot be read", path)
	}
	s := raw.settings
	s.Values = map[string]string{}
	for name, value := range raw.Values {
		text, ok := asText(value)
		if !ok {
			return settings{}, fmt.Errorf("%s: Values.%s is not a text (put it in quotes)", path, name)
		}
		s.Values[name] = text
	}
	switch {
	case s.IsEncrypted == nil:
		return s, fmt.Errorf("%s lacks \"IsEncrypted\": false; without it Core Tools take it for encrypted", path)
	case *s.IsEncrypted:
		return s, fmt.Errorf("%s is encrypted: write it in clear, with \"IsEncrypted\": false", path)
	case len(s.Values) == 0:
		return s, fmt.Errorf("%s has no Values: they are the app's settings", path)
	}
	if p := s.Host.LocalHTTPPort; p != nil && (*p < 1 || *p > 65535) {
		return s, fmt.Errorf("%s: Host.LocalHttpPort is %d, a port is from 1 to 65535 (left out, it is %d)", path, *p, defaultPort)
	}
	return s, nil
}

// asText returns a setting's value as text: a string, or a number or a truth value as
// it stands there.
func asText(value json.RawMessage) (string, bool) {
	var text string
	if json.Unmarshal(value, &text) == nil { // null is ""
		return text, true
	}
	return string(value), len(value) > 0 && value[0] != '{' && value[0] != '['
}

// plainJSON blanks what JSON does not allow and Core Tools do, and leaves every other
// byte in its place: a byte order mark, comments, and a comma before a closing bracket.
func plainJSON(text []byte) []byte {
	out := bytes.Clone(text)
	if bytes.HasPrefix(out, []byte("\ufeff")) {
		copy(out, "   ")
	}
	blank := func(from, to int) {
		for i := from; i < to; i++ {
			if out[i] != '\n' {
				out[i] = ' '
			}
		}
	}
	comma := -1 // the last significant byte, if it is a comma
	for i := 0; i < len(out); i++ {
		switch c := out[i]; {
		case c == '"':
			for i++; i < len(out) && out[i] != '"'; i++ {
				if out[i] == '\\' {
					i++
				}
			}
			comma = -1
		case bytes.HasPrefix(out[i:], []byte("//")):
			end := bytes.IndexByte(out[i:], '\n')
			if end < 0 {
				end = len(out) - i
			}
			blank(i, i+end)
		case bytes.HasPrefix(out[i:], []byte("/*")):
			if end := bytes.Index(out[i:], []byte("*/")); end >= 0 {
				blank(i, i+end+2)
			}
		case c == ',':
			comma = i
		case (c == '}' || c == ']') && comma >= 0:
			blank(comma, comma+1)
			comma = -1
		case c != ' ' && c != '\t' && c != '\r' && c != '\n':
			comma = -1
		}
	}
	return out
}

// port is the port to listen on.
func (s settings) port() int {
	if s.Host.LocalHTTPPort != nil {
		return *s.Host.LocalHTTPPort
	}
	return defaultPort
}
