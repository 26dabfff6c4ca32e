package export

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"
)

// mbox is a mailbox of the kind mboxrd: before each message a line "From ", its
// author and its time; a line of the message that begins with "From " behind any
// number of ">" gets one ">" more; behind each message an empty line. So the message
// can be had back exactly. The lines of messages keep the ends that they have in
// the archive, CRLF; RFC 4155 would have LF, and other bytes than were archived.
//
// https://www.rfc-editor.org/rfc/rfc4155
// https://www.loc.gov/preservation/digital/formats/fdd/fdd000385.shtml (mboxrd)
type mbox struct {
	in *bufio.Reader // of the message that is being written
}

func newMbox() mbox { return mbox{bufio.NewReaderSize(nil, bufferSize)} }

var fromLine = []byte("From ")

func (b mbox) write(w io.Writer, m message, r *record) error {
	from, _ := m.addresses()
	if strings.ContainsAny(from, " \t\r\n") {
		from = "" // a quoted local part; here it would be taken apart
	}
	// RFC 4155, appendix A: an address, and the time as asctime writes it, in UTC.
	if _, err := fmt.Fprintf(w, "From %s %s\n", cmp.Or(from, "MAILER-DAEMON"), r.Posted.UTC().Format(time.ANSIC)); err != nil {
		return err
	}
	b.in.Reset(m.open())
	last, err := quote(w, b.in)
	if err != nil {
		return err
	}
	end := "\n"
	if last != '\n' {
		end = "\n\n" // the record's size tells that the first is not the message's
	}
	_, err = io.WriteString(w, end)
	return err
}

func (mbox) read(w io.Writer, in *bufio.Reader, r record) error {
	line, err := in.ReadSlice('\n')
	if err != nil || !bytes.HasPrefix(line, fromLine) {
		return different(err)
	}
	message := &limited{w: w, left: r.Size}
	if err := unquote(message, in); err != nil {
		return err
	}
	if message.left > 0 || message.rest != "\n" && message.rest != "\n\n" {
		return ErrWriting
	}
	return nil
}

func (mbox) finish(*single, *journal) error { return nil }

// quote copies a message with mboxrd's quoting. It returns the last byte.
func quote(w io.Writer, in *bufio.Reader) (last byte, err error) {
	return lines(w, in, func(marks int) int { return marks + 1 })
}

// unquote takes the quoting off again.
func unquote(w io.Writer, in *bufio.Reader) error {
	_, err := lines(w, in, func(marks int) int { return max(marks-1, 0) })
	return err
}

// lines copies lines. Of those that begin with "From " behind a number of ">",
// that number becomes what change returns.
func lines(w io.Writer, in *bufio.Reader, change func(marks int) int) (last byte, err error) {
	for {
		marks := 0
		for {
			c, err := in.ReadByte()
			if err != nil && err != io.EOF {
				return 0, err
			}
			if err == nil && c == '>' {
				marks++
				continue
			}
			if err == nil {
				err = in.UnreadByte()
			}
			if err != nil && err != io.EOF {
				return 0, err
			}
			break
		}
		if marks > 0 {
			last = '>'
		}
		begin, err := in.Peek(len(fromLine))
		if err != nil && err != io.EOF {
			return 0, err
		}
		if bytes.Equal(begin, fromLine) {
			marks = change(marks)
		}
		if err := repeat(w, '>', marks); err != nil {
			return 0, err
		}
		if len(begin) == 0 {
			return last, nil
		}
		for whole := false; !whole; {
			part, err := in.ReadSlice('\n')
			if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
				return 0, err
			}
			whole = err != bufio.ErrBufferFull
			if len(part) > 0 {
				last = part[len(part)-1]
			}
			if _, err := w.Write(part); err != nil {
				return 0, err
			}
		}
	}
}

// repeat writes a byte a number of times.
func repeat(w io.Writer, c byte, times int) error {
	for times > 0 {
		some := bytes.Repeat([]byte{c}, min(times, 512))
		if _, err := w.Write(some); err != nil {
			return err
		}
		times -= len(some)
	}
	return nil
}

// limited passes on a number of bytes and keeps the first few behind them.
type limited struct {
	w    io.Writer
	left int64
	rest string
}

func (l *limited) Write(p []byte) (int, error) {
	n := int(min(int64(len(p)), l.left))
	l.left -= int64(n)
	if room := 3 - len(l.rest); room > 0 {
		l.rest += string(p[n:min(len(p), n+room)])
	}
	if _, err := l.w.Write(p[:n]); err != nil {
		return 0, err
	}
	return len(p), nil
}

// counter takes the hash of bytes and counts them.
type counter struct {
	hash hash.Hash
	n    int64
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return c.hash.Write(p)
}

// different is the error of bytes that are not those expected. An error of reading
// stays as it is, unless it only says that there is no more.
func different(err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, bufio.ErrBufferFull) {
		return ErrWriting
	}
	return err
}

func isDifferent(err error) bool { return errors.Is(err, ErrWriting) }
