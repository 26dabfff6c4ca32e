package message

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"image"
	_ "image/gif"  // for their sizes
	_ "image/jpeg" // in pixels
	_ "image/png"
	"io"
	"net/http"
	"path"
	"strings"

	"xarchive/handler/internal/post"
)

// FileNames returns a file name for each media file: that of its source, made
// unique and fit for every file system. sources has the address that each was read
// from, "" for one that was not read.
func FileNames(media []post.Media, sources []string) []string {
	names := make([]string, len(media))
	for i, m := range media {
		names[i] = fileName(m, sources[i])
	}
	return unique(names)
}

// unique makes names differ from each other and from the document's, without regard
// to case.
func unique(names []string) []string {
	taken := map[string]bool{documentName: true}
	out := make([]string, len(names))
	for i, name := range names {
		ext := path.Ext(name)
		base := strings.TrimSuffix(name, ext)
		for n := 2; taken[strings.ToLower(name)]; n++ {
			name = fmt.Sprintf("%s-%d%s", base, n, ext)
		}
		taken[strings.ToLower(name)] = true
		out[i] = name
	}
	return out
}

// maxName bounds a file name, in bytes; the extension is kept.
const maxName = 120

func fileName(m post.Media, source string) string {
	name := token(m.Key)
	if source != "" {
		name = post.FileName(source)
	}
	name = strings.Map(func(r rune) rune {
		switch {
		case r < ' ' || r >= 0x7f || strings.ContainsRune(`/\:*?"<>|`, r):
			return '_'
		}
		return r
	}, strings.ToValidUTF8(name, "_"))
	name = strings.Trim(name, ". ")
	if name == "" {
		name = token(m.Key)
	}
	if ext := path.Ext(name); len(name) > maxName && len(ext) < 10 {
		name = name[:maxName-len(ext)] + ext
	} else if len(name) > maxName {
		name = name[:maxName]
	}
	return name
}

// types has the media types of the files that X's servers send, by extension. The
// system's own table differs from machine to machine.
var types = map[string]string{
	".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".gif": "image/gif", ".webp": "image/webp",
	".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime", ".webm": "video/webm",
	".m3u8": "application/vnd.apple.mpegurl", ".zip": "application/zip", // a stream's playlists and parts
}

// extensions has the extension that a file of a type gets if its own is another's.
var extensions = map[string]string{"image/jpeg": ".jpg", "image/png": ".png", "image/gif": ".gif", "image/webp": ".webp",
	"video/mp4": ".mp4", "video/webm": ".webm", "application/zip": ".zip"}

// TypeOf returns the media type of a file of that name.
func TypeOf(name string) string {
	if t := types[strings.ToLower(path.Ext(name))]; t != "" {
		return t
	}
	return "application/octet-stream"
}

// shownInline reports whether mail readers show a file of that type in the text.
func shownInline(mediaType string) bool {
	switch mediaType {
	case "image/jpeg", "image/png", "image/gif", "image/webp":
		return true
	}
	return false
}

// beginning is how much of a file is looked at, in bytes.
const beginning = 512

// file is an attachment whose beginning was looked at.
type file struct {
	Attachment
	width int // of a picture, in pixels; 0 if unknown
}

// look reads the beginning of every body for what it tells: X's addresses name a
// wrong type, or none. It returns an error of a body as it is. Media of the post that
// are in no attachment are added as missing if all are to be there.
func look(p *post.Post, attachments []Attachment, all bool) ([]file, error) {
	files, names := make([]file, len(attachments)), make([]string, len(attachments))
	there := map[string]bool{}
	for i, a := range attachments {
		files[i] = file{Attachment: a, width: a.Media.Width}
		names[i] = a.Name
		there[a.Media.Key] = true
		if a.Body == nil {
			continue
		}
		body := bufio.NewReaderSize(a.Body, beginning)
		head, err := body.Peek(beginning)
		if err != nil && err != io.EOF {
			return nil, fmt.Errorf("writing media %s of post %s: %w", a.Media.Key, p.ID, err)
		}
		files[i].Body = body
		if kind := http.DetectContentType(head); extensions[kind] != "" {
			names[i], files[i].Type = rightName(a.Name, kind), kind
		}
		if size, _, err := image.DecodeConfig(bytes.NewReader(head)); err == nil && a.Media.Width == 0 {
			files[i].width = size.Width
		}
	}
	for i, name := range unique(names) {
		files[i].Name = name
	}
	for _, m := range p.Shown() {
		if all && !there[m.Key] {
			files = append(files, file{Attachment: Attachment{Media: m, Missing: cmp.Or(m.NoFile(), "it was not asked for")}})
		}
	}
	return files, nil
}

// rightName returns a file's name with an extension of its type.
func rightName(name, kind string) string {
	ext := path.Ext(name)
	switch {
	case TypeOf(name) == kind:
		return name
	case types[strings.ToLower(ext)] != "":
		name = strings.TrimSuffix(name, ext)
	}
	return name + extensions[kind]
}
