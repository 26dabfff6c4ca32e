package capture

import (
	"context"
	"slices"

	"xarchive/handler/internal/post"
)

// completions is how often posts that a document lacks are looked up: what a look-up
// brings may itself lack something, and X's references are followed two levels deep.
const completions = 2

// complete looks up the posts that documents refer to and that X did not include: what a
// repeated post quotes, for example. All that a page lacks is one look-up. A post that
// X does not give stays a reference, with X's reason.
func (t *turn) complete(ctx context.Context, docs []post.Document, key string) ([]post.Document, error) {
	docs = slices.Clone(docs)
	asked := map[string]bool{}
	for range completions {
		var ids []string
		for _, d := range docs {
			for _, id := range d.Lacks() {
				if !asked[id] {
					asked[id] = true
					ids = append(ids, id)
				}
			}
		}
		if len(ids) == 0 {
			break
		}
		found, err := t.lookup(ctx, key, ids, nil)
		if err != nil {
			return nil, err
		}
		for i, d := range docs {
			t.alsoFrom(d.ID, d.Lacks())
			docs[i] = post.Complete(d, found)
		}
	}
	return docs, nil
}
