// Spec makes an extract of X's OpenAPI document: of the calls that the connector
// makes and the stand-in answers, the parameters and the names that each takes. The
// extract has the form of an OpenAPI document and nothing of X's descriptions.
//
//	curl -s https://api.x.com/2/openapi.json | go run ./tests/sandbox/x/spec > tests/sandbox/x/spec/2.167.json
//
// The stand-in embeds the extracts of two versions: 2.166 of July 2026, the last that
// says "tweet", and 2.167 of August 2026, the first that says "post".
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
)

// calls are the paths of which the extract tells: of GET the parameters, of POST the body.
var calls = []string{"/2/tweets", "/2/tweets/{id}", "/2/users/me", "/2/users/{id}", "/2/users/{id}/tweets", "/2/users/{id}/mentions", "/2/tweets/search/all", "/2/tweets/counts/all", "/2/usage/tweets", "/2/webhooks", "/2/activity/subscriptions"}

type document struct {
	Info struct {
		Version string `json:"version"`
	} `json:"info"`
	Paths      map[string]path `json:"paths"`
	Components *components     `json:"components,omitempty"`
}

type path struct {
	Get  operation `json:"get"`
	Post *posted   `json:"post,omitempty"`
}

// posted is a call with a body in JSON.
type posted struct {
	RequestBody struct {
		Content struct {
			JSON struct {
				Schema body `json:"schema"`
			} `json:"application/json"`
		} `json:"content"`
	} `json:"requestBody"`
}

// body is the schema of a body; of its members only what restricts a text.
type body struct {
	Ref        string            `json:"$ref,omitempty"`
	Required   []string          `json:"required,omitempty"`
	Properties map[string]member `json:"properties,omitempty"`
}

type member struct {
	Enum      []string `json:"enum,omitempty"`
	MinLength int      `json:"minLength,omitempty"`
	MaxLength int      `json:"maxLength,omitempty"`
}

type operation struct {
	Parameters []parameter `json:"parameters"`
}

type components struct {
	Parameters map[string]parameter       `json:"parameters"`
	Schemas    map[string]json.RawMessage `json:"schemas,omitempty"`
}

type parameter struct {
	Ref    string  `json:"$ref,omitempty"`
	Name   string  `json:"name,omitempty"`
	In     string  `json:"in,omitempty"`
	Schema *schema `json:"schema,omitempty"`
}

type schema struct {
	Items *schema  `json:"items,omitempty"`
	Enum  []string `json:"enum,omitempty"`
}

func main() {
	if err := extract(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "extracting names from X's OpenAPI document:", err)
		os.Exit(1)
	}
}

func extract(from io.Reader, to io.Writer) error {
	var full struct {
		Info       struct{ Version string }
		Paths      map[string]json.RawMessage
		Components components
	}
	if err := json.NewDecoder(from).Decode(&full); err != nil {
		return err
	}
	var out document
	out.Info.Version, out.Paths = full.Info.Version, map[string]path{}
	for _, name := range calls {
		var p path
		if err := json.Unmarshal(full.Paths[name], &p); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for i, param := range p.Get.Parameters {
			const components = len("#/components/parameters/")
			if len(param.Ref) > components {
				param = full.Components.Parameters[param.Ref[components:]]
			}
			if param.Name == "" {
				return fmt.Errorf("%s: parameter %d has no name", name, i)
			}
			if param.Schema != nil && param.Schema.Items != nil {
				slices.Sort(param.Schema.Items.Enum)
				param.Schema.Items.Enum = slices.Compact(param.Schema.Items.Enum)
			}
			if param.Schema == nil || param.Schema.Items == nil || param.Schema.Items.Enum == nil {
				param.Schema = nil
			}
			p.Get.Parameters[i] = param
		}
		if p.Post != nil {
			const schemas = len("#/components/schemas/")
			into := &p.Post.RequestBody.Content.JSON.Schema
			if len(into.Ref) > schemas {
				ref := into.Ref[schemas:]
				*into = body{}
				if err := json.Unmarshal(full.Components.Schemas[ref], into); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
			if len(into.Properties) == 0 {
				return fmt.Errorf("%s: nothing is known of its body", name)
			}
		}
		out.Paths[name] = p
	}
	enc := json.NewEncoder(to)
	enc.SetIndent("", " ")
	return enc.Encode(out)
}
