package post

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The objects of X's data export as far as they are read here. X documents the files in
// the export's own README.txt and refers for a post's members to its API v1.1; almost all
// numbers are strings in it.
// https://developer.x.com/en/docs/x-api/v1/data-dictionary/object-model/tweet

// exportHead is what tells one post from another.
type exportHead struct {
	IDStr     string          `json:"id_str"`
	ID        json.RawMessage `json:"id"` // a string, in older exports a number
	CreatedAt string          `json:"created_at"`
}

func (w exportHead) id() string { return cmp.Or(w.IDStr, string(bytes.Trim(w.ID, `" `))) }

// exportTweet is a post: the member tweet of an element of data/tweets.js.
type exportTweet struct {
	exportHead
	FullText    string         `json:"full_text"`
	Text        string         `json:"text"` // of older exports
	Truncated   bool           `json:"truncated"`
	DeletedAt   string         `json:"deleted_at"`
	Language    string         `json:"lang"`
	Source      string         `json:"source"`
	Sensitive   bool           `json:"possibly_sensitive"`
	Likes       looseInt       `json:"favorite_count"`
	ReplyTo     string         `json:"in_reply_to_status_id_str"`
	ReplyToUser string         `json:"in_reply_to_user_id_str"`
	ReplyToName string         `json:"in_reply_to_screen_name"`
	Quoted      string         `json:"quoted_status_id_str"`
	CommunityID string         `json:"community_id_str"`
	Entities    exportEntities `json:"entities"`
	Extended    struct {
		Media []exportMedia `json:"media"`
	} `json:"extended_entities"`
	EditInfo exportEdits `json:"edit_info"`
	Place    struct {
		FullName string `json:"full_name"`
	} `json:"place"`
	Coordinates struct {
		Coordinates []json.Number `json:"coordinates"` // longitude, latitude
	} `json:"coordinates"`
}

// media are the post's media: all of them are in extended_entities only.
func (w exportTweet) media() []exportMedia {
	if len(w.Extended.Media) > 0 {
		return w.Extended.Media
	}
	return w.Entities.Media
}

// isMedia reports whether a t.co address stands for the post's media.
func (w exportTweet) isMedia(address string) bool {
	return slices.ContainsFunc(append(w.Entities.Media, w.Extended.Media...), func(m exportMedia) bool { return m.Short == address && address != "" })
}

type exportEntities struct {
	URLs []struct {
		URL      string     `json:"url"`
		Expanded string     `json:"expanded_url"`
		Display  string     `json:"display_url"`
		Indices  []looseInt `json:"indices"`
	} `json:"urls"`
	Mentions []struct {
		Name    string     `json:"screen_name"`
		Indices []looseInt `json:"indices"`
	} `json:"user_mentions"`
	Hashtags []exportTag   `json:"hashtags"`
	Symbols  []exportTag   `json:"symbols"`
	Media    []exportMedia `json:"media"`
}

type exportTag struct {
	Text    string     `json:"text"`
	Indices []looseInt `json:"indices"`
}

type exportMedia struct {
	ID        string `json:"id_str"`
	Short     string `json:"url"`
	Expanded  string `json:"expanded_url"`
	Display   string `json:"display_url"`
	URL       string `json:"media_url_https"`
	Type      string `json:"type"`
	AltText   string `json:"ext_alt_text"`
	Sizes     map[string]exportSize
	VideoInfo struct {
		Duration looseInt `json:"duration_millis"`
		Variants []struct {
			BitRate     looseInt `json:"bitrate"`
			ContentType string   `json:"content_type"`
			URL         string   `json:"url"`
		} `json:"variants"`
	} `json:"video_info"`
}

type exportSize struct{ W, H looseInt }

// exportEdits is edit_info: initial of a post as it was first written, edit of an edit.
type exportEdits struct {
	Initial exportEdit `json:"initial"`
	Edit    struct {
		Initial exportEdit `json:"editControlInitial"`
	} `json:"edit"`
}

type exportEdit struct {
	IDs []string `json:"editTweetIds"`
}

// history returns the ids of all versions, oldest first; nil if the post is not among
// them.
func (e exportEdits) history(id string) []string {
	for _, ids := range [][]string{e.Initial.IDs, e.Edit.Initial.IDs} {
		if slices.Contains(ids, id) {
			return slices.SortedFunc(slices.Values(ids), CompareIDs)
		}
	}
	return nil
}

// looseInt is a number, or a string with one.
type looseInt int

func (n *looseInt) UnmarshalJSON(raw []byte) error {
	text := strings.Trim(string(raw), `"`)
	if text == "null" || text == "" {
		return nil
	}
	i, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("%s is no whole number", raw)
	}
	*n = looseInt(i)
	return nil
}

// between are a link's first and last position; both are -1 if there are none, and then
// the link is where its words are.
func between(indices []looseInt) (start, end int) {
	if len(indices) != 2 {
		return -1, -1
	}
	return int(indices[0]), int(indices[1])
}

