package export

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/mail"
	"os"
	"path/filepath"
	"strings"

	"xarchive/handler/internal/archive"

	"golang.org/x/sync/errgroup"
)

// layout says where a folder has its messages. Paths are below DEST, with slashes.
type layout interface {
	// folders are made at the start.
	folders() []string
	// path is where a message goes.
	path(m message) (string, error)
	// found are the paths that a message may be at already.
	found(dest string, e archive.Entry) ([]string, error)
	// temp is the folder in DEST of messages that are being written; "" if they are
	// written in DEST.part.
	temp() string
}

// folder is a DEST with a file a message.
type folder struct {
	place  place
	layout layout
}

func newFolder(p place, l layout) (*folder, error) {
	for _, sub := range append(l.folders(), "") {
		if err := os.MkdirAll(filepath.Join(p.dest, sub), 0o700); err != nil {
			return nil, err
		}
	}
	return &folder{p, l}, nil
}

func (f *folder) full(path string) string {
	return filepath.Join(f.place.dest, filepath.FromSlash(path))
}

func (f *folder) spool(e archive.Entry) (*os.File, error) {
	path := f.place.part("message-" + e.Key)
	if sub := f.layout.temp(); sub != "" {
		path = filepath.Join(f.place.dest, sub, maildirName(e))
	}
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
}

// drop removes what add did not give its final name.
func (f *folder) drop(file *os.File) error {
	err := os.Remove(file.Name())
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, file.Close())
}

func (f *folder) holds(r record) (bool, error) {
	_, same, err := sameFile(f.full(r.Path), r.SHA256)
	return same, err
}

func (f *folder) find(e archive.Entry) (string, int64, bool, error) {
	paths, err := f.layout.found(f.place.dest, e)
	if err != nil {
		return "", 0, false, err
	}
	for _, path := range paths {
		if size, same, err := sameFile(f.full(path), e.SHA256); same || err != nil {
			return path, size, same, err
		}
	}
	return "", 0, false, nil
}

func (f *folder) add(m message, r *record) error {
	path, err := f.layout.path(m)
	if err != nil {
		return err
	}
	if _, same, err := sameBytes(m.open(), m.entry.SHA256); err != nil || !same {
		return cmp.Or(err, fmt.Errorf("%s: %w", m.file.Name(), ErrWriting))
	}
	// Mail programs that serve a Maildir take this for the time of delivery.
	if err := os.Chtimes(m.file.Name(), m.entry.Created, m.entry.Created); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(f.full(path)), 0o700); err != nil {
		return err
	}
	r.Path = path
	return os.Rename(m.file.Name(), f.full(path))
}

// syncs is how many files are written to the disk at once: a file system does many in
// little more time than one.
const syncs = 32

// finish has the system write everything to the disk, so that a power cut takes
// nothing away from an export that says it is complete.
func (f *folder) finish(ctx context.Context, j *journal) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(syncs)
	err := j.each(func(r record) error {
		if r.Path == "" || ctx.Err() != nil {
			return context.Cause(ctx)
		}
		group.Go(func() error {
			file, err := os.Open(f.full(r.Path))
			if err != nil {
				return err
			}
			return errors.Join(file.Sync(), file.Close())
		})
		return nil
	})
	return cmp.Or(group.Wait(), err)
}

func (f *folder) close() {}

// plain is a folder like the archive: <account>/<yyyy>/<mm>/<dd>/<key>.eml.
type plain struct{}

func (plain) folders() []string              { return nil }
func (plain) temp() string                   { return "" }
func (plain) path(m message) (string, error) { return m.entry.Name, nil }
func (plain) found(_ string, e archive.Entry) ([]string, error) {
	return []string{e.Name}, nil
}

// maildir is a Maildir. A message is written in tmp/ and delivered by a rename into
// new/. Its unique name is made of the post's time, account and key, and is the
// same in every call.
//
// https://cr.yp.to/proto/maildir.html
type maildir struct {
	seen map[string]string // names in cur/ by unique name; nil before they are read
}

func (*maildir) folders() []string { return []string{"tmp", "new", "cur"} }
func (*maildir) temp() string      { return "tmp" }
func (*maildir) path(m message) (string, error) {
	return "new/" + maildirName(m.entry), nil
}

// found looks into cur/, too: a mail program that has seen a message moves it there
// and adds ":2," with flags to its name. The names in cur/ are read once; a Maildir
// that no mail program has opened has none.
func (l *maildir) found(dest string, e archive.Entry) ([]string, error) {
	name := maildirName(e)
	paths := []string{"new/" + name}
	if l.seen == nil {
		files, err := os.ReadDir(filepath.Join(dest, "cur"))
		if err != nil {
			return nil, err
		}
		l.seen = map[string]string{}
		for _, f := range files {
			unique, _, _ := strings.Cut(f.Name(), ":")
			l.seen[unique] = f.Name()
		}
	}
	if seen, ok := l.seen[name]; ok {
		paths = append(paths, "cur/"+seen)
	}
	return paths, nil
}

// maildirName is unique among all messages of all accounts: time.unique.host, where
// the host stands for where the message is from.
func maildirName(e archive.Entry) string {
	account, _, _ := strings.Cut(e.Name, "/")
	return fmt.Sprintf("%d.A%sK%s.x.com", e.Created.Unix(), account, e.Key)
}

// reviewSet is the folder that Purview's "import external data" uploads into a review
// set: in its root nothing but a folder for each custodian, which has the
// name of the custodian's mailbox, alias@domain.
//
// https://learn.microsoft.com/purview/edisc-review-set-external-data
type reviewSet struct {
	mailbox string // where a message names none that can exist; may be ""
}

func (reviewSet) folders() []string { return nil }
func (reviewSet) temp() string      { return "" }

// path takes the mailbox of the author, else the one that was asked for, else the
// mailbox of the archive. One in .invalid stands for "none known" (RFC 2606); it is
// taken only if there is no other.
func (s reviewSet) path(m message) (string, error) {
	from, to := m.addresses()
	for _, address := range []string{from, s.mailbox, to} {
		if address != "" && !Nobody(address) {
			return fileName(address) + "/" + m.entry.Key + ".eml", nil
		}
	}
	return fileName(cmp.Or(from, to, "unknown@x.invalid")) + "/" + m.entry.Key + ".eml", nil
}

func (reviewSet) found(dest string, e archive.Entry) ([]string, error) {
	mailboxes, err := os.ReadDir(dest)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, m := range mailboxes {
		paths = append(paths, m.Name()+"/"+e.Key+".eml")
	}
	return paths, nil
}

// Nobody reports whether an address stands for an author without a known mailbox.
func Nobody(address string) bool { return strings.HasSuffix(strings.ToLower(address), ".invalid") }

// addresses returns the addresses of author and archive; "" for one that the message
// has not, or not readably. It is exported all the same.
func (m message) addresses() (from, to string) {
	read, err := mail.ReadMessage(m.open())
	if err != nil {
		return "", ""
	}
	first := func(field string) string {
		list, err := read.Header.AddressList(field)
		if err != nil || len(list) == 0 {
			return ""
		}
		return list[0].Address
	}
	return first("From"), first("To")
}

// fileName is an address as the name of a folder on every system.
func fileName(address string) string {
	name := strings.Map(func(c rune) rune {
		if c <= ' ' || c == 0x7f || strings.ContainsRune(`<>:"/\|?*`, c) {
			return '_'
		}
		return c
	}, strings.ToLower(address))
	return strings.TrimLeft(name, ".")
}
