// Package xexport makes data exports as X makes them for an account's owner: a zip file with
// data/tweets.js and its parts, long texts, articles, deleted posts, posts of communities,
// media, and with private things that nobody must read.
//
// The layout is that of the README.txt in X's exports, of the members that
// https://docs.rs/twitter-archive and parsers of many exports read, and of nothing in the
// code under test. Numbers are strings in it; texts have &, < and > escaped.
package xexport

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Secret stands in every file of an export that is not about posts, and must be nowhere else.
const Secret = "nobody-must-read-this"

// Account is whose export it is.
type Account struct{ ID, Username, Name string }

// Post is a post of the account.
type Post struct {
	ID   string
	At   time.Time
	Text string // as its author wrote it
	Long string // the whole of a long text, of which Text is the beginning; "" for none

	ReplyTo, ReplyToUser, ReplyToName string
	Mentions                          []string          // handles
	Links                             map[string]string // t.co address to where it leads
	Media                             []Media
	Edits                             []string // ids of all versions

	Deleted   bool
	DeletedAt time.Time // zero: X does not say
	Community bool
	Article   *Article
}

// Media is a photo or a film of a post.
type Media struct {
	ID, Name, Type string
	Data           []byte // nil: it is named, and its file is not in the export
}

// Article is an article that a post publishes.
type Article struct {
	ID, Title  string
	Paragraphs []string
}

// Export is a data export.
type Export struct {
	Account  Account
	Made     time.Time
	Posts    []Post
	PartSize int    // posts in a data file; 0: all
	Old      bool   // as until 2022: tweet.js, tweet_media
	Root     string // a folder round everything, ending in /
}

// File is a file of a zip.
type File struct {
	Name string
	Data []byte
}

const layout = "Mon Jan 02 15:04:05 -0700 2006"

