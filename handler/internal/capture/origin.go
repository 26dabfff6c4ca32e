package capture

import (
	"context"
	"slices"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// Every message in the archive goes back to answers of X, which are kept as they came
// (archive.Raw) and named by the message's line in the manifest, or to X's data export,
// which has much that is not the archive's and is only named.

// origin is where a post came from.
type origin struct {
	at     time.Time // X's clock, when it answered; the zero time if it is not known
	raw    []archive.Raw
	export string // SHA-256 of X's data export that has it; "" for X's API
}

// with returns the origin with more answers, each once.
func (o origin) with(more []archive.Raw) origin {
	o.raw = slices.Clone(o.raw)
	for _, raw := range more {
		if !slices.Contains(o.raw, raw) {
			o.raw = append(o.raw, raw)
		}
	}
	return o
}

// keepRaw archives an answer of X as it came, and returns it as it is retained until
// what it holds is archived. It comes before that, so that nothing is retained of which
// the evidence may be missing.
func (t *turn) keepRaw(ctx context.Context, a twitter.Answer) (state.Retained, error) {
	r := state.Retained{JSON: a.Raw, At: t.xTime(a)}
	for _, body := range a.Bodies {
		raw := archive.NewRaw(t.account.ID, r.At, body.JSON, body.RequestID)
		if err := t.capture.opt.Archive.PutRaw(ctx, raw, r.At, body.JSON); err != nil {
			return state.Retained{}, err
		}
		r.Raw = append(r.Raw, raw)
	}
	return r, nil
}

// cameFrom notes where posts come from, for the lines of the manifest. Those of an answer
// that an older version of the connector retained have no origin.
func (t *turn) cameFrom(r state.Retained, ids ...string) {
	for _, id := range ids {
		t.origins[id] = origin{at: r.At, raw: r.Raw}
	}
}

// lookedUp notes an answer to a look-up of posts: those that it gives come from it. What
// it says of another goes back to it, too, and does not take the place of the answer that
// gave that post before.
func (t *turn) lookedUp(r state.Retained, page post.Page, asked []string) {
	given := ids(page)
	for _, id := range asked {
		if o, ok := t.origins[id]; ok && !slices.Contains(given, id) {
			t.origins[id] = o.with(r.Raw)
			continue
		}
		t.cameFrom(r, id)
	}
}

// alsoFrom notes that a post is completed by what a look-up of others brought.
func (t *turn) alsoFrom(id string, others []string) {
	o, ok := t.origins[id]
	if !ok {
		return
	}
	for _, other := range others {
		o = o.with(t.origins[other].raw)
	}
	t.origins[id] = o
}
