package twitter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	gotwitter "github.com/g8rswimmer/go-twitter/v2"

	"xarchive/handler/internal/post"
)

// Comparison is what came of comparing the names that this package asks X for with
// X's published specification.
type Comparison struct {
	Version      string            // of the specification
	Vocabularies []post.Vocabulary // that it has, of those that are spoken here
	Unknown      []string          // names asked for in one of them that it does not have, such as "post.fields note_post"
}

// Compare reads X's OpenAPI document, which is public and needs no sign-in, and looks
// up every parameter, field and expansion that this package asks for. X drops a name
// that it does not know in silence: that a name has gone shows here before a post
// lacks it. The error is [ErrUnavailable] if the document cannot be had.
func Compare(ctx context.Context, hc *http.Client, baseURL string) (Comparison, error) {
	spec, err := readSpecification(ctx, hc, baseURL+"/2/openapi.json")
	if err != nil {
		return Comparison{}, fmt.Errorf("reading X's specification: %w", err)
	}
	c := Comparison{Version: spec.Info.Version}
	for _, v := range []post.Vocabulary{post.TweetWords, post.PostWords} {
		if !slices.ContainsFunc(spec.parameters("/2/tweets"), func(p specParameter) bool { return p.Name == string(v)+".fields" }) {
			continue
		}
		c.Vocabularies = append(c.Vocabularies, v)
		for path, asked := range asksOf(v) {
			c.Unknown = append(c.Unknown, spec.unknown(path, asked)...)
		}
	}
	if len(c.Vocabularies) == 0 {
		c.Unknown = []string{"tweet.fields", "post.fields"}
	}
	slices.Sort(c.Unknown)
	c.Unknown = slices.Compact(c.Unknown)
	return c, nil
}

// asksOf returns, by path and parameter, what is asked for in a vocabulary.
func asksOf(v post.Vocabulary) map[string]map[string][]string {
	a := asks(v)
	posts := map[string][]string{
		string(v) + ".fields": texts(a.postFields), "expansions": texts(a.expansions), "user.fields": texts(a.userFields),
		"media.fields": texts(mediaFields), "poll.fields": texts(pollFields), "place.fields": texts(placeFields),
	}
	with := func(params ...string) map[string][]string {
		out := map[string][]string{}
		for name, values := range posts {
			out[name] = values
		}
		for _, name := range params {
			out[name] = nil
		}
		return out
	}
	search := with("query", "start_time", "end_time", "max_results", "next_token")
	search["user.fields"] = texts(a.forApps().userFields)
	return map[string]map[string][]string{
		"/2/users/{id}/tweets": with("max_results", "since_id", "until_id", "end_time", "pagination_token"),
		"/2/tweets":            with("ids"),
		"/2/tweets/{id}":       posts,
		"/2/users/{id}":        {"user.fields": texts(append(slices.Clone(accountFields), gotwitter.UserFieldCreatedAt))},
		"/2/users/me":          {},
		"/2/usage/tweets":      {"usage.fields": {usageFields}},
		"/2/tweets/search/all": search,
		"/2/tweets/counts/all": {"query": nil, "start_time": nil, "end_time": nil, "granularity": nil},
	}
}

func texts[T ~string](names []T) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = string(name)
	}
	return out
}

// specification is an OpenAPI document as far as it is read here.
// https://spec.openapis.org/oas/v3.0.0
type specification struct {
	Info struct {
		Version string `json:"version"`
	} `json:"info"`
	Paths map[string]struct {
		Get struct {
			Parameters []specParameter `json:"parameters"`
		} `json:"get"`
	} `json:"paths"`
	Components struct {
		Parameters map[string]specParameter `json:"parameters"`
	} `json:"components"`
}

type specParameter struct {
	Ref    string `json:"$ref"`
	Name   string `json:"name"`
	Schema struct {
		Items struct {
			Enum []any `json:"enum"`
		} `json:"items"`
	} `json:"schema"`
}

// takes reports whether the parameter's list may hold a name.
func (p specParameter) takes(name string) bool {
	return len(p.Schema.Items.Enum) == 0 || slices.Contains(p.Schema.Items.Enum, any(name))
}

func readSpecification(ctx context.Context, hc *http.Client, address string) (specification, error) {
	var spec specification
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return spec, err
	}
	resp, err := hc.Do(req)
	if err != nil {
		return spec, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return spec, fmt.Errorf("%w: status %d", ErrUnavailable, resp.StatusCode)
	}
	err = json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&spec)
	if err == nil && len(spec.Paths) == 0 {
		err = errors.New("it names no path")
	}
	if err != nil {
		return spec, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return spec, nil
}

// parameters are those of a path's GET.
func (s specification) parameters(path string) []specParameter {
	var out []specParameter
	for _, p := range s.Paths[path].Get.Parameters {
		if name, isRef := strings.CutPrefix(p.Ref, "#/components/parameters/"); isRef {
			p = s.Components.Parameters[name]
		}
		out = append(out, p)
	}
	return out
}

// unknown returns what is asked for and the specification does not have.
func (s specification) unknown(path string, asked map[string][]string) (unknown []string) {
	if _, known := s.Paths[path]; !known {
		return []string{path}
	}
	takes := map[string]specParameter{}
	for _, p := range s.parameters(path) {
		takes[p.Name] = p
	}
	for param, names := range asked {
		p, known := takes[param]
		if !known {
			unknown = append(unknown, param)
			continue
		}
		for _, name := range names {
			if !p.takes(name) {
				unknown = append(unknown, param+" "+name)
			}
		}
	}
	return unknown
}
