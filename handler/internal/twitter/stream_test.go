package twitter

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// stream is what X's servers have of a film that is a stream only: by path.
func stream() map[string]string {
	return map[string]string{
		"/amplify_video/1/pl/main.m3u8": `#EXTM3U
#EXT-X-VERSION:6
#EXT-X-MEDIA:NAME="Audio",TYPE=AUDIO,GROUP-ID="audio-32000",AUTOSELECT=YES,URI="/amplify_video/1/pl/mp4a/32000/a32.m3u8"
#EXT-X-MEDIA:NAME="Audio",TYPE=AUDIO,GROUP-ID="audio-128000",AUTOSELECT=YES,URI="/amplify_video/1/pl/mp4a/128000/a128.m3u8"

#EXT-X-STREAM-INF:AVERAGE-BANDWIDTH=900000,BANDWIDTH=1100000,RESOLUTION=640x360,CODECS="mp4a.40.2,avc1.4D401E",AUDIO="audio-32000"
/amplify_video/1/pl/avc1/640x360/low.m3u8
#EXT-X-STREAM-INF:AVERAGE-BANDWIDTH=2000000,BANDWIDTH=2200000,RESOLUTION=1280x720,CODECS="mp4a.40.2,avc1.64001F",AUDIO="audio-128000"
/amplify_video/1/pl/avc1/1280x720/high.m3u8?container=cmaf
`,
		"/amplify_video/1/pl/avc1/1280x720/high.m3u8":     "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXT-X-MAP:URI=\"/amplify_video/1/vid/avc1/0/0/1280x720/init.mp4\"\n#EXTINF:3.000,\n/amplify_video/1/vid/avc1/0/3000/1280x720/one.m4s\r\n#EXTINF:2.1,\n../../../vid/avc1/3000/5100/1280x720/two.m4s\n#EXT-X-ENDLIST\n",
		"/amplify_video/1/pl/mp4a/128000/a128.m3u8":       "#EXTM3U\n#EXTINF:3.000,\n/amplify_video/1/aud/mp4a/0/3000/128000/one.m4s\n#EXT-X-ENDLIST\n",
		"/amplify_video/1/vid/avc1/0/0/1280x720/init.mp4": "init", "/amplify_video/1/vid/avc1/0/3000/1280x720/one.m4s": strings.Repeat("one", 100_000),
		"/amplify_video/1/vid/avc1/3000/5100/1280x720/two.m4s": "two", "/amplify_video/1/aud/mp4a/0/3000/128000/one.m4s": "sound",
	}
}

// TestStream: the file of a film that X has as a stream only has the playlists of its
// best picture and sound and every part, byte for byte, and nothing else.
func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		there := stream()
		m, server := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if body, ok := there[r.URL.Path]; ok {
				_, _ = io.WriteString(w, body)
				return
			}
			w.WriteHeader(http.StatusNotFound)
		}))
		const address = "http://video.twimg.com/amplify_video/1/pl/main.m3u8?tag=21"
		f, err := m.Open(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		data, err := io.ReadAll(f)
		if err != nil || f.ContentType != "application/zip" || f.Address != address {
			t.Fatalf("%s, %s, %v", f.ContentType, f.Address, err)
		}
		z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, entry := range z.File {
			r, err := entry.Open()
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			got["/"+entry.Name] = string(content)
		}
		if !maps.Equal(got, there) {
			t.Errorf("the file has %q, want %q", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(there)))
		}
		for _, r := range server.asked() {
			if r.Header.Get("Referer") != "" || r.Header.Get("User-Agent") != userAgent {
				t.Errorf("asked with Referer %q, User-Agent %q", r.Header.Get("Referer"), r.Header.Get("User-Agent"))
			}
		}

		// A film with holes is none.
		delete(there, "/amplify_video/1/vid/avc1/3000/5100/1280x720/two.m4s")
		f, err = m.Open(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(f); !errors.Is(err, ErrNotFound) {
			t.Errorf("with a part missing: %v", err)
		}
		f.Close()
		// What is given up ends.
		if f, err = m.Open(t.Context(), address); err != nil {
			t.Fatal(err)
		}
		f.Close()
		for body, what := range map[string]string{"<html>": "no playlist", "#EXTM3U\n#EXT-X-ENDLIST\n": "no parts", "#EXTM3U\n" + strings.Repeat("x.ts\n", 1+maxPlaylist/5): "too long"} {
			there["/amplify_video/1/pl/main.m3u8"] = body
			if _, err := m.Open(t.Context(), address); !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}
