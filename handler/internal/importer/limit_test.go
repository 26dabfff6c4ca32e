package importer_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"xarchive/handler/internal/importer"
	"xarchive/tests/sandbox/importservice"
)

// noise is a dark picture that PNG cannot make small, with see-through pixels.
func noise(t *testing.T, width, height int) string {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	picture := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			picture.SetNRGBA(x, y, color.NRGBA{uint8(rng.Uint32() % 32), uint8(rng.Uint32() % 32), uint8(rng.Uint32() % 32), 255 - uint8(rng.Uint32()%32)})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, picture); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const largeDocument = `{"data":{"id":"1800000000000000003","text":"Look","author_id":"7","created_at":"2024-06-10T08:00:00.123Z","attachments":{"media_keys":["3_1","3_2","3_3","7_4"]}},
"includes":{"users":[{"id":"7","username":"Ann","name":"Ann Ö"}],
 "media":[{"media_key":"3_1","type":"photo","url":"https://pbs.twimg.com/media/large.png"},{"media_key":"3_2","type":"photo","url":"https://pbs.twimg.com/media/small.png"},
 {"media_key":"3_3","type":"photo","url":"https://pbs.twimg.com/media/odd.png"},{"media_key":"7_4","type":"photo","url":"https://pbs.twimg.com/media/film.mp4"}]}}`

