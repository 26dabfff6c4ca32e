package importer

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"image/color"
	_ "image/gif" // pictures are decoded
	"image/jpeg"
	_ "image/png" // to make previews of them
	"io"
	"path"
	"slices"
	"strings"
	"sync"

	_ "golang.org/x/image/webp" // pictures that X or its users made as WebP, too

	"xarchive/handler/internal/message"
)

// Source is an archived message that an item is made of. It may be opened more than
// once.
type Source struct {
	Path string // in the archive container
	Size int64  // of the message, in bytes; 0 if unknown
	Open func() (io.ReadCloser, error)
}

// Items makes items of bounded size. Make it with NewItems.
type Items struct {
	mailboxes map[string]string
	limit     int64
	preview   sync.Mutex // one at a time, because of the memory that it takes
}

// NewItems returns an Items. mailboxes has mail addresses by handle, lower case and
// without @; limit is how large an item may be, in bytes, 0 for any size.
func NewItems(mailboxes map[string]string, limit int64) *Items {
	return &Items{mailboxes: mailboxes, limit: limit}
}

// textShare is the part of an item's limit that is kept free for its text.
const textShare = 8

// Write writes the item of an archived message as [FromMessage] does, but for what the
// item's size does not allow: of files that do not fit, the largest are left out. The
// text names each with its size, SHA-256 and the message that has it, and a smaller copy
// of a picture stands in its place. The same message gives the same item.
func (i *Items) Write(w io.Writer, m Source) error {
	var without []leftOut
	if i.limit > 0 && (m.Size == 0 || m.Size > i.limit/2) { // the text may be more in an item than in a message
		var err error
		if without, err = i.plan(m); err != nil {
			return err
		}
	}
	eml, err := m.Open()
	if err != nil {
		return err
	}
	defer eml.Close()
	return write(w, eml, i.mailboxes, without)
}

// leftOut is a file that is not in an item.
type leftOut struct {
	index       int // among the message's media files
	why         string
	previewName string
	preview     []byte
}

// measured is a media file of a message.
type measured struct {
	index      int
	name, kind string
	size       int64
	sum        string
}

// encoded is how many bytes a file takes in an item.
func (f measured) encoded() int64 {
	return int64(base64.StdEncoding.EncodedLen(int(f.size))) + 1<<10 // with its names and address
}

// plan chooses the files that an item goes without.
func (i *Items) plan(m Source) ([]leftOut, error) {
	files, err := measure(m)
	if err != nil {
		return nil, err
	}
	room := i.limit - i.limit/textShare
	var all int64
	for _, f := range files {
		all += f.encoded()
	}
	if all <= room {
		return nil, nil
	}
	slices.SortStableFunc(files, func(a, b measured) int { return int(min(max(a.size-b.size, -1), 1)) })
	previews := room / 4 // for the smaller copies
	room -= previews
	var without []leftOut
	for _, f := range files {
		if room -= f.encoded(); room >= 0 {
			continue
		}
		without = append(without, leftOut{index: f.index, why: fmt.Sprintf(
			"not in this item, which may have %s at most: %d bytes, SHA-256 %s, in the archive in the message %s", inMB(i.limit), f.size, f.sum, m.Path)})
	}
	return without, i.addPreviews(m, without, previews)
}

func inMB(n int64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", float64(n)/1e6), "0"), ".") + " MB"
}

// eachFile calls visit for every media file of a message.
func eachFile(m Source, visit func(index int, part message.Part) error) error {
	eml, err := m.Open()
	if err != nil {
		return err
	}
	defer eml.Close()
	opened, err := message.Open(eml)
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		part, err := opened.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := visit(i, part); err != nil {
			return fmt.Errorf("reading %s of %s: %w", part.Name, m.Path, err)
		}
	}
}

func measure(m Source) (files []measured, err error) {
	err = eachFile(m, func(i int, part message.Part) error {
		sum := sha256.New()
		n, err := io.Copy(sum, part.Body)
		files = append(files, measured{i, part.Name, part.Type, n, hex.EncodeToString(sum.Sum(nil))})
		return err
	})
	return files, err
}

// addPreviews makes smaller copies of the pictures among the files, as far as there is
// room for them.
func (i *Items) addPreviews(m Source, without []leftOut, room int64) error {
	return eachFile(m, func(index int, part message.Part) error {
		left := slices.IndexFunc(without, func(l leftOut) bool { return l.index == index })
		if left < 0 || !strings.HasPrefix(part.Type, "image/") {
			return nil
		}
		i.preview.Lock()
		defer i.preview.Unlock()
		small, whyNot, err := preview(part.Body)
		if err != nil {
			return err
		}
		if small != nil {
			if room -= int64(base64.StdEncoding.EncodedLen(len(small))) + 1<<10; room < 0 {
				small, whyNot = nil, "there is no room for a smaller copy"
			}
		}
		if small == nil {
			without[left].why += "; " + whyNot
			return nil
		}
		without[left].preview, without[left].previewName = small, strings.TrimSuffix(part.Name, path.Ext(part.Name))+"-preview.jpg"
		return nil
	})
}

const (
	// previewSide is how wide and high a smaller copy is at most, in pixels.
	previewSide = 1024
	// previewPixels is how many pixels a picture has at most of which one is made: all
	// of it is in memory meanwhile.
	previewPixels = 40_000_000
)

// preview returns a smaller copy of a picture; nil, and why not, where none can be made. Its
// error is one of reading.
func preview(body io.Reader) (small []byte, whyNot string, err error) {
	const unknown = "no smaller copy can be made of a file in this form"
	var head bytes.Buffer
	watched := &watch{r: body}
	size, _, err := image.DecodeConfig(io.TeeReader(watched, &head))
	switch {
	case err != nil:
		return nil, unknown, watched.err
	case size.Width > previewPixels/max(1, size.Height):
		return nil, fmt.Sprintf("no smaller copy is made of a picture with more than %d million pixels (%d × %d)", previewPixels/1_000_000, size.Width, size.Height), watched.err
	}
	picture, _, err := image.Decode(io.MultiReader(&head, watched))
	if err != nil {
		return nil, unknown, watched.err
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, shrunk(picture), &jpeg.Options{Quality: 80}); err != nil {
		return nil, unknown, nil // a picture of no size, for instance
	}
	return out.Bytes(), "", nil
}

// watch takes note of a failure to read.
type watch struct {
	r   io.Reader
	err error
}

func (w *watch) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
}

// shrunk returns a picture that is previewSide wide and high at most, on white. Each of
// its pixels is the mean of four of the picture's.
func shrunk(from image.Image) image.Image {
	b := from.Bounds()
	w, h := b.Dx(), b.Dy()
	if side := max(w, h); side > previewSide {
		w, h = max(w*previewSide/side, 1), max(h*previewSide/side, 1)
	}
	to := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			var sum [3]uint32
			for _, quarter := range [4][2]int{{1, 1}, {3, 1}, {1, 3}, {3, 3}} {
				r, g, bl, a := from.At(b.Min.X+(4*x+quarter[0])*b.Dx()/(4*w), b.Min.Y+(4*y+quarter[1])*b.Dy()/(4*h)).RGBA()
				white := 0xffff - a
				sum[0], sum[1], sum[2] = sum[0]+r+white, sum[1]+g+white, sum[2]+bl+white
			}
			to.SetRGBA(x, y, color.RGBA{uint8(sum[0] / 4 >> 8), uint8(sum[1] / 4 >> 8), uint8(sum[2] / 4 >> 8), 255})
		}
	}
	return to
}
