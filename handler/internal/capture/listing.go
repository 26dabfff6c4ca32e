package capture

import (
	"context"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/manifest"
)

// list notes a message for the account's manifest, also one that was there already:
// the run that archived it may have been stopped before it could list it.
func (t *turn) list(e archive.Entry) {
	if e.Name == "" {
		return
	}
	t.listed = append(t.listed, manifest.Line{Key: e.Key, PostID: e.PostID, Path: e.Name, SHA256: e.SHA256, Kind: string(e.Kind),
		Posted: e.Created, Captured: t.xNow()})
}

// writeManifest lists what was archived since the last time. It comes before the
// account is saved: progress that is written down is listed, and what a crash leaves
// listed without progress is listed again.
func (t *turn) writeManifest(ctx context.Context) error {
	if len(t.listed) == 0 {
		return nil
	}
	link, err := t.capture.opt.Manifest.Append(ctx, t.account.ID, t.account.Manifest, t.listed)
	if err != nil {
		return err
	}
	t.account.Manifest, t.listed = link, nil
	return nil
}