// Escaped is a text as X sends it.
func Escaped(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

type object = map[string]any

// tweet is a post's object.
func (p Post) tweet() object {
	text := Escaped(p.Text)
	if p.Long != "" {
		text += "… https://t.co/self" + p.ID
	}
	short := func(i int) string { return fmt.Sprintf("https://t.co/m%s%d", p.ID, i) }
	if len(p.Media) > 0 {
		text += " " + short(0)
	}
	o := object{"id": p.ID, "id_str": p.ID, "created_at": p.At.UTC().Format(layout), "full_text": text, "lang": "en", "favorited": false, "retweeted": false, "truncated": false,
		"favorite_count": "3", "retweet_count": "0", "source": `<a href="https://mobile.twitter.com" rel="nofollow">Twitter Web App</a>`, "display_text_range": []string{"0", strconv.Itoa(len([]rune(text)))}}
	urls, mentions := []object{}, []object{}
	for address, to := range p.Links {
		urls = append(urls, object{"url": address, "expanded_url": to, "display_url": strings.TrimPrefix(to, "https://"), "indices": []string{"0", "0"}})
	}
	for i, m := range p.Mentions {
		mentions = append(mentions, object{"name": strings.ToUpper(m), "screen_name": m, "indices": []string{"0", "1"}, "id_str": strconv.Itoa(900 + i), "id": strconv.Itoa(900 + i)})
	}
	entities := object{"hashtags": []object{}, "symbols": []object{}, "user_mentions": mentions, "urls": urls}
	var media []object
	for _, m := range p.Media {
		one := object{"id": m.ID, "id_str": m.ID, "url": short(0), "type": m.Type, "media_url_https": "https://pbs.twimg.com/media/" + m.Name, "display_url": "pic.twitter.com/x",
			"expanded_url": "https://twitter.com/i/status/" + p.ID + "/photo/1", "indices": []string{"0", "0"}, "sizes": object{"large": object{"w": "4", "h": "3", "resize": "fit"}}}
		if m.Type != "photo" {
			one["media_url_https"] = "https://pbs.twimg.com/ext_tw_video_thumb/" + m.ID + "/pu/img/still.jpg"
			one["video_info"] = object{"aspect_ratio": []string{"4", "3"}, "duration_millis": "1500", "variants": []object{
				{"content_type": "application/x-mpegURL", "url": "https://video.twimg.com/ext_tw_video/" + m.ID + "/pu/pl/list.m3u8"},
				{"bitrate": "832000", "content_type": "video/mp4", "url": "https://video.twimg.com/ext_tw_video/" + m.ID + "/pu/vid/4x3/" + m.Name + "?tag=12"}}}
		}
		media = append(media, one)
	}
	if media != nil {
		entities["media"] = media[:1]
		o["extended_entities"] = object{"media": media}
	}
	o["entities"] = entities
	if p.ReplyTo != "" {
		o["in_reply_to_status_id"], o["in_reply_to_status_id_str"] = p.ReplyTo, p.ReplyTo
		o["in_reply_to_user_id"], o["in_reply_to_user_id_str"], o["in_reply_to_screen_name"] = p.ReplyToUser, p.ReplyToUser, p.ReplyToName
	}
	ids := p.Edits
	if ids == nil {
		ids = []string{p.ID}
	}
	edits := object{"editTweetIds": ids, "editableUntil": p.At.Add(time.Hour).UTC().Format("2006-01-02T15:04:05.000Z"), "editsRemaining": "5", "isEditEligible": true}
	if ids[0] == p.ID {
		o["edit_info"] = object{"initial": edits}
	} else {
		o["edit_info"] = object{"edit": object{"initialTweetId": ids[0], "editControlInitial": edits}}
	}
	return object{"tweet": o}
}

// list is a data file.
func list(variable string, part int, elements []object) []byte {
	if elements == nil {
		elements = []object{}
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "window.YTD.%s.part%d = ", variable, part)
	out := json.NewEncoder(&b)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	if err := out.Encode(elements); err != nil {
		panic(err) // strings can be encoded
	}
	return b.Bytes()
}

// Files returns the export's files, in X's order.
func (e Export) Files() []File {
	tweets, community, deleted, headers := []object(nil), []object(nil), []object(nil), []object(nil)
	notes, articles, about := []object(nil), []object(nil), []object(nil)
	var media []File
	name, variable, folder := "tweets", "tweets", "tweets_media"
	if e.Old {
		name, variable, folder = "tweet", "tweet", "tweet_media"
	}
	for i, p := range e.Posts {
		in := folder
		switch {
		case p.Deleted:
			in = "deleted_tweets_media"
			deleted = append(deleted, p.tweet())
			if !p.DeletedAt.IsZero() {
				headers = append(headers, object{"tweet": object{"tweet_id": p.ID, "user_id": e.Account.ID, "created_at": p.At.UTC().Format(layout), "deleted_at": p.DeletedAt.UTC().Format(layout)}})
			}
		case p.Community:
			in = "community_tweet_media"
			community = append(community, p.tweet())
		default:
			tweets = append(tweets, p.tweet())
		}
		if p.Long != "" {
			at := p.At.UTC().Format("2006-01-02T15:04:05.000Z")
			notes = append(notes, object{"noteTweet": object{"noteTweetId": strconv.Itoa(5000 + i), "createdAt": at, "updatedAt": at, "lifecycle": object{"value": "1", "name": "Live"},
				"core": object{"text": Escaped(p.Long), "styletags": []any{}, "urls": []any{}, "mentions": []any{}, "cashtags": []any{}, "hashtags": []any{}}}})
		}
		if a := p.Article; a != nil {
			var blocks []object
			for _, text := range a.Paragraphs {
				blocks = append(blocks, object{"text": text, "type": "unstyled"})
			}
			articles = append(articles, object{"article": object{"id": a.ID, "title": a.Title, "content": object{"blocks": blocks}}})
			about = append(about, object{"articleMetadata": object{"tweetId": p.ID, "lifecycleState": object{"lifecycle": object{"name": "Published"}}, "firstPublishedAtMs": strconv.FormatInt(p.At.UnixMilli(), 10)}})
		}
		for _, m := range p.Media {
			if m.Data != nil {
				media = append(media, File{"data/" + in + "/" + p.ID + "-" + m.Name, m.Data})
			}
		}
	}
	types := object{}
	files := []File{{"Your archive.html", []byte("<html>" + Secret)}, {"assets/js/main.js", []byte("// " + Secret)}}
	add := func(key, file, variable string, elements []object, size int) {
		if size == 0 {
			size = max(len(elements), 1)
		}
		var described []object
		for part := 0; part == 0 || part*size < len(elements); part++ {
			some := elements[min(part*size, len(elements)):min((part+1)*size, len(elements))]
			path := "data/" + file + ".js"
			if part > 0 {
				path = fmt.Sprintf("data/%s-part%d.js", file, part)
			}
			files = append(files, File{path, list(variable, part, some)})
			described = append(described, object{"fileName": path, "globalName": fmt.Sprintf("YTD.%s.part%d", variable, part), "count": strconv.Itoa(len(some))})
		}
		types[key] = object{"files": described}
	}
	add("account", "account", "account", []object{{"account": object{"email": Secret + "@example.com", "createdVia": "web", "username": e.Account.Username, "accountId": e.Account.ID,
		"createdAt": "2012-03-04T05:06:07.000Z", "accountDisplayName": e.Account.Name}}}, 0)
	add("tweets", name, variable, tweets, e.PartSize)
	add("communityTweet", "community-tweet", "community_tweet", community, 0)
	add("deletedTweets", "deleted-tweets", "deleted_tweets", deleted, 0)
	add("deletedTweetHeaders", "deleted-tweet-headers", "deleted_tweet_headers", headers, 0)
	add("noteTweet", "note-tweet", "note_tweet", notes, 0)
	add("article", "article", "article", articles, 0)
	add("articleMetadata", "article-metadata", "article_metadata", about, 0)
	private := []object{{"dmConversation": object{"conversationId": "1-2", "messages": []object{{"messageCreate": object{"text": Secret}}}}}}
	add("directMessages", "direct-messages", "direct_messages", private, 0)
	add("ipAudit", "ip-audit", "ip_audit", []object{{"ipAudit": object{"loginIp": Secret}}}, 0)
	files = append(files, File{"data/direct_messages_media/1-" + Secret + ".jpg", []byte(Secret)}, File{"data/README.txt", []byte("INTRODUCTION\n")})
	manifest, err := json.MarshalIndent(object{"userInfo": object{"accountId": e.Account.ID, "userName": e.Account.Username, "displayName": e.Account.Name},
		"archiveInfo": object{"sizeBytes": "1", "generationDate": e.Made.UTC().Format("2006-01-02T15:04:05.000Z"), "isPartialArchive": false, "maxPartSizeBytes": "53687091200"},
		"readmeInfo":  object{"fileName": "data/README.txt"}, "dataTypes": types}, "", "  ")
	if err != nil {
		panic(err) // strings can be encoded
	}
	files = append(append(files, File{"data/manifest.js", append([]byte("window.__THAR_CONFIG = "), manifest...)}), media...)
	for i := range files {
		files[i].Name = e.Root + files[i].Name
	}
	return files
}

// Zip packs files.
func Zip(files []File) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range files {
		w, err := z.Create(f.Name)
		if err == nil {
			_, err = w.Write(f.Data)
		}
		if err != nil {
			panic(err) // memory takes it
		}
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// Zip packs the export.
func (e Export) Zip() []byte { return Zip(e.Files()) }