func (e exportEntities) links() (out []Link) {
	for _, u := range e.URLs {
		l := Link{Kind: PlainURL, URL: u.URL, Words: u.URL, Expanded: u.Expanded, Target: cmp.Or(u.Expanded, u.URL), Display: u.Display}
		l.Start, l.End = between(u.Indices)
		out = append(out, l)
	}
	for _, m := range e.Media { // the export names the address of media here only
		l := Link{Kind: PlainURL, URL: m.Short, Words: m.Short, Expanded: m.Expanded, Display: m.Display, Target: cmp.Or(m.Expanded, m.Short), Own: true, Start: -1, End: -1}
		if m.Short != "" && !slices.ContainsFunc(out, func(o Link) bool { return o.URL == m.Short }) {
			out = append(out, l)
		}
	}
	for _, m := range e.Mentions {
		l := Link{Kind: Mention, Words: "@" + m.Name, Target: "https://x.com/" + url.PathEscape(m.Name)}
		l.Start, l.End = between(m.Indices)
		out = append(out, l)
	}
	for _, h := range e.Hashtags {
		l := Link{Kind: Hashtag, Words: "#" + h.Text, Target: "https://x.com/hashtag/" + url.PathEscape(h.Text)}
		l.Start, l.End = between(h.Indices)
		out = append(out, l)
	}
	for _, c := range e.Symbols {
		l := Link{Kind: Cashtag, Words: "$" + c.Text, Target: "https://x.com/search?q=%24" + url.QueryEscape(c.Text)}
		l.Start, l.End = between(c.Indices)
		out = append(out, l)
	}
	return out
}

var (
	isRepost = regexp.MustCompile(`^RT @\w{1,20}: `)
	status   = regexp.MustCompile(`^https?://(www\.|mobile\.)?(twitter|x)\.com/\w+(/web)?/status/\d+`)
	shortEnd = regexp.MustCompile(`(\s*https://t\.co/\w+)+\s*$`)
)

// beginningOf returns what of a text stands before the addresses at its end, and whether
// it ends as X cuts a long text off.
func beginningOf(wire string) (text string, cut bool) {
	text = strings.TrimSpace(shortEnd.ReplaceAllString(wire, ""))
	text, cut = strings.CutSuffix(text, "…")
	return strings.TrimSpace(text), cut
}

// shortestCut is from which length on a text that ends with "…" may be one that X has
// cut off, in code points. X cuts after 280, of which an address at the end takes some.
const shortestCut = 200

func looksCut(wire string) bool {
	text, cut := beginningOf(wire)
	return cut && len([]rune(text)) >= shortestCut
}

// addExportMedia adds the post's media: those that it names, each with its file if the
// export has it, then files of the post that it does not name.
func (p *Post) addExportMedia(w exportTweet, files []string) {
	taken := map[string]bool{}
	for i, x := range w.media() {
		m := Media{Key: exportKey(x, i), Type: cmp.Or(x.Type, "unknown"), Export: true, AltText: x.AltText, Duration: time.Duration(x.VideoInfo.Duration) * time.Millisecond}
		m.Width, m.Height = int(x.Sizes["large"].W), int(x.Sizes["large"].H)
		addresses := []string{x.URL}
		if x.Type != "photo" {
			addresses = nil
			for _, v := range x.VideoInfo.Variants {
				addresses = append(addresses, v.URL)
			}
		}
		for _, file := range files {
			is := slices.ContainsFunc(addresses, func(a string) bool { return a != "" && path.Base(file) == p.ID+"-"+FileName(a) })
			if is && !taken[file] && m.File == "" {
				m.File, taken[file] = file, true
			}
		}
		if !slices.ContainsFunc(p.Media, func(o Media) bool { return o.Key == m.Key }) {
			p.Media = append(p.Media, m)
		}
	}
	for _, file := range files {
		if !taken[file] {
			p.Media = append(p.Media, unnamed(file))
		}
	}
}

// unnamed is a file in the export that belongs to a post by its name only.
func unnamed(file string) Media {
	kind := "unknown"
	switch strings.ToLower(path.Ext(file)) {
	case ".jpg", ".jpeg", ".png", ".webp", ".gif":
		kind = "photo"
	case ".mp4", ".mov", ".webm":
		kind = "video"
	}
	return Media{Key: "file_" + path.Base(file), Type: kind, Export: true, File: file}
}

// exportKey is the key that X's API has for a media: X builds it of the sort of the media
// and its id, and the export has only the id. So a post is recognized by it that the
// API gives later.
func exportKey(m exportMedia, i int) string {
	sort := "3"
	switch {
	case CheckID(m.ID) != nil:
		return fmt.Sprintf("media_%d", i+1)
	case m.Type == "animated_gif":
		sort = "16"
	case m.Type == "video" && strings.Contains(m.URL, "/amplify_video"):
		sort = "13"
	case m.Type == "video":
		sort = "7"
	}
	return sort + "_" + m.ID
}
