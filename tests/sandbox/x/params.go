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

// The names that X takes, from its OpenAPI description.
var (
	tweetFields = []string{
		"article", "attachments", "author_id", "card_uri", "community_id", "context_annotations", "conversation_id", "created_at",
		"display_text_range", "edit_controls", "edit_history_tweet_ids", "entities", "geo", "id", "in_reply_to_user_id", "lang",
		"matched_media_notes", "media_metadata", "non_public_metrics", "note_request_suggestions", "note_tweet", "organic_metrics",
		"paid_partnership", "possibly_sensitive", "promoted_metrics", "public_metrics", "referenced_tweets", "reply_settings", "scopes",
		"source", "suggested_source_links", "suggested_source_links_with_counts", "text", "withheld",
	}
	userFields = []string{
		"affiliation", "confirmed_email", "connection_status", "created_at", "description", "entities", "id", "is_identity_verified",
		"location", "most_recent_tweet_id", "name", "parody", "pinned_tweet_id", "profile_banner_url", "profile_image_url", "protected",
		"public_metrics", "receives_your_dm", "subscription", "subscription_type", "url", "username", "verified",
		"verified_followers_count", "verified_type", "withheld",
	}
	mediaFields = []string{
		"alt_text", "duration_ms", "height", "media_key", "non_public_metrics", "organic_metrics", "preview_image_url",
		"promoted_metrics", "public_metrics", "type", "url", "variants", "width",
	}
	pollFields      = []string{"duration_minutes", "end_datetime", "id", "options", "voting_status"}
	placeFields     = []string{"contained_within", "country", "country_code", "full_name", "geo", "id", "name", "place_type"}
	tweetExpansions = []string{
		"article.cover_media", "article.media_entities", "attachments.media_keys", "attachments.media_source_tweet",
		"attachments.poll_ids", "author_id", "edit_history_tweet_ids", "entities.mentions.username", "entities.note.mentions.username",
		"geo.place_id", "in_reply_to_user_id", "referenced_tweets.id", "referenced_tweets.id.attachments.media_keys",
		"referenced_tweets.id.author_id",
	}
	userExpansions = []string{"affiliation.user_id", "most_recent_tweet_id", "pinned_tweet_id"}
)

// The parameters that each call takes.
var (
	tweetLists     = []string{"tweet.fields", "expansions", "media.fields", "poll.fields", "user.fields", "place.fields"}
	meParams       = []string{"user.fields", "expansions", "tweet.fields"}
	lookupParams   = append([]string{"ids"}, tweetLists...)
	timelineParams = append([]string{"since_id", "until_id", "max_results", "pagination_token", "exclude", "start_time", "end_time"}, tweetLists...)
)

// paramFault is one of the errors of an Invalid Request.
type paramFault struct {
	Parameters map[string][]string `json:"parameters"`
	Message    string              `json:"message"`
}

// query is a request's parameters, read strictly. Faults add up; after all is
// read the caller looks whether there are any.
type query struct {
	values url.Values
	faults []paramFault
}

// readQuery takes the parameters that are allowed; every other is a fault.
func readQuery(r *http.Request, allowed []string) *query {
	values, err := url.ParseQuery(r.URL.RawQuery)
	q := &query{values: values}
	if err != nil {
		q.fault("query", r.URL.RawQuery, "The query is not valid")
	}
	for name, given := range q.values {
		switch {
		case !slices.Contains(allowed, name):
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

// names reads a comma separated list, each of which must be allowed.
func (q *query) names(param string, allowed []string) map[string]bool {
	out := map[string]bool{}
	if !q.values.Has(param) {
		return out
	}
	value := q.values.Get(param)
	for name := range strings.SplitSeq(value, ",") {
		if !slices.Contains(allowed, name) {
			q.fault(param, value, fmt.Sprintf("The `%s` query parameter value [%s] is not one of [%s]", param, name, strings.Join(allowed, ",")))
			continue
		}
		out[name] = true
	}
	return out
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
}

// linking is the member that an expansion follows. X sends it along with the
// expansion: "the ID that represents the expanded data object will be included".
var linking = map[string]string{
	"attachments.media_keys": "attachments", "attachments.poll_ids": "attachments", "author_id": "author_id",
	"geo.place_id": "geo", "in_reply_to_user_id": "in_reply_to_user_id", "referenced_tweets.id": "referenced_tweets",
	"referenced_tweets.id.author_id": "referenced_tweets", "referenced_tweets.id.attachments.media_keys": "referenced_tweets",
}

// wanted reads the fields and expansions, and adds what X always sends.
func (q *query) wanted() wanted {
	w := wanted{
		tweet: q.names("tweet.fields", tweetFields), user: q.names("user.fields", userFields), media: q.names("media.fields", mediaFields),
		poll: q.names("poll.fields", pollFields), place: q.names("place.fields", placeFields), expand: q.names("expansions", tweetExpansions),
	}
	always := func(m map[string]bool, names ...string) {
		for _, n := range names {
			m[n] = true
		}
	}
	always(w.tweet, "id", "text", "edit_history_tweet_ids")
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
