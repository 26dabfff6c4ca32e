package post

import "encoding/json"

// Problem is one of X's partial errors: a post or another object that it did
// not send, and why.
type Problem struct {
	Title        string `json:"title"`
	Type         string `json:"type"` // an address whose last element says what kind of problem it is
	Detail       string `json:"detail"`
	ResourceType string `json:"resource_type"` // tweet, user, media, …
	ResourceID   string `json:"resource_id"`
	Value        string `json:"-"` // the id asked for
	Raw          string `json:"-"` // the JSON object, as X sent it
}

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
