package x

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// paramFault is one of the errors of an Invalid Request.
type paramFault struct {
	Parameters map[string][]string `json:"parameters"`
	Message    string              `json:"message"`
}

// query is a request's parameters, read strictly. Faults add up; after all is
// read the caller looks whether there are any.
type query struct {
	values     url.Values
	faults     []paramFault
	vocabulary Vocabulary
	names      map[string][]string // that X knows, by parameter
}

// readQuery takes the parameters of X's specification. A list of fields that it does
// not have is dropped in silence, as every name in a list is; any other parameter is
// a fault.
func (s *Server) readQuery(r *http.Request, endpoint string) *query {
	values, err := url.ParseQuery(r.URL.RawQuery)
	v := s.vocabularyOf(r, endpoint)
	q := &query{values: values, vocabulary: v, names: s.specs[v].names[endpoint]}
	if err != nil {
		q.fault("query", r.URL.RawQuery, "The query is not valid")
	}
	allowed := s.specs[v].params[endpoint]
	for name, given := range q.values {
		switch {
		case !slices.Contains(allowed, name) && !strings.HasSuffix(name, ".fields"):
			q.fault(name, strings.Join(given, ","), fmt.Sprintf("The query parameter [%s] is not one of [%s]", name, strings.Join(allowed, ",")))
		case len(given) > 1:
			q.faults = append(q.faults, paramFault{map[string][]string{name: given}, fmt.Sprintf("Duplicate parameters are not allowed: the `%s` query parameter", name)})
		}
	}
	return q
}

func (q *query) fault(name, value, message string) {
	q.faults = append(q.faults, paramFault{map[string][]string{name: {value}}, message})
}

// list reads a comma separated list, each of which X must know, or it is dropped. The
// names are returned in the older words.
func (q *query) list(param string) map[string]bool {
	out := map[string]bool{}
	for name := range strings.SplitSeq(q.values.Get(param), ",") {
		if slices.Contains(q.names[param], name) {
			if q.vocabulary == PostWords {
				name = tweetWord(name)
			}
			out[name] = true
		}
	}
	return out
}

// excluded reads the kinds of posts that a timeline leaves out.
func (q *query) excluded() map[string]bool {
	out, allowed := map[string]bool{}, q.names["exclude"]
	if !q.values.Has("exclude") {
		return out
	}
	value := q.values.Get("exclude")
	for name := range strings.SplitSeq(value, ",") {
		if !slices.Contains(allowed, name) {
			q.fault("exclude", value, fmt.Sprintf("The `exclude` query parameter value [%s] is not one of [%s]", name, strings.Join(allowed, ",")))
			continue
		}
		out[name] = true
	}
	return out
}

// postFields are the fields of posts that are asked for.
func (q *query) postFields() map[string]bool {
	if q.vocabulary == PostWords {
		return q.list("post.fields")
	}
	return q.list("tweet.fields")
}

func (q *query) number(param string, without, from, to int) int {
	if !q.values.Has(param) {
		return without
	}
	value := q.values.Get(param)
	n, err := strconv.Atoi(value)
	if err != nil || n < from || n > to {
		q.fault(param, value, fmt.Sprintf("The `%s` query parameter value [%s] is not between %d and %d", param, value, from, to))
		return without
	}
	return n
}

func (q *query) id(param string) string {
	value := q.values.Get(param)
	if q.values.Has(param) && !isID(value) {
		q.fault(param, value, fmt.Sprintf("The `%s` query parameter value [%s] is not valid", param, value))
		return ""
	}
	return value
}

// isID is X's rule for ids: 1 to 19 digits.
func isID(id string) bool {
	_, err := strconv.ParseUint(id, 10, 64)
	return err == nil && id[0] != '+' && len(id) <= 19
}

// time reads YYYY-MM-DDTHH:mm:ssZ. Milliseconds are not taken.
func (q *query) time(param string) time.Time {
	if !q.values.Has(param) {
		return time.Time{}
	}
	value := q.values.Get(param)
	at, err := time.Parse("2006-01-02T15:04:05Z", value)
	if err != nil || strings.Contains(value, ".") {
		q.fault(param, value, fmt.Sprintf("The `%s` query parameter value [%s] is not a valid RFC3339 date in the form YYYY-MM-DDTHH:mm:ssZ", param, value))
		return time.Time{}
	}
	return at
}

// wanted is what an answer about posts may hold.
type wanted struct {
	tweet, user, media, poll, place map[string]bool // members
	expand                          map[string]bool
	onlyMentions                    bool // entities came along with an expansion, not as a field
	newer                           bool // in PostWords
}

// linking is the member that an expansion follows. X sends it along with the
// expansion: "the ID that represents the expanded data object will be included".
var linking = map[string]string{
	"attachments.media_keys": "attachments", "attachments.poll_ids": "attachments", "author_id": "author_id",
	"geo.place_id": "geo", "in_reply_to_user_id": "in_reply_to_user_id", "referenced_tweets.id": "referenced_tweets",
	"referenced_tweets.id.author_id": "referenced_tweets", "referenced_tweets.id.attachments.media_keys": "referenced_tweets",
	"edit_history_tweet_ids": "edit_history_tweet_ids",
}

// wanted reads the fields and expansions, and adds what X always sends.
func (q *query) wanted() wanted {
	w := wanted{
		tweet: q.postFields(), user: q.list("user.fields"), media: q.list("media.fields"), poll: q.list("poll.fields"),
		place: q.list("place.fields"), expand: q.list("expansions"), newer: q.vocabulary == PostWords,
	}
	always := func(m map[string]bool, names ...string) {
		for _, n := range names {
			m[n] = true
		}
	}
	always(w.tweet, "id", "text")
	if !w.newer {
		always(w.tweet, "edit_history_tweet_ids") // in the newer words it comes with its expansion only
	}
	always(w.user, "id", "name", "username")
	always(w.media, "media_key", "type")
	always(w.poll, "id", "options")
	always(w.place, "id", "full_name")
	for name := range w.expand {
		if member := linking[name]; member != "" {
			w.tweet[member] = true
		}
	}
	if w.expand["entities.mentions.username"] && !w.tweet["entities"] {
		w.tweet["entities"], w.onlyMentions = true, true
	}
	return w
}