// TestItemLimit: an item is no larger than it may be. The largest files are left out; it
// says which, and where they are, and has smaller copies of pictures.
func TestItemLimit(t *testing.T) {
	const limit = 200_000
	bodies := map[string]string{"3_1": noise(t, 1300, 100), "3_2": noise(t, 40, 40), "3_3": "\x89PNG\r\n\x1a\n" + strings.Repeat("broken", 50_000), "7_4": "\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + strings.Repeat("film", 60_000)}
	raw, err := io.ReadAll(eml(t, largeDocument, bodies))
	if err != nil {
		t.Fatal(err)
	}
	const path = "7/2024/06/10/1800000000000000003.eml"
	open := 0
	source := importer.Source{Path: path, Size: int64(len(raw)), Open: func() (io.ReadCloser, error) {
		open++
		return closing{bytes.NewReader(raw), &open}, nil
	}}
	items := importer.NewItems(nil, limit)
	var out, again bytes.Buffer
	if err := errors.Join(items.Write(&out, source), items.Write(&again, source)); err != nil {
		t.Fatal(err)
	}
	if out.Len() > limit || !bytes.Equal(out.Bytes(), again.Bytes()) || open != 0 {
		t.Errorf("%d bytes, want %d at most; the same bytes again: %v; %d readers left open", out.Len(), limit, bytes.Equal(out.Bytes(), again.Bytes()), open)
	}
	if err := importservice.CheckItem(out.Bytes()); err != nil {
		t.Error(err)
	}
	var item struct {
		Content            string
		ContentAttachments []struct{ AttachmentFileName, Content string }
	}
	if err := json.Unmarshal(out.Bytes(), &item); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, a := range item.ContentAttachments {
		names = append(names, a.AttachmentFileName)
		if !strings.Contains(item.Content, ": "+a.AttachmentFileName) {
			t.Errorf("the text does not name %s", a.AttachmentFileName)
		}
		body, err := base64.StdEncoding.DecodeString(a.Content)
		if err != nil {
			t.Fatal(err)
		}
		switch a.AttachmentFileName {
		case "small.png":
			if string(body) != bodies["3_2"] {
				t.Error("small.png is not whole")
			}
		case "large-preview.jpg":
			if size, kind, err := image.DecodeConfig(bytes.NewReader(body)); err != nil || kind != "jpeg" || size.Width != 1024 || size.Height != 78 {
				t.Errorf("the preview is %s, %d × %d, %v", kind, size.Width, size.Height, err)
			}
		}
	}
	if !slices.Equal(names, []string{"large-preview.jpg", "small.png"}) {
		t.Errorf("attachments %v", names)
	}
	for key, name := range map[string]string{"3_1": "large.png", "3_3": "odd.png", "7_4": "film.mp4"} {
		sum := sha256.Sum256([]byte(bodies[key]))
		if want := fmt.Sprintf(": %s, <strong>not in this item, which may have 0.2 MB at most: %d bytes, SHA-256 %s, in the archive in the message %s%s</strong>", name, len(bodies[key]), hex.EncodeToString(sum[:]), path, map[string]string{"3_3": "; no smaller copy can be made of a file in this form"}[key]); !strings.Contains(item.Content, want) {
			t.Errorf("the text lacks %q:\n%s", want, item.Content)
		}
	}
	// With room for all of it, it is the item that it was.
	var whole, plain bytes.Buffer
	if err := errors.Join(importer.NewItems(nil, 10_000_000).Write(&whole, source), importer.FromMessage(&plain, bytes.NewReader(raw), nil)); err != nil || !bytes.Equal(whole.Bytes(), plain.Bytes()) {
		t.Errorf("an item that is not too large differs, %v", err)
	}
}

// TestPreviews: a WebP picture has a smaller copy, too; of one that would take too much
// memory the item says that it has none, and why.
func TestPreviews(t *testing.T) {
	webp, err := base64.StdEncoding.DecodeString("UklGRh4AAABXRUJQVlA4TBEAAAAvAAAAAAfQ//73v/+BiOh/AAA=") // one pixel
	if err != nil {
		t.Fatal(err)
	}
	filler := strings.Repeat("filler", 30_000)
	header := "\x00\x00\x00\rIHDR\x00\x00\x4e\x20\x00\x00\x07\xd1\x08\x02\x00\x00\x00" // 20,000 × 2001
	sum := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(header[4:])))
	raw, err := io.ReadAll(eml(t, strings.NewReplacer("large.png", "large.webp", "odd.png", "huge.png").Replace(largeDocument),
		map[string]string{"3_1": string(webp) + filler, "3_3": "\x89PNG\r\n\x1a\n" + header + string(sum) + filler}))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	open := 0
	err = importer.NewItems(nil, 200_000).Write(&out, importer.Source{Path: "7/1.eml", Size: int64(len(raw)), Open: func() (io.ReadCloser, error) {
		return closing{bytes.NewReader(raw), &open}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	var item struct {
		Content            string
		ContentAttachments []struct{ AttachmentFileName, Content string }
	}
	if err := json.Unmarshal(out.Bytes(), &item); err != nil {
		t.Fatal(err)
	}
	if a := item.ContentAttachments; len(a) != 1 || a[0].AttachmentFileName != "large-preview.jpg" {
		t.Fatalf("attachments %v", a)
	}
	small, err := base64.StdEncoding.DecodeString(item.ContentAttachments[0].Content)
	if _, kind, decodeErr := image.Decode(bytes.NewReader(small)); err != nil || decodeErr != nil || kind != "jpeg" {
		t.Errorf("the smaller copy is %s, %v, %v", kind, err, decodeErr)
	}
	if want := "no smaller copy is made of a picture with more than 40 million pixels (20000 × 2001)"; !strings.Contains(item.Content, want) {
		t.Errorf("the text lacks %q:\n%s", want, item.Content)
	}
}

type closing struct {
	io.Reader
	open *int
}

func (c closing) Close() error {
	*c.open--
	return nil
}

// TestItemLimitBroken: a message that breaks off, or cannot be opened, makes no item.
func TestItemLimitBroken(t *testing.T) {
	raw, err := io.ReadAll(eml(t, largeDocument, map[string]string{"3_1": noise(t, 300, 300)}))
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken off")
	for after := range 4 {
		opened := 0
		err := importer.NewItems(nil, 200_000).Write(io.Discard, importer.Source{Size: int64(len(raw)), Open: func() (io.ReadCloser, error) {
			open := 0
			if opened++; opened > after {
				return closing{io.MultiReader(bytes.NewReader(raw[:len(raw)/2]), failing{broken}), &open}, nil
			}
			return closing{bytes.NewReader(raw), &open}, nil
		}})
		if got, want := err != nil, after < 3; got != want {
			t.Errorf("broken from reading %d on: %v", after+1, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
