package message

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"xarchive/handler/internal/post"
)

// mediaView is a media file as a person is told of it.
type mediaView struct {
	Word    string // photo, video, …
	CID     string // of the picture shown; "" where there is none to show
	Width   int    // of the picture as it is shown, in pixels
	Film    bool   // it moves: a picture only stands for it
	Length  string // of a film; "" if unknown
	Name    string
	Still   string // file name of the still picture of a film; "" if there is none
	Alt     string
	Size    string // in pixels, and the length of a film
	Missing string // why it is not in the message
	Earlier bool   // an earlier message about the post has it
	Kept    string // which copy is, and why not a better one; "" for the best
	Left    string // why the file is not where the text goes, though the message has it
	Preview string // file name of a smaller copy that is there in its place
}

// shownMedia says by media key how each media file is in a message.
type shownMedia map[string]mediaState

type mediaState struct {
	name, cid     string // of the file; "" if it is named nowhere
	width         int    // of a picture, in pixels; 0 if unknown
	missing, kept string // statements; "" if there is none
	left, preview string // why the file is left out, and its preview's name; see Message.LeaveOut
}

func mediaOf(files []file) shownMedia {
	media := shownMedia{}
	for _, a := range files {
		var s mediaState
		switch {
		case a.Body != nil:
			s.name, s.kept = a.Name, keptStatement(a.Attachment)
			if shownInline(a.Type) {
				s.cid, s.width = contentID(a.Media), a.width
			}
		case a.Media.Type == post.Still:
			continue
		default:
			s.missing = missingStatement(a.Attachment)
		}
		media[a.Media.Key] = s
	}
	return media
}

// column is how wide a picture may be, in pixels: the box round a post that is shown
// with another is as wide as that one's text with its margins, the box within it narrower.
func column(depth int) int { return 568 - 32*max(depth-1, 0) }

// add appends the view of a media to list, if it is to be named.
func (w viewer) add(list []mediaView, m post.Media, depth int) []mediaView {
	s, ok := w.media[m.Key]
	if !ok && w.absent == nameNone {
		return list
	}
	v := mediaView{Word: mediaWord(m.Type), Alt: m.AltText, Name: s.name, CID: s.cid, Missing: s.missing, Kept: s.kept, Left: s.left, Preview: s.preview, Film: m.Type != "photo" && s.cid == ""}
	width := s.width
	if still, ok := m.Still(); ok {
		if picture := w.media[still.Key]; picture.name != "" {
			v.CID, v.Still, width = cmp.Or(s.cid, picture.cid), picture.name, cmp.Or(picture.width, width)
		}
	}
	switch {
	case v.Missing != "" || v.Name != "":
	case m.NoFile() != "":
		v.Missing = m.NoFile()
	default:
		v.Earlier = w.absent == earlier
	}
	v.Width = column(depth)
	if width > 0 {
		v.Width = min(width, v.Width)
	}
	if m.Width > 0 && m.Height > 0 {
		v.Size = fmt.Sprintf("%d × %d", m.Width, m.Height)
	}
	if m.Duration > 0 {
		v.Length = m.Duration.Round(100 * time.Millisecond).String()
		v.Size = strings.TrimPrefix(v.Size+", "+v.Length, ", ")
	}
	return append(list, v)
}

func mediaWord(kind string) string {
	switch kind {
	case "photo", "video":
		return kind
	case "animated_gif":
		return "animated GIF"
	}
	return "media file"
}
