// Command stage puts the app together in a folder, with the handler built for the
// machine at hand: what `make start` and `make demo` run. For Azure the same is
// done by `go run ./scripts/azure prepackage`.
package main

import (
	"context"
	"fmt"
	"os"

	"xarchive/scripts/appfolder"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: stage <folder>")
		os.Exit(2)
	}
	if err := appfolder.Local(context.Background(), ".", os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "stage:", err)
		os.Exit(1)
	}
}
