// Package dataexport reads X's own data export, the zip file twitter-<date>-<…>.zip that
// X makes for an account's owner: its posts, long texts, articles, deleted posts, posts
// in communities, and their media. Nothing else of it is read: not the direct messages,
// addresses and whatever more X knows of its owner.
//
// The file comes from somewhere. It is looked through before anything of it is used: a zip
// with strange paths, or that would be larger unpacked than a data export can be, is refused
// as a whole. Nothing is ever unpacked to a disk, and memory is bounded whatever is in it.
//
// [Open] reads what the export says of itself, [Export.Look] all of its posts once: how
// many there are, and which long text belongs to which post. [Export.Posts] then gives
// the posts one by one, [Export.Media] their files.
//
// X documents the files in the export's README.txt; docs/format.md says what of the layout
// is documented where.
package dataexport

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"xarchive/handler/internal/post"
)

var (
	// ErrNotExport: the file is no zip, or not one of X's data exports.
	ErrNotExport = errors.New("this is not X's data export")
	// ErrHostile: the zip is made as no data export is: it could do harm.
	ErrHostile = errors.New("the zip is not made as X makes its data exports, and is refused")
	// ErrMalformed: a data file is not of the form that X gives it.
	ErrMalformed = errors.New("a file of the data export cannot be read")
)

// Export is a data export. It is not for use by several goroutines, but for Media.
type Export struct {
	Account post.User // whose it is: ID, Username, Name
	Made    time.Time // UTC; when X made it; zero if it does not say
	Size    int64     // of the zip file, in bytes
	Part    bool      // X says that it is one of several files of one export

	file    *os.File
	root    string               // what stands before data/ in the paths
	byName  map[string]*zip.File // the files that are read, by their path from data/ on
	media   map[string][]string  // paths of media by folder/id
	stated  map[string]int       // elements of the data files, as the manifest states them
	joined  *joined              // nil before Look
	maxItem int64                // bytes that an element may have
}

// Open opens a data export. It errors with ErrNotExport, ErrHostile or ErrMalformed, or as
// os.Open does.
func Open(name string) (x *Export, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is not a file", ErrNotExport, name)
	}
	x = &Export{file: f, Size: info.Size(), maxItem: maxItem}
	files, err := look(f, info.Size())
	if err != nil {
		return nil, err
	}
	if err := x.index(files); err != nil {
		return nil, err
	}
	if err := x.readAccount(); err != nil {
		return nil, err
	}
	return x, x.readManifest()
}

// Close closes the file.
func (x *Export) Close() error { return x.file.Close() }

// SHA256 reads the zip file and returns its SHA-256 in hex.
func (x *Export) SHA256(ctx context.Context) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, reader{ctx, io.NewSectionReader(x.file, 0, x.Size)}); err != nil {
		return "", fmt.Errorf("reading the zip: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// reader ends with its context.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(p)
}

// readAccount reads whose export it is. Of account.js nothing else is kept: it has the
// owner's mail address.
func (x *Export) readAccount() error {
	type account struct {
		ID       string `json:"accountId"`
		Username string `json:"username"`
		Name     string `json:"accountDisplayName"`
	}
	var list []account
	err := x.each(context.Background(), dataFile{"data/account.js", 0}, "account", nil, func(raw json.RawMessage) error {
		var a account
		err := json.Unmarshal(raw, &a)
		list = append(list, a)
		return err
	})
	if err != nil {
		return fmt.Errorf("%w: data/account.js: %w", ErrMalformed, err)
	}
	if len(list) != 1 || post.CheckID(list[0].ID) != nil {
		return fmt.Errorf("%w: data/account.js names no account", ErrMalformed)
	}
	x.Account = post.User{ID: list[0].ID, Username: list[0].Username, Name: list[0].Name}
	return nil
}

// readManifest reads what the export says of itself. An export may have no manifest.
func (x *Export) readManifest() error {
	f := x.byName["data/manifest.js"]
	if f == nil {
		return nil
	}
	var m struct {
		User struct {
			ID string `json:"accountId"`
		} `json:"userInfo"`
		Info struct {
			Made    string `json:"generationDate"`
			Partial bool   `json:"isPartialArchive"`
		} `json:"archiveInfo"`
		Types map[string]struct {
			Files []struct {
				Name  string `json:"fileName"`
				Count string `json:"count"`
			} `json:"files"`
		} `json:"dataTypes"`
	}
	text, err := whole(f, maxManifest)
	if err != nil {
		return err
	}
	_, text, found := strings.Cut(text, "=")
	if err := json.Unmarshal([]byte(strings.TrimRight(strings.TrimSpace(text), ";")), &m); err != nil || !found {
		return fmt.Errorf("%w: data/manifest.js: %w", ErrMalformed, errors.Join(err, errors.New("it is no assignment of an object")))
	}
	if m.User.ID != "" && m.User.ID != x.Account.ID {
		return fmt.Errorf("%w: data/manifest.js says that it is of account %s, data/account.js of %s", ErrMalformed, m.User.ID, x.Account.ID)
	}
	x.Made, _ = time.Parse(time.RFC3339, m.Info.Made) // not every export says it
	x.Made, x.Part = x.Made.UTC(), m.Info.Partial
	x.stated = map[string]int{}
	for _, t := range m.Types {
		for _, f := range t.Files {
			if n, err := strconv.Atoi(f.Count); err == nil {
				x.stated[f.Name] = n
			}
		}
	}
	return nil
}

// dataFile is a file of an export with a list.
type dataFile struct {
	name string // its path from data/ on
	part int
}

// kinds are the data files with posts, each with the folder of their media. Deleted posts
// come first: one that another file has, too, is deleted.
var kinds = []struct{ file, folder string }{
	{"deleted-tweets", "deleted_tweets_media"},
	{"tweets", "tweets_media"},
	{"tweet", "tweet_media"}, // of exports until 2022
	{"community-tweet", "community_tweet_media"},
	{"twitter-circle-tweet", "twitter_circle_tweet_media"},
}

// files returns the data files of a kind, in order: data/tweets.js, data/tweets-part1.js, …
func (x *Export) files(file string) (list []dataFile) {
	for name := range x.byName {
		rest, is := strings.CutPrefix(name, "data/"+file)
		rest, js := strings.CutSuffix(rest, ".js")
		if !is || !js {
			continue
		}
		part := 0
		if rest != "" {
			n, found := strings.CutPrefix(rest, "-part")
			var err error
			if part, err = strconv.Atoi(n); !found || err != nil || part < 0 {
				continue // of another kind
			}
		}
		list = append(list, dataFile{name, part})
	}
	slices.SortFunc(list, func(a, b dataFile) int { return a.part - b.part })
	return list
}
