package state

import (
	"cmp"
	"context"
	"slices"

	"xarchive/handler/internal/blob"
)

// RecentTasks reads the n tasks that changed last, the newest first, open and
// ended ones together, for people to look at: without the SAS, which is a secret.
// All names are listed, only n tasks are read.
func (s *Store) RecentTasks(ctx context.Context, n int) (list []Task, damaged []Damaged, err error) {
	newest := func(a, b blob.Info) int {
		return cmp.Or(b.Modified.Compare(a.Modified), cmp.Compare(b.Name, a.Name))
	}
	var found []blob.Info
	for _, folder := range []string{openTasks, endedTasks} {
		for info, err := range s.blobs.List(ctx, folder, false) {
			if err != nil {
				return nil, nil, err
			}
			found = append(found, info)
			if len(found) >= 4*n+1000 { // only the newest count; those of years need no memory
				slices.SortFunc(found, newest)
				found = found[:n]
			}
		}
	}
	slices.SortFunc(found, newest)
	var names []string
	for _, info := range found[:min(len(found), n)] {
		names = append(names, info.Name)
	}
	list, damaged, err = some[Task, *Task](ctx, s, names)
	var out []Task
	for _, t := range list {
		same := func(other Task) bool { return other.JobID == t.JobID && other.TaskID == t.TaskID }
		if slices.ContainsFunc(out, same) {
			continue // it is just ending, and in both folders
		}
		t.BlobSASURI, t.Partials = "", nil
		out = append(out, t)
	}
	return out, damaged, err
}
