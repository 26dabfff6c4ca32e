package dataexport

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"

	"xarchive/handler/internal/post"
)

// Contents is what a data export has of the account's posts.
type Contents struct {
	Posts    int // different ones
	Twice    int // that are listed once more, with the same id
	Deleted  int // of the posts
	Reposts  int // of the posts: the export has only the beginning of each
	Unusable int // elements that are no posts: they have no id

	Notes         int // long texts
	NotesJoined   int // of them, those that are certainly the text of one post
	Articles      int
	ArticlesFound int // of them, those whose post is there
	Drafts        int // of them, those that were not published
	Media         int // files of posts
	MediaMissing  int // media that posts name and of which there is no file
	NotesOpen     int // posts that may have a longer text, of which none is certain

	// Short are data files that have fewer or more elements than the export's manifest
	// states, in words.
	Short []string
}

// Status is how far reading is.
type Status struct {
	Read, All int64 // bytes of the data files
	Posts     int
}

// Look reads all posts once, and decides which long text belongs to which post. It must
// come before Posts. show is called now and then; nil: nobody.
func (x *Export) Look(ctx context.Context, show func(Status)) (c Contents, err error) {
	x.joined = &joined{}
	if err := x.joined.read(ctx, x, &c); err != nil {
		return c, err
	}
	for _, list := range x.media {
		c.Media += len(list)
	}
	ids := map[uint64]bool{}
	err = x.all(ctx, show, func(e element) error {
		n, err := strconv.ParseUint(post.ExportID(e.raw), 10, 64)
		switch {
		case err != nil || n == 0:
			c.Unusable++
			return nil
		case ids[n]:
			c.Twice++
			return nil
		}
		ids[n] = true
		c.Posts++
		x.joined.match(e, strconv.FormatUint(n, 10))
		if e.deleted {
			c.Deleted++
		}
		d := post.Exported{Account: x.Account, File: e.file.name, Tweet: e.raw, Media: x.media[mediaKey(e.folder, strconv.FormatUint(n, 10))]}.Document()
		if d.Post == nil {
			return nil
		}
		if d.Post.Export.Repost {
			c.Reposts++
		}
		for _, m := range d.Post.Media {
			if m.NoFile() != "" {
				c.MediaMissing++
			}
		}
		return nil
	}, func(d dataFile, n int) {
		if stated, ok := x.stated[d.name]; ok && stated != n {
			c.Short = append(c.Short, d.name+" has "+strconv.Itoa(n)+" posts, the export's manifest states "+strconv.Itoa(stated))
		}
	})
	if err != nil {
		return c, err
	}
	for name := range x.stated { // a part that was left out
		for _, k := range kinds {
			if x.byName[name] == nil && sameKind(name, k.file) {
				c.Short = append(c.Short, name+" is not there, the export's manifest states that it has "+strconv.Itoa(x.stated[name])+" posts")
			}
		}
	}
	slices.Sort(c.Short)
	c.NotesJoined, c.NotesOpen, c.ArticlesFound = x.joined.found()
	return c, nil
}

// Posts gives every post of the export, each id once, and what is no post as a document
// without id. Its errors are do's, and those of Look.
func (x *Export) Posts(ctx context.Context, show func(Status), do func(post.Document) error) error {
	if x.joined == nil {
		return errors.New("the data export was not looked through")
	}
	ids := map[uint64]bool{}
	return x.all(ctx, show, func(e element) error {
		id := post.ExportID(e.raw)
		if n, err := strconv.ParseUint(id, 10, 64); err == nil {
			if ids[n] {
				return nil
			}
			ids[n] = true
		}
		p := post.Exported{Account: x.Account, File: e.file.name, Tweet: e.raw, Deleted: e.deleted, Media: x.media[mediaKey(e.folder, id)]}
		x.joined.add(x, &p, id)
		return do(p.Document())
	}, nil)
}

// element is an element of a data file with posts.
type element struct {
	file    dataFile
	folder  string // of its media
	deleted bool
	raw     json.RawMessage
}

// all goes through the data files with posts.
func (x *Export) all(ctx context.Context, show func(Status), do func(element) error, ended func(dataFile, int)) error {
	var s Status
	var files []element
	for _, k := range kinds {
		for _, d := range x.files(k.file) {
			s.All += int64(x.byName[d.name].UncompressedSize64)
			files = append(files, element{file: d, folder: k.folder, deleted: k.file == "deleted-tweets"})
		}
	}
	if len(files) == 0 {
		return errors.New("the data export has no posts: no data/tweets.js, and none of the other files with posts")
	}
	for _, e := range files {
		n := 0
		err := x.each(ctx, e.file, "tweet", func(n int64) { s.Read += n }, func(raw json.RawMessage) error {
			n++
			s.Posts++
			if show != nil {
				show(s)
			}
			e.raw = raw
			return do(e)
		})
		if err != nil {
			return err
		}
		if ended != nil {
			ended(e.file, n)
		}
	}
	return nil
}

// sameKind reports whether a path is that of a data file of a kind.
func sameKind(name, file string) bool {
	return len((&Export{byName: map[string]*zip.File{name: nil}}).files(file)) > 0
}
