package message

import (
	"fmt"
	"path"
	"strings"

	"xarchive/handler/internal/post"
)

// FileNames returns a file name for each media file: that of its source, made
// unique and fit for every file system. sources has the address that each was read
// from, "" for one that was not read.
func FileNames(media []post.Media, sources []string) []string {
	taken := map[string]bool{documentName: true}
	names := make([]string, len(media))
	for i, m := range media {
		name := fileName(m, sources[i])
		ext := path.Ext(name)
		base := strings.TrimSuffix(name, ext)
		for n := 2; taken[strings.ToLower(name)]; n++ {
			name = fmt.Sprintf("%s-%d%s", base, n, ext)
		}
		taken[strings.ToLower(name)] = true
		names[i] = name
	}
	return names
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
		case r < ' ' || r == 0x7f || strings.ContainsRune(`/\:*?"<>|`, r):
			return '_'
		}
		return r
	}, strings.ToValidUTF8(name, "_"))
	name = strings.Trim(name, ". ")
	if name == "" {
		name = token(m.Key)
	}
	if ext := path.Ext(name); len(name) > maxName && len(ext) < 10 {
		name = strings.ToValidUTF8(name[:maxName-len(ext)], "") + ext
	} else if len(name) > maxName {
		name = strings.ToValidUTF8(name[:maxName], "")
	}
	return name
}

// types has the media types of the files that X's servers send, by extension. The
// system's own table differs from machine to machine.
var types = map[string]string{
	".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".gif": "image/gif", ".webp": "image/webp",
	".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime", ".webm": "video/webm",
	".m3u8": "application/vnd.apple.mpegurl",
}

// TypeOf returns the media type of a file of that name.
func TypeOf(name string) string {
	if t := types[strings.ToLower(path.Ext(name))]; t != "" {
		return t
	}
	return "application/octet-stream"
}

// shownInline reports whether mail readers show a file of that type in the text.
func shownInline(mediaType string) bool { return strings.HasPrefix(mediaType, "image/") }
