package twitter

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// Some films X has as a stream only (HLS, RFC 8216): a playlist of playlists, and some
// thousand parts of a few seconds each. Nothing is converted, because what is archived is
// what X sent: the file of such a film is a zip archive, not compressed, of the playlists
// byte for byte, the best picture's and its sound's, and of all parts that they name, each
// under the path of its address. Unpacked into the root of a web server, or with the
// paths made relative, it plays.

const (
	maxPlaylist = 4 << 20 // bytes; a film of four hours has about half a MiB
	maxParts    = 20_000
)

// isPlaylist reports whether an address is that of a stream.
func isPlaylist(address string) bool {
	u, err := url.Parse(address)
	return err == nil && strings.HasSuffix(strings.ToLower(u.Path), ".m3u8")
}

// openStream starts reading a stream as a zip archive. What it returns ends with the
// error of the first part that cannot be read: a film with holes is none.
func (m Media) openStream(ctx context.Context, address string) (*File, error) {
	playlists, parts, err := m.playlists(ctx, address)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	r, w := io.Pipe()
	go func() {
		defer stop()
		_ = w.CloseWithError(m.pack(ctx, w, playlists, parts)) // it never fails
	}()
	return &File{Address: address, ContentType: "application/zip", stream: &packed{r, stop}, body: bufio.NewReader(r)}, nil
}

// packed is a zip archive that is being written.
type packed struct {
	*io.PipeReader
	stop context.CancelFunc
}

func (p *packed) Close() error {
	p.stop()
	return p.PipeReader.Close()
}

// playlist is one with its bytes.
type playlist struct {
	address *url.URL
	raw     []byte
}

// playlists reads the playlists of a stream, and the addresses of all parts.
func (m Media) playlists(ctx context.Context, address string) (lists []playlist, parts []*url.URL, err error) {
	first, err := m.playlist(ctx, address)
	if err != nil {
		return nil, nil, err
	}
	lists = []playlist{first}
	media := lists
	if best := first.best(); len(best) > 0 {
		media = nil
		for _, u := range best {
			list, err := m.playlist(ctx, u.String())
			if err != nil {
				return nil, nil, err
			}
			media = append(media, list)
		}
		lists = append(lists, media...)
	}
	seen := map[string]bool{}
	for _, list := range media {
		for _, u := range list.parts() {
			if !seen[u.String()] {
				seen[u.String()] = true
				parts = append(parts, u)
			}
		}
	}
	switch {
	case len(parts) == 0:
		return nil, nil, fmt.Errorf("%w: the playlist %s names no parts", ErrNotFound, address)
	case len(parts) > maxParts:
		return nil, nil, fmt.Errorf("%w: the playlist %s names more than %d parts", ErrNotFound, address, maxParts)
	}
	return lists, parts, nil
}

func (m Media) playlist(ctx context.Context, address string) (playlist, error) {
	u, err := url.Parse(address)
	if err != nil {
		return playlist{}, fmt.Errorf("%w: %s is no address", ErrNotFound, address)
	}
	f, err := m.openFile(ctx, address)
	if err != nil {
		return playlist{}, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxPlaylist+1))
	switch {
	case err != nil:
		return playlist{}, err
	case len(raw) > maxPlaylist || !bytes.HasPrefix(raw, []byte("#EXTM3U")):
		return playlist{}, fmt.Errorf("%w: %s is no playlist of at most %d bytes", ErrNotFound, address, maxPlaylist)
	}
	return playlist{u, raw}, nil
}

// attribute finds name="value" or name=value in a tag's list (RFC 8216, 4.2).
var attribute = regexp.MustCompile(`([A-Z0-9-]+)=(?:"([^"]*)"|([^",]*))`)

func attributes(list string) map[string]string {
	out := map[string]string{}
	for _, a := range attribute.FindAllStringSubmatch(list, -1) {
		out[a[1]] = a[2] + a[3]
	}
	return out
}

// best returns the playlists of the best picture and of its sound, where the playlist
// is one of playlists.
func (p playlist) best() []*url.URL {
	var best, sound string
	most := -1
	sounds := map[string]string{} // by group
	lines := p.lines()
	for i, line := range lines {
		switch tag, list, _ := strings.Cut(line, ":"); tag {
		case "#EXT-X-MEDIA":
			a := attributes(list)
			if a["TYPE"] == "AUDIO" && a["URI"] != "" && (sounds[a["GROUP-ID"]] == "" || a["DEFAULT"] == "YES") {
				sounds[a["GROUP-ID"]] = a["URI"]
			}
		case "#EXT-X-STREAM-INF":
			a := attributes(list)
			rate, _ := strconv.Atoi(a["BANDWIDTH"]) // without one it is the least
			for _, next := range lines[i+1:] {
				if strings.HasPrefix(next, "#") {
					continue
				}
				if rate > most {
					most, best, sound = rate, next, a["AUDIO"]
				}
				break
			}
		}
	}
	if best == "" {
		return nil
	}
	return p.addresses([]string{best, sounds[sound]})
}

// parts returns the addresses of what a playlist of parts names: the parts, what they
// begin with, and their keys.
func (p playlist) parts() []*url.URL {
	var refs []string
	for _, line := range p.lines() {
		tag, list, _ := strings.Cut(line, ":")
		switch {
		case tag == "#EXT-X-MAP" || tag == "#EXT-X-KEY":
			refs = append(refs, attributes(list)["URI"])
		case !strings.HasPrefix(line, "#"):
			refs = append(refs, line)
		}
	}
	return p.addresses(refs)
}

func (p playlist) lines() (out []string) {
	for line := range strings.Lines(string(p.raw)) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

func (p playlist) addresses(refs []string) (out []*url.URL) {
	for _, ref := range refs {
		if u, err := p.address.Parse(ref); err == nil && ref != "" {
			out = append(out, u)
		}
	}
	return out
}

// pack writes the archive.
func (m Media) pack(ctx context.Context, w io.Writer, playlists []playlist, parts []*url.URL) error {
	z := zip.NewWriter(w)
	names := map[string]bool{}
	entry := func(u *url.URL) (io.Writer, error) {
		name := strings.TrimPrefix(path.Clean("/"+u.Path), "/")
		for n, base := 2, name; names[name]; n++ { // addresses that differ in their query
			name = fmt.Sprintf("%s-%d", base, n)
		}
		names[name] = true
		return z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
	}
	left := int64(maxMedia)
	for _, list := range playlists {
		to, err := entry(list.address)
		if err == nil {
			_, err = to.Write(list.raw)
		}
		if err != nil {
			return err
		}
	}
	for _, u := range parts {
		n, err := m.packPart(ctx, u, entry, left)
		if err != nil {
			return fmt.Errorf("reading a part of a stream: %w", err)
		}
		if left -= n; left <= 0 {
			return fmt.Errorf("%w: the stream has more than the %d bytes that are accepted", ErrNotFound, int64(maxMedia))
		}
	}
	return z.Close()
}

func (m Media) packPart(ctx context.Context, u *url.URL, entry func(*url.URL) (io.Writer, error), most int64) (int64, error) {
	f, err := m.openFile(ctx, u.String())
	if err != nil {
		return 0, err
	}
	defer f.Close()
	to, err := entry(u)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(to, io.LimitReader(f, most))
	if err == nil && ctx.Err() != nil {
		err = errors.New("it was given up")
	}
	return n, err
}
