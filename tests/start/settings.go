package main

import (
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
	IsEncrypted bool
	Values      map[string]string
	Host        struct {
		LocalHTTPPort *int `json:"LocalHttpPort"` // 0 takes a free one
	}
}

// readSettings reads the settings file at path. Its errors say what to do.
func readSettings(path string) (settings, error) {
	var s settings
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return s, fmt.Errorf("%s is missing: run 'cp local.settings.json.sample local.settings.json' and then 'make start'", path)
	}
	if err != nil {
		return s, fmt.Errorf("reading the local settings: %w", err)
	}
	// The file may hold secrets: its errors name places, never values.
	if err := json.Unmarshal(content, &s); err != nil {
		var syntax *json.SyntaxError
		var kind *json.UnmarshalTypeError
		switch {
		case errors.As(err, &syntax):
			return s, fmt.Errorf("%s is not JSON: trouble at byte %d", path, syntax.Offset)
		case errors.As(err, &kind):
			return s, fmt.Errorf("%s: %s is a JSON %s, it must be a %s (put settings' values in quotes)", path, kind.Field, kind.Value, kind.Type)
		}
		return s, fmt.Errorf("%s cannot be read", path)
	}
	switch {
	case s.IsEncrypted:
		return s, fmt.Errorf("%s is encrypted: write it in clear, with \"IsEncrypted\": false", path)
	case len(s.Values) == 0:
		return s, fmt.Errorf("%s has no Values: they are the app's settings", path)
	}
	if p := s.Host.LocalHTTPPort; p != nil && (*p < 0 || *p > 65535) {
		return s, fmt.Errorf("%s: Host.LocalHttpPort is %d, a port is at most 65535", path, *p)
	}
	return s, nil
}

// port is the port to listen on.
func (s settings) port() int {
	if s.Host.LocalHTTPPort != nil {
		return *s.Host.LocalHTTPPort
	}
	return defaultPort
}
