package sandbox

import (
	"context"
	"fmt"
	"runtime"

	"xarchive/scripts/appfolder"
)

// Stage puts the app together in a folder, as for Azure, with the handler built
// for this machine. root is the repository's.
func Stage(ctx context.Context, root, dir string) error {
	if err := appfolder.Stage(ctx, root, dir, runtime.GOOS, runtime.GOARCH); err != nil {
		return fmt.Errorf("staging the app: %w", err)
	}
	return nil
}
