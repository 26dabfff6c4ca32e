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
// inclusive, oldest first, a post's own message before its supplements. It begins
// after the message named after, or at the first one if that is "". An error that wraps ErrForeign
// concerns the blob of the entry's name alone, and the walk goes on; any other error
// ends it: ErrPosition if the message named after is not there.
//
// A window of less than two days costs a listing a day; a longer one a listing for
// each day, month and year in it that has messages, and one for the years. What
// else the archive holds costs nothing.
func (a *Archive) Walk(ctx context.Context, accountID string, start, end time.Time, after string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		start, end := start.UTC(), end.UTC()
		first := start
		if day, ok := dayOf(accountID, after); ok && day.After(first) {
			first = day
		}
		for folder, err := range a.days(ctx, accountID, first, end) {
			if err != nil {
				yield(Entry{}, err)
				return
			}
			if !a.day(ctx, folder, start, end, after, nil, yield) {
				return
			}
		}
	}
}

// Gone returns of how many posts from start to end, by their folders' days, X no longer
// gave the post: of which a note <postId>.gone.json is beside the message.
func (a *Archive) Gone(ctx context.Context, accountID string, start, end time.Time) (n int, err error) {
	for folder, err := range a.days(ctx, accountID, start.UTC(), end.UTC()) {
		if err != nil {
			return n, err
		}
		for info, err := range a.blobs.List(ctx, folder, false) {
			if err != nil {
				return n, err
			}
			if strings.HasSuffix(info.Name, ".gone.json") {
				n++
			}
		}
	}
	return n, nil
}

// Accounts returns the ids of the accounts that the archive has something of, by one
// listing.
func (a *Archive) Accounts(ctx context.Context) ([]string, error) {
	folders, err := a.blobs.Folders(ctx, "")
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, folder := range folders {
		id := strings.TrimSuffix(folder, "/")
		if strings.Trim(id, "0123456789") == "" {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// Days yields the UTC days from start to end that may have messages of an account, in
// order. It costs what the listings of folders cost that Walk makes.
func (a *Archive) Days(ctx context.Context, accountID string, start, end time.Time) iter.Seq2[time.Time, error] {
	return func(yield func(time.Time, error) bool) {
		for folder, err := range a.days(ctx, accountID, start.UTC(), end.UTC()) {
			day, ok := dayOf(accountID, folder)
			if err == nil && !ok {
				continue // a folder such as 2024/13/: no date
			}
			if !yield(day, err) {
				return
			}
		}
	}
}

// dayOf returns the day in whose folder a message of the account is.
func dayOf(accountID, name string) (time.Time, bool) {
	rest, ok := strings.CutPrefix(name, accountID+"/")
	if !ok || len(rest) < len(dayLayout) {
		return time.Time{}, false
	}
	day, err := time.Parse(dayLayout, rest[:len(dayLayout)])
	return day, err == nil
}

// day yields a day's messages; it reports whether the walk goes on. The day's notes are
// added to notes, unless it is nil.
func (a *Archive) day(ctx context.Context, folder string, start, end time.Time, after string, notes *[]Entry, yield func(Entry, error) bool) bool {
	var list []Entry
	for info, err := range a.blobs.List(ctx, folder, true) {
		if err != nil {
			yield(Entry{}, err)
			return false
		}
		if !strings.HasSuffix(info.Name, ".eml") {
			if n, is := note(info); is && notes != nil {
				*notes = append(*notes, n)
			}
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
