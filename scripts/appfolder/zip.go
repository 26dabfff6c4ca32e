package appfolder

import (
	"archive/zip"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// stamp is the time of every file in the zip: the earliest that the format knows.
var stamp = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// Pack writes a staged folder as a zip to dest. The handler, and nothing else, is
// executable, also where the zip is made on Windows.
func Pack(folder, dest string) error { return PackFolder(folder, dest, Executable) }

// PackFolder writes a folder as a zip to dest: paths from its top, in the order of their
// names, with nothing in it that the machine or the hour has a say in. Files of the
// names given, with slashes, are executable.
func PackFolder(folder, dest string, executables ...string) (err error) {
	file, err := os.Create(dest)
	if err != nil {
		return fmt.Errorf("packing: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	packed := zip.NewWriter(file)
	// WalkDir goes by name; directories need no entries of their own.
	err = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		header := &zip.FileHeader{Name: filepath.ToSlash(name), Method: zip.Deflate, Modified: stamp}
		header.SetMode(0o644)
		if slices.Contains(executables, header.Name) {
			header.SetMode(0o755)
		}
		w, err := packed.CreateHeader(header)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		_, err = w.Write(content)
		return err
	})
	if err != nil {
		return fmt.Errorf("packing %s: %w", folder, err)
	}
	if err := packed.Close(); err != nil {
		return fmt.Errorf("packing %s: %w", folder, err)
	}
	return nil
}
