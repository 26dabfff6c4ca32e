package sandbox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"xarchive/scripts/appfolder"
)

// Stage puts the app together in a folder, for a Functions host on this
// machine. root is the repository's.
func Stage(ctx context.Context, root, dir string) error {
	if err := appfolder.Local(ctx, root, dir); err != nil {
		return fmt.Errorf("staging the app: %w", err)
	}
	return nil
}

// Scratch makes a folder in the repository's build folder, for what outlives single
// tests: tests that are killed leave nothing elsewhere. The repository is the one around the working directory.
func Scratch() (dir string, err error) {
	root, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("making a folder for tests: %w", err)
	}
	for ; root != filepath.Dir(root); root = filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
	}
	build := filepath.Join(root, "build")
	err = os.MkdirAll(build, 0o755)
	if err == nil {
		dir, err = os.MkdirTemp(build, "tests-")
	}
	if err != nil {
		return "", fmt.Errorf("making a folder for tests: %w", err)
	}
	return dir, nil
}

// RunStaged runs a package's tests with the app staged for them all, in a folder that
// goes when they are through: the body of TestMain. root is the repository's, seen
// from the package; *app is set to the folder.
func RunStaged(m interface{ Run() int }, root string, app *string) int {
	dir, err := Scratch()
	if err == nil {
		defer os.RemoveAll(dir)
		*app = filepath.Join(dir, "app")
		err = Stage(context.Background(), root, *app)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
