package corpus

import (
	"bytes"
	"embed"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"slices"
	"strings"
)

// The built-in corpus' pictures and films were drawn by a small program and
// encoded once: JPEG, PNG, and H.264 with AAC. They play and open everywhere.
//
//go:embed files
var embedded embed.FS

// library hands out the embedded files under the names that X would give them.
type library map[string]string // name to file in files/; "m3u8" for a playlist

func (l library) open(name string) (io.ReadSeekCloser, int64, error) {
	source, ok := l[name]
	if !ok {
		return nil, 0, fs.ErrNotExist
	}
	if source == "m3u8" {
		return inMemory(playlist(name))
	}
	raw, err := embedded.ReadFile("files/" + source)
	if err != nil {
		return nil, 0, err
	}
	return inMemory(marked(raw, name))
}

type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

func inMemory(raw []byte) (io.ReadSeekCloser, int64, error) {
	return memory{bytes.NewReader(raw)}, int64(len(raw)), nil
}

func playlist(name string) []byte {
	return []byte("#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS\n" +
		"#EXT-X-STREAM-INF:BANDWIDTH=832000,RESOLUTION=480x270,CODECS=\"mp4a.40.2,avc1.4d001e\"\n/" + name + "\n")
}

// marked puts the name into the file, where its format has room for a remark.
// Two files of the corpus are never the same bytes, so that one stored in the
// other's place is noticed.
func marked(raw []byte, name string) []byte {
	switch {
	case bytes.HasPrefix(raw, []byte("\xff\xd8")): // JPEG: a COM segment after SOI
		com := binary.BigEndian.AppendUint16([]byte("\xff\xfe"), uint16(len(name)+2))
		return slices.Concat(raw[:2], com, []byte(name), raw[2:])
	case bytes.HasPrefix(raw, []byte("\x89PNG")): // PNG: a tEXt chunk after IHDR
		const afterIHDR = 8 + 4 + 4 + 13 + 4
		chunk := []byte("tEXtComment\x00" + name)
		sized := binary.BigEndian.AppendUint32(nil, uint32(len(chunk)-4))
		sum := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(chunk))
		return slices.Concat(raw[:afterIHDR], sized, chunk, sum, raw[afterIHDR:])
	case len(raw) > 8 && string(raw[4:8]) == "ftyp": // MP4: a free box at the end
		size := binary.BigEndian.AppendUint32(nil, uint32(8+len(name)))
		return slices.Concat(raw, size, []byte("free"), []byte(name))
	}
	return raw
}

// picture is a drawing that photos are made from.
type picture struct {
	file          string
	width, height int
}

var (
	hills    = picture{"hills.jpg", 800, 450}
	dusk     = picture{"dusk.jpg", 800, 450}
	offshore = picture{"offshore.jpg", 800, 450}
	night    = picture{"night.jpg", 800, 450}
	chart    = picture{"chart.png", 720, 420}
)

// photo makes a photo; alt may be empty. X names photos by 15 letters and signs.
func (b *builder) photo(p picture, alt string) string {
	b.mediaCount++
	key := fmt.Sprintf("3_%d", 1850000000000000000+b.mediaCount*7919)
	name := b.code("media", key, 15) + p.file[strings.LastIndex(p.file, "."):]
	b.files[name] = p.file
	b.addMedia(mediaObject{Key: key, Type: "photo", URL: "https://pbs.twimg.com/media/" + name, AltText: alt, Width: p.width, Height: p.height, kind: "photo"})
	return key
}

// lostPhoto is a photo that X's media servers no longer have.
func (b *builder) lostPhoto() string {
	key := b.photo(dusk, "Turbine 14 at dusk")
	delete(b.files, lastElement(b.mediaByKey[key].URL))
	return key
}

// video has three mp4 variants and a playlist, in no order, as X sends them.
// Without best, the one with the highest bit rate is gone from the servers.
func (b *builder) video(alt string, best bool) string {
	b.mediaCount++
	id := 1850000000000000000 + b.mediaCount*7919
	key := fmt.Sprintf("7_%d", id)
	base := fmt.Sprintf("https://video.twimg.com/ext_tw_video/%d/pu/", id)
	m := mediaObject{Key: key, Type: "video", AltText: alt, Width: 640, Height: 360, DurationMS: 3000, Metrics: &mediaMetrics{41000 + b.mediaCount*13}, kind: "video"}
	for _, v := range []struct {
		rate       int
		size, file string
	}{{832000, "480x270", "video-mid.mp4"}, {2176000, "640x360", "video-high.mp4"}, {256000, "320x180", "video-low.mp4"}} {
		name := b.code("vid", key+v.size, 16) + ".mp4"
		if v.rate < 2176000 || best {
			b.files[name] = v.file
		}
		m.Variants = append(m.Variants, variant{new(v.rate), "video/mp4", base + "vid/avc1/" + v.size + "/" + name + "?tag=12"})
	}
	list := b.code("pl", key, 16) + ".m3u8"
	b.files[list] = "m3u8"
	m.Variants = slices.Insert(m.Variants, 1, variant{nil, "application/x-mpegURL", base + "pl/" + list + "?tag=12&container=cmaf"})
	thumb := b.code("thumb", key, 16) + ".jpg"
	b.files[thumb] = "thumb.jpg"
	m.PreviewURL = fmt.Sprintf("https://pbs.twimg.com/ext_tw_video_thumb/%d/pu/img/%s", id, thumb)
	b.addMedia(m)
	return key
}

// gif is an animated GIF, which X turns into an mp4 with bit rate 0.
func (b *builder) gif(alt string) string {
	b.mediaCount++
	key := fmt.Sprintf("16_%d", 1850000000000000000+b.mediaCount*7919)
	name := b.code("gif", key, 15)
	b.files[name+".mp4"], b.files[name+".jpg"] = "gif.mp4", "thumb.jpg"
	b.addMedia(mediaObject{
		Key: key, Type: "animated_gif", AltText: alt, Width: 400, Height: 226, kind: "video",
		PreviewURL: "https://pbs.twimg.com/tweet_video_thumb/" + name + ".jpg",
		Variants:   []variant{{new(0), "video/mp4", "https://video.twimg.com/tweet_video/" + name + ".mp4"}},
	})
	return key
}
