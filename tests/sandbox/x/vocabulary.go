package x

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Vocabulary is one of the two sets of words that X's API speaks. In the summer of
// 2026 "tweet" became "post", with version 2.167 of X's specification. Each request
// is answered in the words that it is made in.
type Vocabulary int

const (
	TweetWords Vocabulary = iota // up to 2.166
	PostWords                    // from 2.167 on
)

// Understand sets which vocabularies X understands; both at the start. Of a request
// in the other one only those names have an effect that both have in common; the rest
// is dropped in silence. At least one must be left.
func (s *Server) Understand(which ...Vocabulary) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.understood = slices.Clone(which)
}

// specFiles are extracts of X's specification, made by the program beside them.
//
//go:embed spec/2.166.json spec/2.167.json
var specFiles embed.FS

// spec is what a version of X's specification allows, by endpoint as limits name it.
type spec struct {
	raw    []byte
	params map[string][]string            // the parameters' names
	names  map[string]map[string][]string // and what each may hold
	bodies map[string]bodySpec            // of calls that have one
}

// bodySpec is what X takes as the body of a call.
type bodySpec struct {
	Required   []string
	Properties map[string]struct {
		Enum                 []string
		MinLength, MaxLength int
	}
}

// readSpecs reads the extracts, by vocabulary.
func readSpecs() [2]spec {
	var out [2]spec
	for v, version := range []string{"2.166", "2.167"} {
		raw, err := specFiles.ReadFile("spec/" + version + ".json")
		if err != nil {
			panic(err) // it is embedded
		}
		var doc struct {
			Paths map[string]struct {
				Post struct {
					RequestBody struct {
						Content map[string]struct{ Schema bodySpec }
					}
				}
				Get struct {
					Parameters []struct {
						Name, In string
						Schema   struct{ Items struct{ Enum []string } }
					}
				}
			}
		}
		if err := json.Unmarshal(raw, &doc); err != nil {
			panic(fmt.Sprintf("the extract of X's specification %s: %v", version, err))
		}
		out[v] = spec{raw, map[string][]string{}, map[string]map[string][]string{}, map[string]bodySpec{}}
		for path, p := range doc.Paths {
			if body, there := p.Post.RequestBody.Content["application/json"]; there {
				out[v].bodies["POST "+path] = body.Schema
			}
			endpoint := "GET " + strings.ReplaceAll(path, "{id}", ":id")
			out[v].names[endpoint] = map[string][]string{}
			for _, param := range p.Get.Parameters {
				if param.In == "query" {
					out[v].params[endpoint] = append(out[v].params[endpoint], param.Name)
					out[v].names[endpoint][param.Name] = param.Schema.Items.Enum
				}
			}
		}
	}
	return out
}

// vocabularyOf is what X takes a request to be made in: in the newer words if it has
// one that only they have, else in the older ones; but in the only ones that X
// understands. How X decides where a request has both is not known.
func (s *Server) vocabularyOf(r *http.Request, endpoint string) Vocabulary {
	s.mu.Lock()
	understood := s.understood
	s.mu.Unlock()
	asked := TweetWords
	values := r.URL.Query()
	if values.Has("post.fields") {
		asked = PostWords
	}
	for name := range strings.SplitSeq(values.Get("expansions"), ",") {
		if !slices.Contains(s.specs[TweetWords].names[endpoint]["expansions"], name) && slices.Contains(s.specs[PostWords].names[endpoint]["expansions"], name) {
			asked = PostWords
		}
	}
	if !slices.Contains(understood, asked) {
		return 1 - asked
	}
	return asked
}

// specification answers GET /2/openapi.json, which needs no sign-in: the extract of
// the newest version that X understands.
func (s *Server) specification(a *answer) {
	s.mu.Lock()
	newest := slices.Max(s.understood)
	s.mu.Unlock()
	a.raw(http.StatusOK, s.specs[newest].raw)
}

// postWords has the newer words for the older ones: members, expansions.
var postWords = map[string]string{
	"edit_history_tweet_ids": "edit_history_post_ids", "note_tweet": "note_post", "referenced_tweets": "referenced_posts",
	"referenced_tweets.id": "referenced_posts", "pinned_tweet_id": "pinned_post_id", "most_recent_tweet_id": "most_recent_post_id",
	"affiliation.user_id": "affiliation",
}

// tweetWord is the older word for a newer one.
func tweetWord(name string) string {
	if name == "referenced_posts" {
		return "referenced_tweets.id" // it is an expansion only
	}
	for older, newer := range postWords {
		if newer == name {
			return older
		}
	}
	return name
}

// InPostWords says in the newer words what an object of the corpus, which is in the
// older ones, says. Everything else keeps its bytes.
func InPostWords(raw json.RawMessage) json.RawMessage {
	return renamed(raw, func(name string, value json.RawMessage) (string, json.RawMessage) {
		if name == "public_metrics" {
			value = renamed(value, func(name string, value json.RawMessage) (string, json.RawMessage) {
				if name == "retweet_count" {
					name = "repost_count"
				}
				return name, value
			})
		}
		if newer, ok := postWords[name]; ok {
			name = newer
		}
		return name, value
	})
}

// renamed passes an object's members through change.
func renamed(raw json.RawMessage, change func(name string, value json.RawMessage) (string, json.RawMessage)) json.RawMessage {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return raw
	}
	var members [][]byte
	same := true
	for dec.More() {
		token, err := dec.Token()
		var value json.RawMessage
		if err != nil || dec.Decode(&value) != nil {
			return raw
		}
		name, to := change(token.(string), value)
		same = same && name == token && bytes.Equal(value, to)
		members = append(members, slices.Concat(marshal(name), []byte(":"), to))
	}
	if same {
		return raw
	}
	return object(members)
}
