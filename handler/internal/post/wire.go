package post

import "encoding/json"

// The objects of the X API v2 as far as they are read here. Each is decoded
// once; whatever else X sent stays in the raw bytes.
// https://docs.x.com/x-api/fundamentals/data-dictionary

// wireRest is what of a post both vocabularies call the same.
type wireRest struct {
	ID             string `json:"id"`
	Text           string `json:"text"`
	AuthorID       string `json:"author_id"`
	ReplyTo        string `json:"in_reply_to_user_id"`
	CreatedAt      string `json:"created_at"` // RFC 3339, whole seconds
	ConversationID string `json:"conversation_id"`
	Language       string `json:"lang"`
	Source         string `json:"source"`
	Sensitive      bool   `json:"possibly_sensitive"`
	Shown          []int  `json:"display_text_range"` // begin and end of what X shows of the text, in code points
	Metrics        struct {
		Likes int `json:"like_count"`
	} `json:"public_metrics"`
	Entities wireEntities `json:"entities"`
	Article  struct {
		Title         string   `json:"title"`
		PlainText     string   `json:"plain_text"`
		Text          string   `json:"text"`
		Preview       string   `json:"preview_text"`
		CoverMedia    string   `json:"cover_media"`
		MediaEntities []string `json:"media_entities"`
		Entities      struct {
			URLs []struct {
				Text string `json:"text"`
			} `json:"urls"`
		} `json:"entities"`
	} `json:"article"`
	Withheld    json.RawMessage `json:"withheld"`
	Attachments struct {
		MediaKeys []string `json:"media_keys"`
		PollIDs   []string `json:"poll_ids"`
		Sources   []string `json:"media_source_tweet_id"` // posts that the media are from
	} `json:"attachments"`
	Geo struct {
		PlaceID     string `json:"place_id"`
		Coordinates struct {
			Coordinates []json.Number `json:"coordinates"` // longitude, latitude (GeoJSON)
		} `json:"coordinates"`
	} `json:"geo"`
	CommunityID   string          `json:"community_id"`
	ReplySettings string          `json:"reply_settings"`
	Paid          json.RawMessage `json:"paid_partnership"`
}

// mediaKeys are those of the post's attachments and of its article.
func (w wirePost) mediaKeys() []string {
	return append(append([]string{w.Article.CoverMedia}, w.Attachments.MediaKeys...), w.Article.MediaEntities...)
}

// refersTo are the posts that a post refers to: by its references, and as the posts
// that its media are from.
func (w wirePost) refersTo() []string {
	var out []string
	for _, r := range w.Referenced {
		out = append(out, r.ID)
	}
	return append(out, w.Attachments.Sources...)
}

type wireEntities struct {
	URLs []struct {
		Start, End  int
		URL         string `json:"url"`
		ExpandedURL string `json:"expanded_url"`
		UnwoundURL  string `json:"unwound_url"`
		DisplayURL  string `json:"display_url"`
		Title       string `json:"title"`
		Description string `json:"description"`
		MediaKey    string `json:"media_key"`
	} `json:"urls"`
	Mentions []wireMention `json:"mentions"`
	Hashtags []struct {
		Start, End int
		Tag        string `json:"tag"`
	} `json:"hashtags"`
	Cashtags []struct {
		Start, End int
		Tag        string `json:"tag"`
	} `json:"cashtags"`
}

type wireMention struct {
	Start, End int
	ID         string `json:"id"`
	Username   string `json:"username"`
}

type wireUser struct {
	ID       string `json:"id"`
	Username string `json:"username"`
	Name     string `json:"name"`
	PhotoURL string `json:"profile_image_url"`
	Since    string `json:"created_at"`
}

type wireMedia struct {
	Key        string `json:"media_key"`
	Type       string `json:"type"`
	URL        string `json:"url"`
	PreviewURL string `json:"preview_image_url"`
	AltText    string `json:"alt_text"`
	Width      int    `json:"width"`
	Height     int    `json:"height"`
	DurationMS int64  `json:"duration_ms"`
	Variants   []struct {
		BitRate     int    `json:"bit_rate"`
		ContentType string `json:"content_type"`
		URL         string `json:"url"`
	} `json:"variants"`
}

type wirePoll struct {
	ID      string `json:"id"`
	Options []struct {
		Label string `json:"label"`
		Votes int    `json:"votes"`
	} `json:"options"`
	Status string `json:"voting_status"`
	Ends   string `json:"end_datetime"` // RFC 3339
}

type wirePlace struct {
	ID       string `json:"id"`
	FullName string `json:"full_name"`
}
