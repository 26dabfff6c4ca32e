package post

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
)

// withheld says in words what X withholds where, and why.
// https://docs.x.com/x-api/fundamentals/data-dictionary (withheld)
func withheld(raw json.RawMessage) string {
	if raw == nil || bytes.Equal(raw, []byte("null")) {
		return ""
	}
	var w struct {
		Copyright bool     `json:"copyright"`
		Countries []string `json:"country_codes"`
		Scope     string   `json:"scope"`
	}
	if json.Unmarshal(raw, &w) != nil {
		return "this post: " + string(raw)
	}
	what := "this post"
	if w.Scope == "user" {
		what = "this account"
	}
	var where []string
	for _, code := range w.Countries {
		name := code
		switch code = strings.ToUpper(strings.TrimSpace(code)); code {
		case "XX":
			name = "all countries"
		case "XY":
			name, w.Copyright = "all countries", true
		default:
			name = cmp.Or(countries[code], name)
		}
		if !slices.Contains(where, name) {
			where = append(where, name)
		}
	}
	if len(where) > 0 {
		what += " in " + inWords(where)
	}
	if w.Copyright {
		what += " because of a copyright claim"
	}
	return what
}

// inWords is a list as it is written: a, b and c.
func inWords(list []string) string {
	if n := len(list) - 1; n > 0 {
		return strings.Join(list[:n], ", ") + " and " + list[n]
	}
	return strings.Join(list, "")
}

// replies says in words who may reply; "" for everyone.
func replies(setting, handle string) string {
	author := cmp.Or(handle, "the author")
	if handle != "" {
		author = "@" + handle
	}
	switch setting {
	case "", "everyone":
		return ""
	case "mentionedUsers":
		return "Only accounts mentioned may reply"
	case "following":
		return "Only accounts that " + author + " follows, or that are mentioned, may reply"
	case "subscribers":
		return "Only subscribers of " + author + " may reply"
	case "verified":
		return "Only verified accounts may reply"
	}
	return "X limits who may reply: " + setting
}

// location returns latitude and longitude in the digits that X sent.
func location(lonLat []json.Number) string {
	if len(lonLat) != 2 {
		return ""
	}
	return lonLat[1].String() + ", " + lonLat[0].String()
}

// isPaid reports whether X marks a post as a paid partnership: as true, or with
// what it knows of it.
func isPaid(raw json.RawMessage) bool {
	switch string(bytes.TrimSpace(raw)) {
	case "", "null", "false", "{}", "[]", `""`:
		return false
	}
	return true
}

// Reason says in a few words why X did not send something. Both spellings of X's
// problem types end in the same word.
func (p Problem) Reason() string {
	switch path.Base(p.Type) {
	case "not-authorized-for-resource":
		return "protected: only followers of its author may read it"
	case "resource-not-found":
		return "deleted, or never there"
	case "resource-unavailable":
		if strings.Contains(strings.ToLower(p.Detail), "suspended") {
			return "its author's account is suspended"
		}
	}
	switch {
	case strings.Contains(strings.ToLower(p.Detail), "suspended"):
		return "its author's account is suspended"
	case p.Title == "Not Found Error":
		return "deleted, or never there"
	case p.Title == "Authorization Error":
		return "protected: only followers of its author may read it"
	case p.Detail == "":
		return cmp.Or(p.Title, "X names no reason")
	case p.Title == "":
		return p.Detail
	}
	return fmt.Sprintf("%s: %s", p.Title, p.Detail)
}
