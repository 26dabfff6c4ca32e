package state

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// RecentTasks reads the n tasks that changed last, the newest first, open and
// ended ones together, for people to look at: without the SAS, which is a secret.
// All names are listed, only n tasks are read.
func (s *Store) RecentTasks(ctx context.Context, n int) ([]Task, error) {
	type named struct {
		name    string
		changed time.Time
	}
	c, err := s.container.Client(ctx)
	if err != nil {
		return nil, err
	}
	var found []named
	for _, prefix := range []string{openTasks, endedTasks} {
		pager := c.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &prefix})
		for pager.More() {
			page, err := pager.NextPage(ctx)
			if err != nil {
				return nil, fmt.Errorf("listing %s: %w", prefix, err)
			}
			for _, b := range page.Segment.BlobItems {
				if b.Properties != nil && b.Properties.LastModified != nil {
					found = append(found, named{*b.Name, *b.Properties.LastModified})
				}
			}
			// Only the newest count; those of years need no memory.
			slices.SortFunc(found, func(x, y named) int {
				return cmp.Or(y.changed.Compare(x.changed), cmp.Compare(y.name, x.name))
			})
			found = found[:min(len(found), n)]
		}
	}
	var tasks []Task
	for _, f := range found {
		var t Task
		err := s.readJSON(ctx, f.name, &t)
		if errors.Is(err, ErrNotFound) {
			continue // it has just ended
		}
		if err != nil {
			return nil, err
		}
		t.BlobSASURI = ""
		tasks = append(tasks, t)
	}
	return tasks, nil
}
