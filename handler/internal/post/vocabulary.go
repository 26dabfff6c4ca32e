package post

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Vocabulary is the set of words that X describes posts in. X renamed "tweet" to
// "post" in version 2.167 of its specification (August 2026): parameters, fields,
// expansions, and the names in its answers. Both are read here; in which of the two
// an answer is shows in its own words.
type Vocabulary string

const (
	// TweetWords are the older words, up to version 2.166: referenced_tweets,
	// note_tweet, edit_history_tweet_ids, includes.tweets.
	TweetWords Vocabulary = "tweet"

	// PostWords are the newer ones: referenced_posts, note_post,
	// edit_history_post_ids, includes.posts.
	PostWords Vocabulary = "post"
)

// group is what includes call posts.
func (v Vocabulary) group() string {
	if v == PostWords {
		return "posts"
	}
	return "tweets"
}

// wireNote is the whole text of a long post, whose text is cut off.
type wireNote struct {
	Text     string       `json:"text"`
	Entities wireEntities `json:"entities"`
}

type wireReference struct {
	Type RefType `json:"type"`
	ID   string  `json:"id"`
}

// wireWords are the members of a post that the two vocabularies name differently.
type wireWords struct {
	EditHistoryTweets []string        `json:"edit_history_tweet_ids"`
	EditHistoryPosts  []string        `json:"edit_history_post_ids"`
	NoteTweet         wireNote        `json:"note_tweet"`
	NotePost          wireNote        `json:"note_post"`
	ReferencedTweets  []wireReference `json:"referenced_tweets"`
	ReferencedPosts   []wireReference `json:"referenced_posts"`
}

// wirePost is a post in either vocabulary, with one name for each thing.
type wirePost struct {
	wireRest
	EditHistory []string
	Note        wireNote
	Referenced  []wireReference
	Words       Vocabulary // "" where the post has no word of either
}

// UnmarshalJSON reads what it can, also beside an error.
func (w *wirePost) UnmarshalJSON(raw []byte) error {
	err := json.Unmarshal(raw, &w.wireRest)
	var words wireWords
	if wordsErr := json.Unmarshal(raw, &words); err == nil {
		err = wordsErr
	}
	w.EditHistory, w.Note, w.Referenced = words.EditHistoryTweets, words.NoteTweet, words.ReferencedTweets
	if w.EditHistory != nil || w.Note.Text != "" || w.Referenced != nil {
		w.Words = TweetWords
	}
	if words.EditHistoryPosts != nil || words.NotePost.Text != "" || words.ReferencedPosts != nil {
		w.Words = PostWords
	}
	if words.EditHistoryPosts != nil {
		w.EditHistory = words.EditHistoryPosts
	}
	if words.NotePost.Text != "" {
		w.Note = words.NotePost
	}
	if words.ReferencedPosts != nil {
		w.Referenced = words.ReferencedPosts
	}
	return err
}

// doubts says what of a post shows that X did not understand what it was asked
// for. X drops a name that it does not know, in silence. It always sends a post's
// author and edit history to who asks for them, and the whole text of a long post.
func (w *wirePost) doubts() []string {
	var out []string
	if len(w.EditHistory) == 0 {
		out = append(out, fmt.Sprintf("post %s has no edit history", w.ID))
	}
	if w.AuthorID == "" {
		out = append(out, fmt.Sprintf("post %s has no author_id", w.ID))
	}
	if w.cut() {
		out = append(out, fmt.Sprintf("the text of post %s is cut off, and the whole is not there", w.ID))
	}
	return out
}

// cut reports whether the post's text is cut off and its whole text is not there.
// X ends a text that it cuts off with "…" and an address of the post itself, which
// no author can write: the post's id is not known before. The text of a repost is
// always an excerpt, and the reposted post has the whole.
func (w *wirePost) cut() bool {
	if w.Note.Text != "" || slices.ContainsFunc(w.Referenced, func(r wireReference) bool { return r.Type == Retweeted }) {
		return false
	}
	for _, u := range w.Entities.URLs {
		if strings.HasSuffix(u.ExpandedURL, "/i/web/status/"+w.ID) {
			return true
		}
	}
	text := []rune(w.Text)
	// The range may count the text without its escapes: the shorter one decides.
	if len(w.Shown) != 2 || w.Shown[1] < 0 || w.Shown[1] >= len([]rune(unescape(w.Text))) {
		return false
	}
	if strings.HasSuffix(w.Text, "…") {
		return true
	}
	// What follows the shown part is the address of media, of a quoted post or of an
	// article, or else of the post itself.
	explained := len(w.Attachments.MediaKeys) > 0 || len(w.Referenced) > 0 || w.Article.Title != ""
	return !explained && strings.HasSuffix(strings.TrimSpace(string(text[:w.Shown[1]])), "…")
}
