package state

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"xarchive/handler/internal/blob"
)

// RecentTasks reads n of the tasks that changed last, the newest first, open and
// ended ones together, for people to look at: without the SAS, which is a secret. skip
// passes over the newest; more says whether there are older ones. All names are listed,
// only n tasks are read.
func (s *Store) RecentTasks(ctx context.Context, skip, n int) (list []Task, more bool, damaged []Damaged, err error) {
	var found []blob.Info
	for _, folder := range []string{openTasks, endedTasks} {
		for info, err := range s.blobs.List(ctx, folder, false) {
			if err != nil {
				return nil, false, nil, err
			}
			found = append(found, info)
			if keep := skip + n + 1; len(found) >= 4*keep+1000 { // only the newest count; those of years need no memory
				slices.SortFunc(found, newest)
				found = found[:keep]
			}
		}
	}
	slices.SortFunc(found, newest)
	found = found[min(skip, len(found)):]
	list, damaged, err = s.shown(ctx, found[:min(len(found), n)])
	return list, len(found) > n, damaged, err
}

// newest orders what was changed last first.
func newest(a, b blob.Info) int {
	return cmp.Or(b.Modified.Compare(a.Modified), cmp.Compare(b.Name, a.Name))
}

const (
	// manyTasks is how many tasks NewestTasks reads, of all jobs together.
	manyTasks = 200
	// fewTasks is how many it reads of each job at least.
	fewTasks = 5
)

// NewestTasks reads the newest tasks of each of these jobs, the newest first, open and
// ended ones together, without the SAS. However many jobs there are, each has some. All
// names are listed, no other tasks are read.
func (s *Store) NewestTasks(ctx context.Context, jobIDs []string) (list []Task, damaged []Damaged, err error) {
	if len(jobIDs) == 0 {
		return nil, nil, nil
	}
	each := max(fewTasks, manyTasks/len(jobIDs))
	below := func(folder string) []string {
		if len(jobIDs) == 1 {
			return []string{folder + jobIDs[0] + "/"}
		}
		return []string{folder}
	}
	byJob := map[string][]blob.Info{}
	for _, id := range jobIDs {
		byJob[id] = nil
	}
	for _, prefix := range slices.Concat(below(openTasks), below(endedTasks)) {
		for info, err := range s.blobs.List(ctx, prefix, false) {
			if err != nil {
				return nil, nil, err
			}
			id := strings.Split(info.Name, "/")[2] // tasks/open/<jobId>/…
			found, asked := byJob[id]
			if !asked {
				continue
			}
			found = append(found, info)
			if len(found) >= 4*each { // only the newest count
				slices.SortFunc(found, newest)
				found = found[:each]
			}
			byJob[id] = found
		}
	}
	var all []blob.Info
	for _, found := range byJob {
		slices.SortFunc(found, newest)
		all = append(all, found[:min(len(found), each)]...)
	}
	slices.SortFunc(all, newest)
	return s.shown(ctx, all)
}

// shown reads tasks for people to look at.
func (s *Store) shown(ctx context.Context, found []blob.Info) (list []Task, damaged []Damaged, err error) {
	var names []string
	for _, info := range found {
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
