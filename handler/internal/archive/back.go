package archive

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"
)

// Back yields an account's messages of posts created from start to end, both
// inclusive, the newest first: what people look at. It begins before the message
// named before, or at the newest if that is "" . Blobs that are no messages of ours are
// passed over; Walk reports them.
func (a *Archive) Back(ctx context.Context, accountID string, start, end time.Time, before string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		start, end := start.UTC(), end.UTC()
		last := end
		if day, ok := dayOf(accountID, before); ok && day.AddDate(0, 0, 1).Before(end) {
			last = day.AddDate(0, 0, 1).Add(-time.Nanosecond)
		}
		a.belowBack(ctx, accountID+"/", []string{"2006", "01", "02"}, start, last, func(folder string, err error) bool {
			if err != nil {
				return yield(Entry{}, err) && false
			}
			return a.dayBack(ctx, folder, start, end, before, yield)
		})
	}
}

// belowBack is below, the newest first.
func (a *Archive) belowBack(ctx context.Context, prefix string, layouts []string, start, end time.Time, yield func(string, error) bool) bool {
	if len(layouts) == 0 {
		return yield(prefix, nil)
	}
	folders, err := a.blobs.Folders(ctx, prefix)
	if err != nil {
		return yield("", err) && false
	}
	for _, folder := range slices.Backward(folders) {
		if len(strings.TrimSuffix(strings.TrimPrefix(folder, prefix), "/")) != len(layouts[0]) {
			continue // not a date
		}
		_, date, _ := strings.Cut(folder, "/")
		if date < dayFolder(start)[:len(date)] || date > dayFolder(end)[:len(date)] {
			continue
		}
		if !a.belowBack(ctx, folder, layouts[1:], start, end, yield) {
			return false
		}
	}
	return true
}

// dayBack yields a day's messages, the newest first.
func (a *Archive) dayBack(ctx context.Context, folder string, start, end time.Time, before string, yield func(Entry, error) bool) bool {
	var list []Entry
	goOn := a.day(ctx, folder, start, end, "", nil, func(e Entry, err error) bool {
		switch {
		case errors.Is(err, ErrForeign):
		case err != nil:
			return yield(Entry{}, err)
		default:
			list = append(list, e)
		}
		return true
	})
	if !goOn {
		return false
	}
	if strings.HasPrefix(before, folder) {
		if i := slices.IndexFunc(list, func(e Entry) bool { return e.Name == before }); i >= 0 {
			list = list[:i]
		}
	}
	for _, e := range slices.Backward(list) {
		if !yield(e, nil) {
			return false
		}
	}
	return true
}

// Years returns the years of which the archive has messages of an account, in order.
func (a *Archive) Years(ctx context.Context, accountID string) ([]string, error) {
	folders, err := a.blobs.Folders(ctx, accountID+"/")
	if err != nil {
		return nil, err
	}
	var years []string
	for _, folder := range folders {
		year := strings.TrimSuffix(strings.TrimPrefix(folder, accountID+"/"), "/")
		if _, err := time.Parse("2006", year); err == nil {
			years = append(years, year)
		}
	}
	return years, nil
}

// Year yields the messages of one year in the order of their days, 5,000 a request:
// for counting. Blobs that are no messages of ours are passed over.
func (a *Archive) Year(ctx context.Context, accountID, year string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for info, err := range a.blobs.List(ctx, accountID+"/"+year+"/", true) {
			if err != nil {
				yield(Entry{}, err)
				return
			}
			e, err := entry(info)
			if err != nil || !strings.HasSuffix(info.Name, ".eml") {
				continue
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}
