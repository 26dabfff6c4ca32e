package export

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"math"
	"os"
	"time"
)

// zipFile is a zip file with Zip64 where it is needed. archive/zip reads such files in
// the tests, but cannot write this one: its writer keeps every entry in memory until the
// end, and cannot go on with a file that was interrupted. Entries are stored, not
// compressed, so that each one's size is known before it is written.
//
// https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (6.3.10): section 4.3.7
// local header, 4.3.12 central directory, 4.3.14 and 4.3.15 Zip64, 4.5.3 sizes above 4 GiB
type zipFile struct {
	now   func() time.Time
	count uint64
}

func (*zipFile) write(w io.Writer, m message, r *record) error {
	r.Path = m.entry.Name
	if _, err := w.Write(localHeader(*r)); err != nil {
		return err
	}
	_, err := io.Copy(w, m.open())
	return err
}

func (*zipFile) read(w io.Writer, section *bufio.Reader, r record) error {
	want := localHeader(r)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(section, got); err != nil {
		return different(err)
	}
	if !bytes.Equal(got, want) {
		return ErrWriting
	}
	_, err := io.Copy(w, section)
	return err
}

// finish adds the manifest and export.json, and writes the central directory from the
// journal.
func (z *zipFile) finish(s *single, j *journal) error {
	var extra []record
	for _, name := range []string{manifestCSV, manifestJSONL, reportName} {
		r := record{Path: name, Posted: z.now().UTC()}
		if err := s.append(func(w io.Writer) error { return appendFile(w, s.place.part(name), &r, s.end) }); err != nil {
			return err
		}
		extra = append(extra, r)
	}
	begin := s.end
	return s.append(func(w io.Writer) error {
		size := uint64(0)
		entry := func(r record) error {
			if r.Path == "" {
				return nil // not in the file
			}
			z.count++
			n, err := w.Write(centralHeader(r))
			size += uint64(n)
			return err
		}
		if err := j.each(entry); err != nil {
			return err
		}
		for _, r := range extra {
			if err := entry(r); err != nil {
				return err
			}
		}
		_, err := w.Write(endOfDirectory(z.count, size, uint64(begin)))
		return err
	})
}

// appendFile writes a file as an entry that begins at start.
func appendFile(w io.Writer, path string, r *record, start int64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := crc32.NewIEEE()
	if r.Size, err = io.Copy(sum, f); err != nil {
		return err
	}
	r.Start, r.CRC = start, sum.Sum32()
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := w.Write(localHeader(*r)); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}

const (
	version20 = 20 // needed for what is not Zip64
	version45 = 45 // needed for Zip64
	utf8Names = 1 << 11
	unix      = 3 << 8 // made on
)

// localHeader is what stands before an entry's bytes.
func localHeader(r record) []byte {
	var zip64 []byte
	size, version := uint32(r.Size), uint16(version20)
	if r.Size >= math.MaxUint32 {
		size, version = math.MaxUint32, version45
		zip64 = fields(uint16(1), uint16(16), uint64(r.Size), uint64(r.Size))
	}
	extra := append(zip64, modified(r.Posted)...)
	day, clock := dosTime(r.Posted)
	head := fields(uint32(0x04034b50), version, uint16(utf8Names), uint16(0), clock, day, r.CRC, size, size, uint16(len(r.Path)), uint16(len(extra)))
	return append(append(head, r.Path...), extra...)
}

// centralHeader is an entry of the central directory.
func centralHeader(r record) []byte {
	var values []any // those that do not fit, in this order
	size, start, version := uint32(r.Size), uint32(r.Start), uint16(version20)
	if r.Size >= math.MaxUint32 {
		size = math.MaxUint32
		values = append(values, uint64(r.Size), uint64(r.Size))
	}
	if r.Start >= math.MaxUint32 {
		start = math.MaxUint32
		values = append(values, uint64(r.Start))
	}
	var extra []byte
	if len(values) > 0 {
		version = version45
		extra = append(fields(uint16(1), uint16(8*len(values))), fields(values...)...)
	}
	extra = append(extra, modified(r.Posted)...)
	day, clock := dosTime(r.Posted)
	const regularFile = 0o100600 << 16
	head := fields(uint32(0x02014b50), uint16(unix|version45), version, uint16(utf8Names), uint16(0), clock, day, r.CRC, size, size,
		uint16(len(r.Path)), uint16(len(extra)), uint16(0), uint16(0), uint16(0), uint32(regularFile), start)
	return append(append(head, r.Path...), extra...)
}

// endOfDirectory ends the file: with Zip64's records where a number does not fit.
func endOfDirectory(count, size, begin uint64) []byte {
	var out []byte
	if count >= math.MaxUint16 || size >= math.MaxUint32 || begin >= math.MaxUint32 {
		out = fields(uint32(0x06064b50), uint64(44), uint16(unix|version45), uint16(version45), uint32(0), uint32(0), count, count, size, begin,
			uint32(0x07064b50), uint32(0), begin+size, uint32(1))
	}
	short := uint16(min(count, math.MaxUint16))
	return append(out, fields(uint32(0x06054b50), uint16(0), uint16(0), short, short,
		uint32(min(size, math.MaxUint32)), uint32(min(begin, math.MaxUint32)), uint16(0))...)
}

// modified is the extra field with a time in UTC; the header's own has no zone.
func modified(t time.Time) []byte {
	return fields(uint16(0x5455), uint16(5), uint8(1), uint32(t.Unix()))
}

// dosTime is a time as a header has it: since 1980, in steps of two seconds.
func dosTime(t time.Time) (day, clock uint16) {
	t = t.UTC()
	if t.Year() < 1980 || t.Year() > 2107 {
		return 1<<5 | 1, 0
	}
	return uint16((t.Year()-1980)<<9 | int(t.Month())<<5 | t.Day()), uint16(t.Hour()<<11 | t.Minute()<<5 | t.Second()/2)
}

// fields writes numbers in little-endian order, each in its own width.
func fields(values ...any) []byte {
	var out []byte
	for _, v := range values {
		out, _ = binary.Append(out, binary.LittleEndian, v) // numbers of a fixed width do not fail
	}
	return out
}
