package x

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"
)

// MediaFault is something that goes wrong with a media file.
type MediaFault struct {
	Status     int   // the server answers with this status
	BreakAfter int64 // the connection breaks after so many bytes of the body
	Stall      bool  // there, or before any answer if BreakAfter is 0, nothing more comes until the client goes away
	Times      int   // for so many requests; 0 is always
}

// FailMedia has requests for media fail. name is an address as it is asked for, with
// its query ("https://pbs.twimg.com/media/a.jpg?name=orig", which is not the address
// without it; each variant of a video has its own), the name of a file (the last
// element of an address' path, whatever its query), or "" for every file that has no
// fault of its own. A zero fault ends that.
func (s *Server) FailMedia(name string, f MediaFault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f == (MediaFault{}) {
		delete(s.media, name)
		return
	}
	s.media[name] = &f
}

func (s *Server) mediaFault(address, name string) MediaFault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range []string{address, name, ""} {
		if f := s.media[key]; f != nil {
			out := *f
			if f.Times--; f.Times == 0 {
				delete(s.media, key)
			}
			return out
		}
	}
	return MediaFault{}
}

// photoSizes are what pbs.twimg.com takes as name. The stand-in gives the original
// for each.
var photoSizes = []string{"orig", "4096x4096", "2048x2048", "1200x1200", "900x900", "680x680", "360x360", "240x240", "large", "medium", "small", "thumb", "tiny"}

var mediaTypes = map[string]string{
	".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp", ".gif": "image/gif",
	".mp4": "video/mp4", ".m3u8": "application/x-mpegURL", ".m4s": "video/iso.segment", ".ts": "video/mp2t",
}

// Media is the handler of pbs.twimg.com and video.twimg.com, told apart by the
// Host header; any other host is not served. They ask for no sign-in.
func (s *Server) Media() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.countMedia(1, 0)
		counted := &meter{ResponseWriter: w}
		defer func() { s.countMedia(0, counted.sent) }()
		s.serveMedia(counted, r)
	})
}

func (s *Server) serveMedia(w *meter, r *http.Request) {
	host := strings.ToLower(r.Host)
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	name := path.Base(r.URL.Path)
	address := "https://" + host + r.URL.EscapedPath()
	if r.URL.RawQuery != "" {
		address += "?" + r.URL.RawQuery
	}
	fault := s.mediaFault(address, name)
	w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
	size := r.URL.Query().Get("name")
	s.opt.Log.Debug("X's media server is asked", "method", r.Method, "host", host, "file", name, "range", r.Header.Get("Range"))
	switch {
	case host != "pbs.twimg.com" && host != "video.twimg.com":
		http.Error(w, "the stand-in serves pbs.twimg.com and video.twimg.com only, by the Host header", http.StatusNotFound)
		return
	case fault.Status != 0:
		w.WriteHeader(fault.Status)
		return
	case fault.Stall && fault.BreakAfter == 0:
		<-r.Context().Done()
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	case host == "pbs.twimg.com" && size != "" && !slices.Contains(photoSizes, size):
		w.WriteHeader(http.StatusNotFound)
		return
	}
	file, length, ok := s.opt.Corpus.Media(name)
	if format := r.URL.Query().Get("format"); !ok && path.Ext(name) == "" && format != "" {
		name += "." + format
		file, length, ok = s.opt.Corpus.Media(name)
	}
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	defer file.Close()
	tag := sha256.Sum256(fmt.Appendf(nil, "%s %d", name, length))
	w.Header().Set("ETag", `"`+hex.EncodeToString(tag[:8])+`"`)
	w.Header().Set("Cache-Control", "max-age=604800, must-revalidate")
	if kind := mediaTypes[strings.ToLower(path.Ext(name))]; kind != "" {
		w.Header().Set("Content-Type", kind)
	}
	w.breakAfter = fault.BreakAfter
	if fault.Stall {
		w.stalled = r.Context().Done()
	}
	http.ServeContent(w, r, name, time.Time{}, io.ReadSeeker(file))
}

// meter counts a body's bytes, and can break the connection in it, at once or when
// stalled is closed.
type meter struct {
	http.ResponseWriter
	sent, breakAfter int64
	stalled          <-chan struct{}
}

func (m *meter) Write(p []byte) (int, error) {
	broken := m.breakAfter > 0 && m.sent+int64(len(p)) > m.breakAfter
	if broken {
		p = p[:m.breakAfter-m.sent]
	}
	n, err := m.ResponseWriter.Write(p)
	m.sent += int64(n)
	if broken {
		_ = http.NewResponseController(m.ResponseWriter).Flush()
		if m.stalled != nil {
			<-m.stalled
		}
		panic(http.ErrAbortHandler)
	}
	return n, err
}
