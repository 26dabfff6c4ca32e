package importservice

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// This file reads JSON as strictly as the wire contract is meant: names letter for
// letter, each once, none missing, none more. encoding/json alone forgives all that.

// value is a JSON value and where it is, for errors.
type value struct {
	where string
	raw   json.RawMessage
}

func (v value) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: %s", v.where, fmt.Sprintf(format, args...))
}

// document reads a whole text, which must be one JSON value.
func document(where string, text []byte) (value, error) {
	if !utf8.Valid(text) {
		return value{}, fmt.Errorf("%s: not UTF-8", where)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	var raw json.RawMessage
	if err := d.Decode(&raw); err != nil {
		return value{}, fmt.Errorf("%s: not JSON: %w", where, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return value{}, fmt.Errorf("%s: something follows the JSON value", where)
	}
	return value{where, raw}, nil
}

// object reads an object that has exactly these members.
func (v value) object(names ...string) (map[string]value, error) {
	d := json.NewDecoder(bytes.NewReader(v.raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, v.errorf("not an object")
	}
	members := map[string]value{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, v.errorf("%v", err)
		}
		name, _ := t.(string)
		if _, again := members[name]; again {
			return nil, v.errorf("the member %q is there twice", name)
		}
		if !slices.Contains(names, name) {
			return nil, v.errorf("unknown member %q", name)
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, v.errorf("%v", err)
		}
		members[name] = value{v.where + "." + name, raw}
	}
	for _, name := range names {
		if _, ok := members[name]; !ok {
			return nil, v.errorf("the member %q is missing", name)
		}
	}
	return members, nil
}

func (v value) null() bool { return string(v.raw) == "null" }

// list reads an array.
func (v value) list() ([]value, error) {
	var raws []json.RawMessage
	if err := json.Unmarshal(v.raw, &raws); err != nil || v.null() {
		return nil, v.errorf("not a list")
	}
	all := make([]value, len(raws))
	for i, raw := range raws {
		all[i] = value{fmt.Sprintf("%s[%d]", v.where, i), raw}
	}
	return all, nil
}

// text reads a string.
func (v value) text() (string, error) {
	var s string
	if !bytes.HasPrefix(v.raw, []byte(`"`)) || json.Unmarshal(v.raw, &s) != nil {
		return "", v.errorf("not a string")
	}
	return s, nil
}

// filled reads a string that is not empty.
func (v value) filled() (string, error) {
	s, err := v.text()
	if err == nil && strings.TrimSpace(s) == "" {
		err = v.errorf("empty")
	}
	return s, err
}

// textOrNull checks for a string or null.
func (v value) textOrNull() error {
	if v.null() {
		return nil
	}
	_, err := v.text()
	return err
}

// one checks for one of these strings.
func (v value) one(of ...string) error {
	s, err := v.text()
	if err == nil && !slices.Contains(of, s) {
		err = v.errorf("%q, and not one of %q", s, of)
	}
	return err
}

// count reads a whole number from 0 to most, written as digits.
func (v value) count(most int) (int, error) {
	var n int
	if strings.ContainsAny(string(v.raw), `.eE"`) || v.null() || json.Unmarshal(v.raw, &n) != nil || n < 0 || n > most {
		if most == math.MaxInt {
			return 0, v.errorf("not a whole number from 0")
		}
		return 0, v.errorf("not a whole number from 0 to %d", most)
	}
	return n, nil
}

// utc reads an ISO 8601 time in UTC that says so.
func (v value) utc() (time.Time, error) {
	s, err := v.text()
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || !strings.HasSuffix(s, "Z") {
		return time.Time{}, v.errorf("%q is not a UTC time such as 2026-01-31T13:45:00Z", s)
	}
	return t, nil
}

// all returns the first error.
func all(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
