package post

import (
	"encoding/json"
	"strings"
)

// Problem is one of X's partial errors: a post or another object that it did
// not send, and why.
type Problem struct {
	Title        string `json:"title"`
	Detail       string `json:"detail"`
	Type         string `json:"type"`          // a URI; X has them under two hosts, see Kind
	ResourceType string `json:"resource_type"` // tweet, post, user, media, …
	ResourceID   string `json:"resource_id"`
	Value        string `json:"-"` // the id asked for
	Raw          string `json:"-"` // the JSON object, as X sent it
}

// Kind returns the last segment of the problem's type: resource-not-found,
// not-authorized-for-resource, resource-unavailable, … X uses the same words under
// api.twitter.com and api.x.com.
func (p Problem) Kind() string { return p.Type[strings.LastIndex(p.Type, "/")+1:] }

// about reports whether the problem names that object.
func (p Problem) about(id string) bool { return id != "" && (p.ResourceID == id || p.Value == id) }

func readProblems(list []json.RawMessage) (out []object[Problem]) {
	for _, raw := range list {
		out = append(out, readProblem(raw))
	}
	return out
}

// readProblem reads what it can. What it cannot is still in the raw answer.
func readProblem(raw json.RawMessage) object[Problem] {
	var w struct {
		Problem
		Value json.RawMessage `json:"value"` // an id, as a string or a number
	}
	_ = json.Unmarshal(raw, &w)
	if json.Unmarshal(w.Value, &w.Problem.Value) != nil {
		w.Problem.Value = string(w.Value)
	}
	w.Raw = string(raw)
	return object[Problem]{raw: raw, value: w.Problem}
}
