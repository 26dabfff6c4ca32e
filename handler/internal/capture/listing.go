package capture

import (
	"context"
	"errors"
	"fmt"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/manifest"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
)

// list notes a message for the account's manifest, also one that was there already:
// the run that archived it may have been stopped before it could list it. Those that are
// made of X's data export are for an import to list: no answer of X has them.
func (t *turn) list(e archive.Entry) {
	if e.Name == "" || e.Export != "" && t.export.SHA256 == "" {
		return
	}
	o := t.origins[e.PostID]
	if o.at.IsZero() {
		o.at = t.xNow()
	}
	t.listed = append(t.listed, manifest.Line{Key: e.Key, PostID: e.PostID, Path: e.Name, SHA256: e.SHA256, Kind: string(e.Kind),
		Posted: e.Created, Captured: o.at, Raw: o.raw, Export: o.export})
}

// listGivenUp notes for the manifest what X did not give of an archived post.
func (t *turn) listGivenUp(w state.Waiting) {
	posted, _ := post.IDTime(w.PostID)
	t.listed = append(t.listed, manifest.Line{Event: manifest.GivenUp, PostID: w.PostID, Path: w.Name, Posted: posted.Truncate(time.Second), Captured: t.xNow(),
		Media: w.Media, Versions: w.Versions, Text: w.Text, Why: w.Why})
}

// listNow has lines in the account's manifest, with what else is to be listed.
func (t *turn) listNow(ctx context.Context, lines []manifest.Line) error {
	t.listed = append(t.listed, lines...)
	return t.writeManifest(ctx)
}

// writeManifest lists what was archived since the last time. It comes before the
// account is saved: progress that is written down is listed, and what a crash leaves
// listed without progress is listed again.
func (t *turn) writeManifest(ctx context.Context) error {
	if len(t.listed) == 0 {
		return nil
	}
	link, err := t.capture.opt.Manifest.Append(ctx, t.account.ID, t.account.Manifest, t.xNow().Format(time.DateOnly), t.listed)
	if err != nil {
		return err
	}
	if err := t.countListed(ctx, t.account.Manifest.N+1, link.N); err != nil {
		return err
	}
	t.account.Manifest, t.listed = link, nil
	return nil
}

// countListed counts the imported posts that blobs of the manifest from one to before
// another list: whoever made them was stopped before it could save the account, and with
// it the count. An import takes what is listed for done, and does not come to it again.
func (t *turn) countListed(ctx context.Context, from, before int) error {
	counted := map[string]bool{}
	for _, l := range t.listed {
		counted[l.Key] = true
	}
	for n := from; n < before; n++ {
		b, err := t.capture.opt.Manifest.Blob(ctx, t.account.ID, n)
		if errors.Is(err, manifest.ErrBroken) || errors.Is(err, manifest.ErrNewer) {
			continue // which the verification reports
		}
		if err != nil {
			return fmt.Errorf("counting what an interrupted import listed: %w", err)
		}
		for _, l := range b.Lines {
			if l.Export == "" || l.Event != "" || l.Key != l.PostID || counted[l.Key] {
				continue
			}
			counted[l.Key] = true
			later, err := t.laterVersion(ctx, l)
			if err != nil {
				return fmt.Errorf("counting what an interrupted import listed: %w", err)
			}
			t.account.CountPost(l.Posted)
			if later {
				t.account.Versions++
			}
		}
	}
	return nil
}

// laterVersion reports whether a listed message has a later version of an edited post. Of
// one that is not there or none of ours it is not known, and others report it.
func (t *turn) laterVersion(ctx context.Context, l manifest.Line) (bool, error) {
	m, err := t.readMessage(ctx, archive.Entry{Name: l.Path, SHA256: l.SHA256})
	switch {
	case err == nil:
		return m.Post.Version() > 1, nil
	case unreadable(ctx, err):
		return false, nil
	}
	return false, err
}
