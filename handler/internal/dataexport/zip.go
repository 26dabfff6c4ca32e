package dataexport

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// What an export may be. X cuts exports into files of 50 GB.
const (
	maxFiles     = 1_000_000 // in the zip
	maxDirectory = 256 << 20 // bytes of the list of its files
	maxUnpacked  = 400 << 30 // bytes of all files together
	maxList      = 16 << 30  // bytes of a data file
	maxMedia     = 16 << 30  // bytes of a media file: the longest film that X takes
	maxItem      = 3 << 20   // bytes of an element of a data file: a document is made of four at most, and may have 16 MiB
	maxManifest  = 16 << 20  // bytes of manifest.js
	maxRatio     = 300       // of a file's size to its compressed one, where it has more than smallFile
	smallFile    = 1 << 20
)

// look reads the list of a zip's files, and refuses one with anything that no export has.
func look(f io.ReaderAt, size int64) ([]*zip.File, error) {
	list := &bounded{r: f, left: maxDirectory}
	z, err := zip.NewReader(list, size)
	if errors.Is(err, errLong) {
		return nil, fmt.Errorf("%w: the list of its files is too long", ErrHostile)
	}
	if errors.Is(err, zip.ErrFormat) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("%w: it is no zip file, or not all of one: %w", ErrNotExport, err)
	}
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, fmt.Errorf("reading the zip: %w", err)
	}
	list.open()
	if len(z.File) > maxFiles {
		return nil, fmt.Errorf("%w: it has %d files", ErrHostile, len(z.File))
	}
	seen := make(map[string]bool, len(z.File))
	var packed, unpacked uint64
	for _, f := range z.File {
		why := strange(f)
		packed, unpacked = packed+f.CompressedSize64, unpacked+f.UncompressedSize64
		switch {
		case why != "":
		case seen[f.Name]:
			why = "its name is there twice"
		case packed > uint64(size):
			why = "the files are larger than the zip that has them"
		case unpacked > maxUnpacked:
			why = "the files would be too large unpacked"
		}
		if why != "" {
			return nil, fmt.Errorf("%w: %.200q: %s", ErrHostile, f.Name, why)
		}
		seen[f.Name] = true
	}
	return z.File, nil
}

// strange says what is strange about a file; "" if nothing is.
func strange(f *zip.File) string {
	name := f.Name
	switch {
	case f.NonUTF8 && !utf8.ValidString(name), !utf8.ValidString(name), strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "its name is no text"
	case strings.ContainsAny(name, `\:`), strings.HasPrefix(name, "/"), slices.Contains(strings.Split(name, "/"), ".."), path.Clean(name) != strings.TrimSuffix(name, "/"):
		return "its path leads out of the zip, or nowhere"
	case f.Mode()&(fs.ModeType&^fs.ModeDir) != 0:
		return "it is a link or a device"
	case f.Flags&1 != 0:
		return "it is encrypted"
	case f.Method != zip.Store && f.Method != zip.Deflate:
		return "it is compressed in a way that is not known here"
	case f.UncompressedSize64 > maxMedia:
		return "it is too large"
	case f.UncompressedSize64 > smallFile && f.UncompressedSize64/maxRatio > f.CompressedSize64:
		return "it would grow too much when it is unpacked"
	}
	return ""
}

var errLong = errors.New("longer than is accepted")

// bounded lets so many bytes be read, until it is opened.
type bounded struct {
	r    io.ReaderAt
	left int64 // less than 0: no limit
}

func (b *bounded) open() { b.left = -1 }

func (b *bounded) ReadAt(p []byte, at int64) (int, error) {
	if b.left < 0 {
		return b.r.ReadAt(p, at)
	}
	if b.left -= int64(len(p)); b.left < 0 {
		b.left = 0
		return 0, errLong
	}
	return b.r.ReadAt(p, at)
}

// index finds the data files and media among a zip's files. Somebody may have packed the
// export anew, with a folder round it.
func (x *Export) index(files []*zip.File) error {
	const account = "data/account.js"
	found := false
	for _, f := range files {
		root, is := strings.CutSuffix(f.Name, account)
		if !is || root != "" && (!strings.HasSuffix(root, "/") || strings.Count(root, "/") > 1) {
			continue
		}
		if found {
			return fmt.Errorf("%w: it has several: %s%s and %s%s", ErrNotExport, x.root, account, root, account)
		}
		x.root, found = root, true
	}
	if !found {
		return fmt.Errorf("%w: the zip has no %s", ErrNotExport, account)
	}
	x.byName, x.media = map[string]*zip.File{}, map[string][]string{}
	for _, f := range files {
		name, is := strings.CutPrefix(f.Name, x.root)
		if !is || strings.HasSuffix(name, "/") {
			continue
		}
		folder, file := path.Split(strings.TrimPrefix(name, "data/"))
		switch {
		case path.Dir(name) == "data" && strings.HasSuffix(name, ".js"):
			x.byName[name] = f
		case slices.Contains(mediaFolders, strings.TrimSuffix(folder, "/")):
			id, _, _ := strings.Cut(file, "-")
			key := mediaKey(strings.TrimSuffix(folder, "/"), id)
			x.media[key] = append(x.media[key], name)
			x.byName[name] = f
		}
	}
	for _, list := range x.media {
		slices.Sort(list)
	}
	return nil
}

var mediaFolders = append([]string{"article_media", "twitter_article_media"}, func() (list []string) {
	for _, k := range kinds {
		list = append(list, k.folder)
	}
	return list
}()...)

func mediaKey(folder, id string) string { return folder + "/" + id }

// Media opens a file of a post by its path in the export, as post.Media has it. Its bytes
// are compared with the zip's check sum at their end. It may be called by several goroutines.
func (x *Export) Media(name string) (io.ReadCloser, error) {
	f := x.byName[name]
	if f == nil {
		return nil, fmt.Errorf("%s is not in X's data export", name)
	}
	return open(f, maxMedia)
}

// open opens a file of which no more than its stated size is read, and not more than max.
func open(f *zip.File, max int64) (io.ReadCloser, error) {
	body, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrMalformed, f.Name, err)
	}
	return file{name: f.Name, body: body, left: &limit{r: body, left: min(int64(f.UncompressedSize64), max) + 1}}, nil
}

type file struct {
	name string
	body io.Closer
	left *limit
}

func (f file) Read(p []byte) (int, error) {
	n, err := f.left.Read(p)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("%w: %s: %w", ErrMalformed, f.name, err)
	}
	return n, err
}

func (f file) Close() error { return f.body.Close() }

// limit lets so many bytes be read.
type limit struct {
	r    io.Reader
	left int64
}

func (l *limit) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errLong
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

// whole reads a small file.
func whole(f *zip.File, max int64) (string, error) {
	body, err := open(f, max)
	if err != nil {
		return "", err
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	return string(text), err
}
