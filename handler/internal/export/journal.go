package export

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"xarchive/handler/internal/post"
)

// record is a line of the journal: what became of a message of the archive.
type record struct {
	Source  string    `json:"source"` // name of the blob
	Account string    `json:"account,omitempty"`
	PostID  string    `json:"postId,omitempty"`
	Kind    post.Kind `json:"kind,omitempty"`
	Posted  time.Time `json:"posted,omitzero"`
	SHA256  string    `json:"sha256,omitempty"`
	Size    int64     `json:"size,omitempty"` // bytes, as archived

	LeftOut string `json:"leftOut,omitempty"` // why it is not in DEST
	NoMatch bool   `json:"noMatch,omitempty"` // it is not in DEST since it has not the text

	Path string `json:"path,omitempty"` // in the folder or zip file, with slashes

	// Of a target that is one file: the part of it that the message takes.
	Start int64  `json:"start,omitempty"`
	End   int64  `json:"end,omitempty"`
	CRC   uint32 `json:"crc,omitempty"`
}

// journal is the list of what is done, in the order of the archive. While the lines
// of an earlier call agree with the archive they are kept; from the first that does
// not, they are dropped and new ones are added.
type journal struct {
	file *os.File
	old  *bufio.Reader // of the earlier call's lines; nil once they are dropped
	end  int64         // of the lines that count

	next record // that peek returns
	size int64  // of its line in bytes; 0 if no line has been read ahead
}

func openJournal(path string) (*journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	return &journal{file: f, old: bufio.NewReader(f)}, nil
}

// peek returns the earlier call's next line; false if there is none. A line that
// was not written whole ends them.
func (j *journal) peek() (record, bool) {
	if j.old == nil {
		return record{}, false
	}
	if j.size > 0 {
		return j.next, true
	}
	line, err := j.old.ReadBytes('\n')
	var r record
	if err != nil || json.Unmarshal(line, &r) != nil {
		j.old = nil
		return record{}, false
	}
	j.next, j.size = r, int64(len(line))
	return r, true
}

// keep says that the line that peek returned counts.
func (j *journal) keep() {
	j.end += j.size
	j.size = 0
}

// cut drops the earlier call's lines that were not kept.
func (j *journal) cut() error {
	j.old, j.size = nil, 0
	return j.file.Truncate(j.end)
}

// add writes a line behind those that count, and drops the others.
func (j *journal) add(r record) error {
	if err := j.cut(); err != nil {
		return err
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	n, err := j.file.WriteAt(append(line, '\n'), j.end)
	if err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	j.end += int64(n)
	return nil
}

// each calls f with every line that counts, in their order.
func (j *journal) each(f func(record) error) error {
	lines := bufio.NewReader(io.NewSectionReader(j.file, 0, j.end))
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return nil
		}
		var r record
		if err == nil {
			err = json.Unmarshal(line, &r)
		}
		if err == nil {
			err = f(r)
		}
		if err != nil {
			return err
		}
	}
}

// empty reports whether no call has written a line yet.
func (j *journal) empty() bool {
	info, err := j.file.Stat()
	return err == nil && info.Size() == 0
}

func (j *journal) close() { j.file.Close() }
