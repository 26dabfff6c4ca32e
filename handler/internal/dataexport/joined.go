package dataexport

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"xarchive/handler/internal/post"
)

// joined are the long texts and articles of an export, and the posts that they belong
// to. X names no post in a long text: it was posted in the same second, and begins as the
// post does. Where that does not tell one from another, none is taken.
type joined struct {
	notes    []note
	byTime   map[int64][]int  // indices of notes by second
	byPost   map[string][]int // of notes that may be a post's, by its id
	articles []article
	byTweet  map[string]int    // index of articles by the id of the post
	deleted  map[string]string // when posts were deleted, by id
	held     int64
}

type note struct {
	post.Note
	raw   json.RawMessage
	posts int // whose text it may be
}

type article struct {
	id       string
	raw, of  json.RawMessage // of: its metadata
	postHere bool
}

// maxHeld bounds what is held of long texts and articles, in bytes.
const maxHeld = 512 << 20

// read reads the files.
func (j *joined) read(ctx context.Context, x *Export, c *Contents) error {
	*j = joined{byTime: map[int64][]int{}, byPost: map[string][]int{}, byTweet: map[string]int{}, deleted: map[string]string{}}
	hold := func(raw json.RawMessage) error {
		if j.held += int64(len(raw)); j.held > maxHeld {
			return fmt.Errorf("%w: its long texts and articles are larger than %d bytes", ErrHostile, int64(maxHeld))
		}
		return nil
	}
	list := func(file, member string, do func(json.RawMessage)) error {
		for _, d := range x.files(file) {
			err := x.each(ctx, d, member, nil, func(raw json.RawMessage) error {
				do(raw)
				return hold(raw)
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
	for _, file := range []string{"note-tweet", "deleted-note-tweet"} {
		err := list(file, "noteTweet", func(raw json.RawMessage) {
			c.Notes++
			if n, ok := post.ReadNote(raw); ok {
				second := n.CreatedAt.Unix()
				j.byTime[second] = append(j.byTime[second], len(j.notes))
				j.notes = append(j.notes, note{Note: n, raw: raw})
			}
		})
		if err != nil {
			return err
		}
	}
	if err := j.readArticles(list, c); err != nil {
		return err
	}
	return list("deleted-tweet-headers", "tweet", func(raw json.RawMessage) {
		var h struct {
			ID string `json:"tweet_id"`
			At string `json:"deleted_at"`
		}
		var camel struct {
			ID string `json:"tweetId"`
			At string `json:"deletedAt"`
		}
		if json.Unmarshal(raw, &h) == nil && h.ID != "" {
			j.deleted[h.ID] = h.At
		}
		if json.Unmarshal(raw, &camel) == nil && camel.ID != "" {
			j.deleted[camel.ID] = camel.At
		}
	})
}

// readArticles reads articles and what X says of them, which stands in another file: by
// the article's id, or else at the same place of a list as long.
func (j *joined) readArticles(list func(file, member string, do func(json.RawMessage)) error, c *Contents) error {
	var about []json.RawMessage
	err := list("article", "article", func(raw json.RawMessage) {
		c.Articles++
		j.articles = append(j.articles, article{id: post.ExportArticleID(raw), raw: raw})
	})
	if err != nil {
		return err
	}
	if err := list("article-metadata", "articleMetadata", func(raw json.RawMessage) { about = append(about, raw) }); err != nil {
		return err
	}
	for i, raw := range about {
		id, tweet, draft := post.ExportArticlePost(raw)
		at := slices.IndexFunc(j.articles, func(a article) bool { return a.id == id && id != "" })
		if id == "" && len(about) == len(j.articles) {
			at = i
		}
		if at < 0 {
			continue
		}
		j.articles[at].of = raw
		if draft {
			c.Drafts++
		}
		if tweet != "" && !draft {
			j.byTweet[tweet] = at
		}
	}
	return nil
}

// match notes what may belong to a post.
func (j *joined) match(e element, id string) {
	if len(j.notes) == 0 && len(j.byTweet) == 0 {
		return
	}
	if at := post.ExportTime(e.raw); !at.IsZero() {
		for second := at.Unix() - 1; second <= at.Unix()+1; second++ {
			for _, i := range j.byTime[second] {
				if j.notes[i].MayBeOf(e.raw) {
					j.notes[i].posts++
					j.byPost[id] = append(j.byPost[id], i)
				}
			}
		}
	}
	if i, ok := j.byTweet[id]; ok {
		j.articles[i].postHere = true
	}
}

// add adds to a post what belongs to it.
func (j *joined) add(x *Export, p *post.Exported, id string) {
	switch may := j.byPost[id]; {
	case len(may) == 1 && j.notes[may[0]].posts == 1:
		p.Note = j.notes[may[0]].raw
	default:
		p.Undecided = len(may)
	}
	if i, ok := j.byTweet[id]; ok {
		a := j.articles[i]
		p.Article, p.ArticleMetadata = a.raw, a.of
		for _, folder := range mediaFolders[:2] {
			p.ArticleMedia = append(p.ArticleMedia, x.media[mediaKey(folder, a.id)]...)
		}
	}
	if p.Deleted {
		p.DeletedAt = j.deleted[id]
	}
}

// found returns how many posts have their long text, and how many may have one of several;
// and how many articles have their post.
func (j *joined) found() (notes, open, articles int) {
	for _, may := range j.byPost {
		if len(may) == 1 && j.notes[may[0]].posts == 1 {
			notes++
		} else {
			open++
		}
	}
	for _, a := range j.articles {
		if a.postHere {
			articles++
		}
	}
	return notes, open, articles
}
