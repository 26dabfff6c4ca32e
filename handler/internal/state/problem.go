package state

import (
	"encoding/json"
	"time"

	"xarchive/handler/internal/fault"
)

// Problem is a failure that was written down: why the last attempt at something
// failed.
type Problem struct {
	Cause fault.Cause `json:"cause"`
	Text  string      `json:"text"`        // the error in words, without secrets
	At    time.Time   `json:"at,omitzero"` // UTC
}

// NewProblem returns the problem of an error; nil for nil.
func NewProblem(err error, at time.Time) *Problem {
	if err == nil {
		return nil
	}
	return &Problem{Cause: fault.CauseOf(err), Text: err.Error(), At: at.UTC()}
}

// orNil returns nil for a problem without a text. Records from before the format was
// versioned hold one where there was no problem.
func (p *Problem) orNil() *Problem {
	if p != nil && p.Text == "" {
		return nil
	}
	return p
}

// Same reports whether two problems are the same but for their time.
func (p *Problem) Same(q *Problem) bool {
	if p == nil || q == nil {
		return p == q
	}
	return p.Cause == q.Cause && p.Text == q.Text
}

// UnmarshalJSON also reads a problem from before the format was versioned: its
// text alone.
func (p *Problem) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		*p = Problem{Cause: fault.Other}
		return json.Unmarshal(data, &p.Text)
	}
	type plain Problem
	return json.Unmarshal(data, (*plain)(p))
}
