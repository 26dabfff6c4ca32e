package post

import (
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
)

// Media is a photo, video or animated GIF. Sources lists where its file can be
// had.
type Media struct {
	Key        string
	Type       string // photo, video, animated_gif; unknown where X did not describe it; Still
	URL        string // of a photo
	PreviewURL string // still picture of a video
	AltText    string
	Width      int // pixels
	Height     int // pixels
	Duration   time.Duration
	Variants   []Variant

	// Export: the media is in X's own data export, where File is the path of its file; ""
	// if the export has none.
	Export bool
	File   string
}

// Still is the type of a video's still picture; see [Media.Still].
const Still = "still"

// Variant is one encoding of a video.
type Variant struct {
	BitRate     int // bits per second; 0 for an animated GIF and a playlist
	ContentType string
	URL         string
}

// Shown lists the media a reader of the post sees: its own, those of its article,
// then those of the posts it repeats, quotes or answers, each once.
func (p *Post) Shown() []Media {
	var out []Media
	seen := map[string]bool{}
	take := func(m Media) {
		if !seen[m.Key] {
			seen[m.Key] = true
			out = append(out, m)
		}
	}
	p.walk(0, func(p *Post) {
		for _, m := range p.Media {
			take(m)
		}
		if a := p.Article; a != nil {
			if a.Cover != nil {
				take(*a.Cover)
			}
			for _, m := range a.Media {
				take(m)
			}
		}
	})
	return out
}

// walk calls visit for the post and the posts it refers to, as deep as they are shown.
func (p *Post) walk(depth int, visit func(*Post)) {
	visit(p)
	for _, r := range p.References {
		if r.Post != nil && depth < maxDepth {
			r.Post.walk(depth+1, visit)
		}
	}
}

// Stills lists the still pictures of the videos among the shown media, each once.
// They stand for a video in the text; a message is complete without them.
func (p *Post) Stills() []Media {
	var out []Media
	for _, m := range p.Shown() {
		if still, ok := m.Still(); ok {
			out = append(out, still)
		}
	}
	return out
}

// Still returns the still picture of a video as a media of its own, if X names one.
func (m Media) Still() (Media, bool) {
	if m.Type == "photo" || m.Type == Still || m.PreviewURL == "" {
		return Media{}, false
	}
	return Media{Key: m.Key + "-still", Type: Still, URL: m.PreviewURL, AltText: m.AltText, Width: m.Width, Height: m.Height}, true
}

// Sources lists where the media can be had, the best copy first: a photo in
// its original size, a video in its highest bit rate; a media of another type at
// the address that X gives for it. The playlist of a stream (m3u8) is listed where X names
// nothing else; a still picture of a video is no copy of it and is not.
func (m Media) Sources() []string {
	switch {
	case m.Export && m.File == "":
		return nil
	case m.Export:
		return []string{m.File}
	}
	switch m.Type {
	case "photo":
		return photoSources(m.URL)
	case Still:
		return []string{m.URL}
	}
	var files []Variant
	for _, v := range m.Variants {
		if v.URL != "" && !isPlaylist(v) {
			files = append(files, v)
		}
	}
	slices.SortStableFunc(files, func(a, b Variant) int { return b.BitRate - a.BitRate })
	var out []string
	for _, v := range files {
		out = append(out, v.URL)
	}
	for _, v := range m.Variants {
		if len(files) == 0 && v.URL != "" {
			out = append(out, v.URL)
		}
	}
	if m.URL != "" && len(out) == 0 {
		if u, err := url.Parse(m.URL); err == nil && strings.EqualFold(u.Host, "pbs.twimg.com") {
			return photoSources(m.URL)
		}
		out = append(out, m.URL)
	}
	return out
}

func isPlaylist(v Variant) bool {
	return strings.Contains(strings.ToLower(v.ContentType), "mpegurl") || strings.Contains(v.URL, ".m3u8")
}

// NoFile says why the media has no sources; "" if it has some.
func (m Media) NoFile() string {
	switch {
	case len(m.Sources()) > 0:
		return ""
	case m.Export:
		return "X's data export does not have its file"
	case m.Undescribed():
		return "X did not describe it"
	}
	return "X names no file for it"
}

// Undescribed reports whether X named the media in the post and sent nothing of it.
func (m Media) Undescribed() bool {
	return m.Type == "unknown" && m.URL == "" && m.PreviewURL == "" && len(m.Variants) == 0
}

// photoSources returns the addresses of a photo: its original first. X writes a
// size as name=large in the query, or in old addresses as :large after the path.
func photoSources(address string) []string {
	u, err := url.Parse(address)
	if address == "" || err != nil {
		return nil
	}
	orig := *u
	orig.Path, orig.RawPath = cutSize(u.Path), ""
	q := u.Query()
	q.Set("name", "orig")
	orig.RawQuery = q.Encode()
	return []string{orig.String(), address}
}

// cutSize takes a size such as :large from the end of a photo's path.
func cutSize(p string) string {
	if i := strings.LastIndexByte(p, ':'); i > strings.LastIndexByte(p, '/') {
		switch p[i+1:] {
		case "orig", "large", "medium", "small", "thumb":
			return p[:i]
		}
	}
	return p
}

// FileName returns the name of the file behind one of the media's sources: the
// last element of its path, with the extension that X gives in the query where
// the path has none.
func FileName(source string) string {
	u, err := url.Parse(source)
	if err != nil {
		return "media"
	}
	name := path.Base(cutSize(u.Path))
	if name == "." || name == "/" {
		name = "media"
	}
	if path.Ext(name) == "" && u.Query().Get("format") != "" {
		name += "." + u.Query().Get("format")
	}
	return name
}
