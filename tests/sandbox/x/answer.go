package x

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// answer is an answer being made. It is sent when it is whole, so that it can be
// cut off.
type answer struct {
	status int
	header http.Header
	body   []byte
	user   string // whose token asked
	posts  int    // in data
}

func (a *answer) send(w http.ResponseWriter, cut int) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	if cut > 0 && cut < len(a.body) {
		_, _ = w.Write(a.body[:cut])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler) // the connection is closed in the middle
	}
	_, _ = w.Write(a.body)
}

func (a *answer) json(status int, v any) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		a.problem(http.StatusInternalServerError, "Internal Error", "")
		return
	}
	a.raw(status, bytes.TrimSpace(b.Bytes()))
}

func (a *answer) raw(status int, body []byte) {
	a.status, a.body = status, body
	a.header.Set("Content-Type", "application/json; charset=utf-8")
	a.header.Set("Cache-Control", "no-cache, no-store, max-age=0")
}

// problem is X's answer when the request as a whole fails (RFC 7807).
func (a *answer) problem(status int, title, detail string) {
	if detail == "" {
		detail = title
	}
	a.raw(status, fmt.Appendf(nil, `{"title":%q,"type":"about:blank","status":%d,"detail":%q}`, title, status, detail))
}

// invalid is X's answer to parameters it does not take.
func (a *answer) invalid(faults []paramFault) {
	a.json(http.StatusBadRequest, struct {
		Errors []paramFault `json:"errors"`
		Title  string       `json:"title"`
		Detail string       `json:"detail"`
		Type   string       `json:"type"`
	}{faults, "Invalid Request", "One or more parameters to your request was invalid.", problems + "invalid-request"})
}

// problems is where the types of X's problems are in TweetWords, newProblems in
// PostWords. Clients have to expect both in either.
const (
	problems    = "https://api.twitter.com/2/problems/"
	newProblems = "https://api.x.com/2/problems/"
)

// partial is an entry of errors beside data: an object that is not sent.
type partial struct {
	Value        string `json:"value"`
	Detail       string `json:"detail"`
	Title        string `json:"title"`
	ResourceType string `json:"resource_type"`
	Parameter    string `json:"parameter"`
	ResourceID   string `json:"resource_id"`
	Type         string `json:"type"`
}

// inPostWords is the problem in the newer words. What kind of resource a post is
// called there is not known.
func (p partial) inPostWords() partial {
	if newer, ok := postWords[p.Parameter]; ok {
		p.Parameter = newer
	}
	p.Type = strings.Replace(p.Type, problems, newProblems, 1)
	return p
}

func notFound(kind, parameter, value string) partial {
	return partial{value, fmt.Sprintf("Could not find %s with %s: [%s].", kind, parameter, value), "Not Found Error", kind, parameter, value, problems + "resource-not-found"}
}

func notAuthorized(kind, parameter, value string) partial {
	shown := kind
	if kind == "tweet" {
		shown = "Tweet"
	}
	return partial{value, fmt.Sprintf("Sorry, you are not authorized to see the %s with %s: [%s].", shown, parameter, value), "Authorization Error", kind, parameter, value, problems + "not-authorized-for-resource"}
}

// result is an answer with objects, put together byte for byte: the objects keep
// the bytes that they have in the corpus.
type result struct {
	one      bool // data is an object, not a list
	newer    bool // in PostWords
	data     []json.RawMessage
	includes [5][]json.RawMessage // as includeNames
	errors   []partial
	meta     *meta
}

var includeNames = [5]string{"users", "tweets", "media", "polls", "places"}

type meta struct {
	ResultCount   int    `json:"result_count"`
	NewestID      string `json:"newest_id,omitempty"`
	OldestID      string `json:"oldest_id,omitempty"`
	NextToken     string `json:"next_token,omitempty"`
	PreviousToken string `json:"previous_token,omitempty"`
}

func (a *answer) result(r result) {
	var members [][]byte
	add := func(name string, value []byte) { members = append(members, fmt.Appendf(nil, "%q:%s", name, value)) }
	switch {
	case r.one && len(r.data) > 0:
		add("data", r.data[0])
	case len(r.data) > 0:
		add("data", list(r.data))
	}
	var includes [][]byte
	for i, objects := range r.includes {
		if len(objects) > 0 {
			name := includeNames[i]
			if r.newer && i == inTweets {
				name = "posts"
			}
			includes = append(includes, fmt.Appendf(nil, "%q:%s", name, list(objects)))
		}
	}
	if len(includes) > 0 {
		add("includes", object(includes))
	}
	if r.newer {
		for i := range r.errors {
			r.errors[i] = r.errors[i].inPostWords()
		}
	}
	if len(r.errors) > 0 {
		add("errors", marshal(r.errors))
	}
	if r.meta != nil {
		add("meta", marshal(r.meta))
	}
	a.raw(http.StatusOK, object(members))
}

func marshal(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and numbers only
	}
	return raw
}

func list(objects []json.RawMessage) []byte {
	var parts [][]byte
	for _, o := range objects {
		parts = append(parts, o)
	}
	return fmt.Appendf(nil, "[%s]", bytes.Join(parts, []byte(",")))
}

func object(members [][]byte) []byte {
	return fmt.Appendf(nil, "{%s}", bytes.Join(members, []byte(",")))
}
