package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"xarchive/handler/internal/post"
)

// Walk yields an account's messages of posts created from start to end, both
// inclusive, oldest first, those behind the message named after alone; after is
// "" for all. An error that wraps ErrForeign concerns the blob of the entry's name
// alone, and the walk goes on; any other error ends it. ErrPosition: the message
// named after is not there.
//
// Only days that have messages are listed, so that the requests are proportional
// to the messages, whatever else the archive holds.
func (a *Archive) Walk(ctx context.Context, accountID string, start, end time.Time, after string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		start, end := start.UTC(), end.UTC()
		for folder, err := range a.days(ctx, accountID, start, end) {
			if err != nil {
				yield(Entry{}, err)
				return
			}
			if len(after) > len(folder) && folder < after[:len(folder)] {
				continue // it is behind us
			}
			if !a.day(ctx, folder, start, end, after, yield) {
				return
			}
		}
	}
}

// day yields a day's messages; it reports whether the walk goes on.
func (a *Archive) day(ctx context.Context, folder string, start, end time.Time, after string, yield func(Entry, error) bool) bool {
	var list []Entry
	for info, err := range a.blobs.List(ctx, folder, true) {
		if err != nil {
			yield(Entry{}, err)
			return false
		}
		if !strings.HasSuffix(info.Name, ".eml") {
			continue
		}
		e, err := entry(info)
		if errors.Is(err, ErrForeign) {
			if !yield(e, err) {
				return false
			}
			continue
		}
		list = append(list, e)
	}
	slices.SortFunc(list, Oldest)
	if strings.HasPrefix(after, folder) {
		i := slices.IndexFunc(list, func(e Entry) bool { return e.Name == after })
		if i < 0 {
			yield(Entry{}, fmt.Errorf("%s: %w", after, ErrPosition))
			return false
		}
		list = list[i+1:]
	}
	for _, e := range list {
		if e.Created.Before(start) || e.Created.After(end) {
			continue
		}
		if !yield(e, nil) {
			return false
		}
	}
	return true
}

// Oldest orders entries by the time of the post, then by its id, then by key: a
// post's own message before its supplements.
func Oldest(a, b Entry) int {
	return cmp.Or(a.Created.Compare(b.Created), post.CompareIDs(a.PostID, b.PostID), cmp.Compare(a.Key, b.Key))
}

// fewDays is up to how many days are listed without asking which of them exist.
const fewDays = 3

// days yields the folders of the days from start to end that may hold messages, in
// order.
func (a *Archive) days(ctx context.Context, accountID string, start, end time.Time) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if end.Sub(start) < (fewDays-1)*24*time.Hour {
			for day := start.Truncate(24 * time.Hour); !day.After(end); day = day.AddDate(0, 0, 1) {
				if !yield(accountID+"/"+dayFolder(day), nil) {
					return
				}
			}
			return
		}
		a.below(ctx, accountID+"/", []string{"2006", "01", "02"}, start, end, yield)
	}
}

// below yields the folders of days below prefix. layouts are the parts of a date
// that are still to be chosen.
func (a *Archive) below(ctx context.Context, prefix string, layouts []string, start, end time.Time, yield func(string, error) bool) bool {
	if len(layouts) == 0 {
		return yield(prefix, nil)
	}
	folders, err := a.blobs.Folders(ctx, prefix)
	if err != nil {
		return yield("", err) && false
	}
	for _, folder := range folders {
		if len(strings.TrimSuffix(strings.TrimPrefix(folder, prefix), "/")) != len(layouts[0]) {
			continue // not a date: ids/, or somebody else's
		}
		// Dates in this form compare as text.
		_, date, _ := strings.Cut(folder, "/")
		if date < dayFolder(start)[:len(date)] || date > dayFolder(end)[:len(date)] {
			continue
		}
		if !a.below(ctx, folder, layouts[1:], start, end, yield) {
			return false
		}
	}
	return true
}
