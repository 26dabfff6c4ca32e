package export

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// place is DEST and the paths beside it.
type place struct {
	dest   string
	single bool // DEST is a file
}

// part is the path of something that is needed only while the export is under way.
func (p place) part(name string) string { return filepath.Join(p.dest+".part", name) }

// queryName is the file in DEST.part that says which export is under way.
const queryName = "query.json"

// beside is the path of something that stays beside DEST.
func (p place) beside(name string) string { return p.dest + "." + name }

// claim makes sure that DEST is free, or of the very same export, and makes
// DEST.part. It returns ErrOccupied otherwise.
func claim(dest string, q Query) (place, error) {
	dest, err := filepath.Abs(dest) // the names beside "." need it
	if err != nil {
		return place{}, err
	}
	p := place{dest: dest, single: q.Format == Mbox || q.Format == Zip}
	asked, err := json.Marshal(q)
	if err != nil {
		return p, err
	}
	under, err := os.ReadFile(p.part(queryName))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return p, err
	}
	if err == nil && !bytes.Equal(under, asked) {
		return p, fmt.Errorf("%w: %s.part is of another export that was not finished; run that again with the arguments it had (%s), or delete %[2]s.part, or choose another destination", ErrOccupied, p.dest, under)
	}
	free, err := p.free(asked, err == nil)
	if err != nil {
		return p, err
	}
	if !free {
		return p, fmt.Errorf("%w: %s is there already and is not of this export; choose another destination", ErrOccupied, p.dest)
	}
	if err := os.MkdirAll(p.part(""), 0o700); err != nil {
		return p, err
	}
	return p, writeFile(p.part(queryName), asked)
}

// free reports whether DEST may be written. ours says that DEST.part is of the same
// export.
func (p place) free(asked []byte, ours bool) (bool, error) {
	info, err := os.Stat(p.dest)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return true, nil
	case err != nil:
		return false, err
	case p.single || !info.IsDir():
		return false, nil
	case ours:
		return true, nil
	}
	entries, err := os.Open(p.dest)
	if err != nil {
		return false, err
	}
	defer entries.Close()
	if some, _ := entries.Readdirnames(1); len(some) == 0 {
		return true, nil
	}
	data, err := os.ReadFile(p.beside(reportName))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var done report
	if json.Unmarshal(data, &done) != nil {
		return false, nil
	}
	before, err := json.Marshal(done.Query)
	return bytes.Equal(before, asked), err
}

// abandon removes DEST.part of an export that has nothing in it. If a folder has
// files all the same, as after the loss of the journal, DEST.part stays: it says
// whose they are.
func (p place) abandon() {
	if !p.single {
		for _, sub := range []string{"new", "cur", "tmp", ""} {
			os.Remove(filepath.Join(p.dest, sub)) // only if it is empty
		}
		if _, err := os.Stat(p.dest); !errors.Is(err, os.ErrNotExist) {
			return
		}
	}
	os.RemoveAll(p.part(""))
}

// writeFile writes a small file whole, or not at all.
func writeFile(path string, data []byte) error {
	if err := os.WriteFile(path+".tmp", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}
