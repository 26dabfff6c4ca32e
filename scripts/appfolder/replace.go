package appfolder

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// replace makes dest hold what the folder from holds. Files that are the same stay as
// they are; others are moved over those of dest, each at once. What else is in dest
// is removed, but for the files named by keep.
func replace(from, dest string, keep ...string) error {
	belongs := map[string]bool{}
	for _, name := range keep {
		belongs[name] = true
	}
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		belongs[name] = true
		target := filepath.Join(dest, name)
		if d.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		if same, err := equal(path, target); same || err != nil {
			return err
		}
		return os.Rename(path, target)
	})
	if err != nil {
		return fmt.Errorf("staging into %s (on Windows, end the host that runs there first): %w", dest, err)
	}
	return prune(dest, belongs)
}

// equal reports whether two files have the same content and the same mode.
func equal(a, b string) (bool, error) {
	infoA, err := os.Stat(a)
	if err != nil {
		return false, err
	}
	infoB, err := os.Lstat(b)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil || infoA.Mode() != infoB.Mode() || infoA.Size() != infoB.Size() {
		return false, err
	}
	contentA, err := os.ReadFile(a)
	if err != nil {
		return false, err
	}
	contentB, err := os.ReadFile(b)
	return err == nil && bytes.Equal(contentA, contentB), err
}

// prune removes from a folder what does not belong to it.
func prune(folder string, belongs map[string]bool) error {
	var surplus []string
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err == nil && !belongs[name] {
			surplus = append(surplus, path)
			if d.IsDir() {
				return filepath.SkipDir
			}
		}
		return err
	})
	for _, path := range slices.Backward(surplus) {
		err = errors.Join(err, os.RemoveAll(path))
	}
	if err != nil {
		return fmt.Errorf("staging: removing from %s what does not belong there: %w", folder, err)
	}
	return nil
}
