package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"runtime"
)

// release is the version of the connector. The linker puts it in (scripts/appfolder).
var release = "development"

// versionCommand is `handler version`.
func versionCommand(w io.Writer, args []string) int {
	if len(args) > 0 {
		fmt.Fprint(os.Stderr, usage)
		return exitUsage
	}
	name, err := build()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitWrong
	}
	fmt.Fprintf(w, "X archive connector %s (build %s, %s, %s/%s)\n", release, name, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return exitWell
}

// build names this build of the connector by the SHA-256 of its executable. What one
// build could not do, another may. The build information does not tell builds apart:
// releases are built without the state of the checkout, to be the same on each machine.
func build() (string, error) {
	file, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding the connector's own executable: %w", err)
	}
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("reading the connector's own executable: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", fmt.Errorf("reading the connector's own executable: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8]), nil
}
