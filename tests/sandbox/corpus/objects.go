package corpus

// The objects of the X API v2, as far as the built-in corpus has them.
// https://docs.x.com/x-api/fundamentals/data-dictionary

type postObject struct {
	ID                string         `json:"id"`
	Text              string         `json:"text"`
	AuthorID          string         `json:"author_id"`
	CreatedAt         string         `json:"created_at,omitempty"`
	ConversationID    string         `json:"conversation_id"`
	InReplyTo         string         `json:"in_reply_to_user_id,omitempty"`
	Refs              []refObject    `json:"referenced_tweets,omitempty"`
	EditHistory       []string       `json:"edit_history_tweet_ids"`
	EditControls      *editControls  `json:"edit_controls,omitempty"`
	Lang              string         `json:"lang"`
	ReplySettings     string         `json:"reply_settings"`
	PossiblySensitive bool           `json:"possibly_sensitive"`
	Metrics           map[string]int `json:"public_metrics"`
	DisplayRange      []int          `json:"display_text_range,omitempty"`
	Attachments       *attachments   `json:"attachments,omitempty"`
	Entities          *entities      `json:"entities,omitempty"`
	Note              *note          `json:"note_tweet,omitempty"`
	Geo               *geo           `json:"geo,omitempty"`
	Article           *article       `json:"article,omitempty"`
	Withheld          *withheld      `json:"withheld,omitempty"`
	CommunityID       string         `json:"community_id,omitempty"`
	CardURI           string         `json:"card_uri,omitempty"`
	Source            string         `json:"source,omitempty"`

	author *userObject
}

type refObject struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

type editControls struct {
	Remaining int    `json:"edits_remaining"`
	Eligible  bool   `json:"is_edit_eligible"`
	Until     string `json:"editable_until"`
}

type attachments struct {
	MediaKeys []string `json:"media_keys,omitempty"`
	PollIDs   []string `json:"poll_ids,omitempty"`
}

type entities struct {
	URLs     []urlEntity     `json:"urls,omitempty"`
	Mentions []mentionEntity `json:"mentions,omitempty"`
	Hashtags []tagEntity     `json:"hashtags,omitempty"`
	Cashtags []tagEntity     `json:"cashtags,omitempty"`
}

type urlEntity struct {
	Start    int    `json:"start"`
	End      int    `json:"end"`
	URL      string `json:"url"`
	Expanded string `json:"expanded_url"`
	Display  string `json:"display_url"`
	MediaKey string `json:"media_key,omitempty"`
}

type mentionEntity struct {
	Start    int    `json:"start"`
	End      int    `json:"end"`
	Username string `json:"username"`
	ID       string `json:"id"`
}

type tagEntity struct {
	Start int    `json:"start"`
	End   int    `json:"end"`
	Tag   string `json:"tag"`
}

type note struct {
	Text     string    `json:"text"`
	Entities *entities `json:"entities,omitempty"`
}

type geo struct {
	PlaceID string `json:"place_id"`
}

type article struct {
	Title         string   `json:"title"`
	PreviewText   string   `json:"preview_text"`
	PlainText     string   `json:"plain_text"`
	CoverMedia    string   `json:"cover_media"`
	MediaEntities []string `json:"media_entities"`
}

type withheld struct {
	Copyright bool     `json:"copyright"`
	Countries []string `json:"country_codes"`
	Scope     string   `json:"scope"`
}

type userObject struct {
	ID          string         `json:"id"`
	Name        string         `json:"name"`
	Username    string         `json:"username"`
	CreatedAt   string         `json:"created_at"`
	Description string         `json:"description"`
	Location    string         `json:"location,omitempty"`
	Photo       string         `json:"profile_image_url"`
	Protected   bool           `json:"protected"`
	Verified    bool           `json:"verified"`
	Kind        string         `json:"verified_type"`
	Metrics     map[string]int `json:"public_metrics"`
}

type mediaObject struct {
	Key        string        `json:"media_key"`
	Type       string        `json:"type"`
	URL        string        `json:"url,omitempty"`
	PreviewURL string        `json:"preview_image_url,omitempty"`
	AltText    string        `json:"alt_text,omitempty"`
	Width      int           `json:"width"`
	Height     int           `json:"height"`
	DurationMS int           `json:"duration_ms,omitempty"`
	Metrics    *mediaMetrics `json:"public_metrics,omitempty"`
	Variants   []variant     `json:"variants,omitempty"`

	kind string // photo or video, in the post's link to it
}

type mediaMetrics struct {
	Views int `json:"view_count"`
}

type variant struct {
	BitRate     *int   `json:"bit_rate,omitempty"`
	ContentType string `json:"content_type"`
	URL         string `json:"url"`
}

type pollObject struct {
	ID      string       `json:"id"`
	Options []pollOption `json:"options"`
	Minutes int          `json:"duration_minutes"`
	Ends    string       `json:"end_datetime"`
	Status  string       `json:"voting_status"`
}

type pollOption struct {
	Position int    `json:"position"`
	Label    string `json:"label"`
	Votes    int    `json:"votes"`
}

type placeObject struct {
	ID          string         `json:"id"`
	FullName    string         `json:"full_name"`
	Name        string         `json:"name"`
	Country     string         `json:"country"`
	CountryCode string         `json:"country_code"`
	Kind        string         `json:"place_type"`
	Geo         map[string]any `json:"geo"`
}

// refusal is a partial error: an object that X does not show, and why.
type refusal struct {
	Value        string `json:"value"`
	Detail       string `json:"detail"`
	Title        string `json:"title"`
	ResourceType string `json:"resource_type"`
	Parameter    string `json:"parameter"`
	ResourceID   string `json:"resource_id"`
	Type         string `json:"type"`
}
