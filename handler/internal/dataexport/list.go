package dataexport

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// each calls do with each element of a data file, in order, without the object round it
// that names it: `window.YTD.tweets.part0 = [ {"tweet": {…}}, … ]`. Exports until 2019 have
// no such object. Only one element at a time is in memory.
func (x *Export) each(ctx context.Context, d dataFile, member string, read func(int64), do func(json.RawMessage) error) error {
	f := x.byName[d.name]
	if f == nil {
		return fmt.Errorf("%w: %s is not there", ErrMalformed, d.name)
	}
	body, err := open(f, maxList)
	if err != nil {
		return err
	}
	defer body.Close()
	r := &counted{r: reader{ctx, body}, told: read}
	err = elements(r, x.maxItem, func(raw json.RawMessage) error { return do(unwrapped(raw, member)) })
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil && !errors.Is(err, errStop):
		return fmt.Errorf("%w: %s, after %d bytes: %w", ErrMalformed, d.name, r.n, err)
	case err != nil:
		return errors.Unwrap(err)
	}
	return nil
}

// counted tells how many bytes were read.
type counted struct {
	r    io.Reader
	n    int64
	told func(int64) // nil: nobody
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if c.told != nil {
		c.told(int64(n))
	}
	return n, err
}

// unwrapped returns what is in an object with one member of that name; else the element.
func unwrapped(raw json.RawMessage, member string) json.RawMessage {
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) == nil && len(object) == 1 && object[member] != nil {
		return object[member]
	}
	return raw
}

// errStop marks an error of who takes the elements.
var errStop = errors.New("stopped")

type stopped struct{ err error }

func (s stopped) Error() string   { return s.err.Error() }
func (s stopped) Unwrap() error   { return s.err }
func (s stopped) Is(e error) bool { return e == errStop }

// longestName is how long what stands before the list may be, in bytes.
const longestName = 256

// assigned is what the list is assigned to. Its name is that of the file today, and was
// another in older exports.
var assigned = regexp.MustCompile(`^window\.YTD\.\w+\.part\d+$`)

// elements reads `window.YTD.<name>.part<n> = [ … ]` and calls do with each element of the
// list, of max bytes at most.
func elements(r io.Reader, max int64, do func(json.RawMessage) error) error {
	in := bufio.NewReaderSize(r, 64<<10)
	var before strings.Builder
	for {
		c, err := in.ReadByte()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		if c == '=' {
			break
		}
		if before.WriteByte(c); before.Len() > longestName {
			return errors.New("it does not begin as X's data files do")
		}
	}
	if got := strings.TrimSpace(strings.TrimPrefix(before.String(), "\ufeff")); !assigned.MatchString(got) {
		return fmt.Errorf("it begins with %.100q, and X's data files with window.YTD", got)
	}
	item := &limit{r: in, left: max}
	dec := json.NewDecoder(item)
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return fmt.Errorf("it has no list: %w", errors.Join(err, errNoList))
	}
	for dec.More() {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			if errors.Is(err, errLong) {
				return fmt.Errorf("an element has more than %d bytes", max)
			}
			return unexpected(err)
		}
		item.left = max
		if err := do(raw); err != nil {
			return stopped{err}
		}
	}
	if _, err := dec.Token(); err != nil { // the end of the list
		return unexpected(err)
	}
	rest, err := io.ReadAll(io.LimitReader(io.MultiReader(dec.Buffered(), in), longestName))
	if err != nil {
		return err
	}
	if text := strings.TrimSpace(string(rest)); text != "" && text != ";" {
		return errors.New("something follows the list")
	}
	return nil
}

var errNoList = errors.New("X's data files are lists")

// unexpected is the end of a file within its list.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
