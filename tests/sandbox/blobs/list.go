package blobs

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// maxPage is how many names one listing answers with at most.
const maxPage = 5000

// list answers List Blobs. It answers XML: the SDK accepts only that unless it was
// asked for Apache Arrow.
// https://learn.microsoft.com/rest/api/storageservices/list-blobs
func (c *call) list() (answer, *problem) {
	q := c.r.URL.Query()
	size := maxPage
	if q.Has("maxresults") {
		n, err := strconv.Atoi(q.Get("maxresults"))
		if err != nil {
			return answer{}, invalidParameter
		}
		if n <= 0 {
			return answer{}, outOfRange
		}
		size = min(n, maxPage)
	}
	size = min(size, c.s.opt.PageSize)
	include := map[string]bool{}
	for word := range strings.SplitSeq(q.Get("include"), ",") {
		switch word {
		case "", "metadata", "uncommittedblobs":
			include[word] = true
		default:
			return answer{}, notImplemented
		}
	}
	if q.Has("startFrom") || q.Has("endBefore") {
		return answer{}, notImplemented
	}
	after, ok := readMarker(q.Get("marker"))
	if !ok {
		return answer{}, invalidParameter
	}
	container := c.s.containers[c.op.Container]
	if container == nil {
		return answer{}, containerNotFound
	}
	l := listing{prefix: q.Get("prefix"), delimiter: q.Get("delimiter"), size: size, uncommitted: include["uncommittedblobs"]}
	l.walk(container, after)
	var b bytes.Buffer
	b.WriteString(xml.Header + `<EnumerationResults ServiceEndpoint="http://` + c.r.Host + "/" + c.s.opt.Account + `/" ContainerName="` + c.op.Container + `">`)
	for _, name := range []string{"Prefix", "Marker", "MaxResults", "Delimiter"} {
		if v := q.Get(strings.ToLower(name)); v != "" {
			element(&b, name, v)
		}
	}
	b.WriteString("<Blobs>")
	for _, e := range l.entries {
		if e.blob == nil {
			b.WriteString("<BlobPrefix>")
			element(&b, "Name", e.name)
			b.WriteString("</BlobPrefix>")
			continue
		}
		c.item(&b, e, include["metadata"])
	}
	b.WriteString("</Blobs>")
	element(&b, "NextMarker", l.next)
	b.WriteString("</EnumerationResults>")
	return answer{status: http.StatusOK, header: http.Header{"Content-Type": {"application/xml"}}, body: b.Bytes()}, nil
}

// listing is one page of names: blobs, and the prefixes that stand for all names with
// a delimiter after them.
type listing struct {
	prefix, delimiter string
	size              int
	uncommitted       bool
	entries           []entry
	next              string
}

type entry struct {
	name string
	blob *blob // nil for a prefix
}

// walk fills the page with what comes after a name.
func (l *listing) walk(c *box, after string) {
	at, _ := slices.BinarySearch(c.names, max(after, l.prefix))
	for ; at < len(c.names); at++ {
		name := c.names[at]
		if !strings.HasPrefix(name, l.prefix) {
			return
		}
		if after != "" && name <= after || !c.blobs[name].committed && !l.uncommitted {
			continue
		}
		if len(l.entries) == l.size {
			last := l.entries[len(l.entries)-1]
			if last.blob == nil {
				last.name += "\U0010FFFF" // after all names that the prefix stands for
			}
			l.next = marker(last.name)
			return
		}
		e := entry{name: name, blob: c.blobs[name]}
		if l.delimiter != "" {
			if first, _, found := strings.Cut(name[len(l.prefix):], l.delimiter); found {
				e = entry{name: l.prefix + first + l.delimiter}
				for at+1 < len(c.names) && strings.HasPrefix(c.names[at+1], e.name) {
					at++
				}
			}
		}
		l.entries = append(l.entries, e)
	}
}

// A marker is opaque: nothing may be read from it or made up.
func marker(name string) string {
	return "2!" + base64.URLEncoding.EncodeToString([]byte(name))
}

func readMarker(text string) (string, bool) {
	if text == "" {
		return "", true
	}
	rest, ours := strings.CutPrefix(text, "2!")
	name, err := base64.URLEncoding.DecodeString(rest)
	return string(name), ours && err == nil
}

// item writes a blob of a listing.
func (c *call) item(b *bytes.Buffer, e entry, metadata bool) {
	b.WriteString("<Blob>")
	element(b, "Name", e.name)
	b.WriteString("<Properties>")
	element(b, "Creation-Time", e.blob.created.UTC().Format(http.TimeFormat))
	element(b, "Last-Modified", e.blob.modified.Format(http.TimeFormat))
	element(b, "Etag", strings.Trim(e.blob.etag, `"`)) // without its quotes, as the service does
	element(b, "Content-Length", strconv.Itoa(e.blob.size()))
	for _, name := range []string{"Content-Type", "Content-Encoding", "Content-Language", "Content-MD5", "Cache-Control", "Content-Disposition"} {
		if v := e.blob.header[name]; v != "" {
			element(b, name, v)
		}
	}
	element(b, "BlobType", "BlockBlob")
	state, status, duration := e.blob.lease.words(c.s.opt.Now())
	element(b, "LeaseStatus", status)
	element(b, "LeaseState", state)
	if duration != "" {
		element(b, "LeaseDuration", duration)
	}
	element(b, "ServerEncrypted", "true")
	b.WriteString("</Properties>")
	if metadata && len(e.blob.metadata) > 0 {
		b.WriteString("<Metadata>")
		for name, value := range e.blob.metadata {
			element(b, name, value)
		}
		b.WriteString("</Metadata>")
	}
	b.WriteString("</Blob>")
}

func element(b *bytes.Buffer, name, value string) {
	b.WriteString("<" + name + ">")
	_ = xml.EscapeText(b, []byte(value)) // a buffer takes everything
	b.WriteString("</" + name + ">")
}
