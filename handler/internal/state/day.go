package state

import (
	"context"
	"errors"
	"fmt"
	"time"

	"xarchive/handler/internal/blob"
)

// Day counts the items that the Import service was told of on one UTC day, of all jobs
// together: it takes so many a day and no more.
type Day struct {
	V     int    `json:"v"`
	Day   string `json:"day"`   // UTC, 2006-01-02
	Items int    `json:"items"` // of tasks that ended, or were about to
}

func (d *Day) belongs(string) bool {
	_, err := time.Parse(time.DateOnly, d.Day)
	return err == nil
}
func (d *Day) upgrade() {}

const dayName = "day.json"

// CountItems counts items as those of now's UTC day, and reports whether there is room
// for them: there is until limit is reached, and for the day's first ones in any number.
func (s *Store) CountItems(ctx context.Context, now time.Time, items, limit int) (room bool, err error) {
	today := now.UTC().Format(time.DateOnly)
	for {
		var day Day
		info, err := s.read(ctx, dayName, &day)
		absent := errors.Is(err, ErrNotFound)
		if err != nil && !absent && !errors.Is(err, ErrDamaged) { // a damaged count is no reason to deliver nothing
			return false, err
		}
		if err != nil || day.Day != today {
			day = Day{Day: today}
		}
		if day.Items > 0 && day.Items+items > limit {
			return false, nil
		}
		day.V, day.Items = Version, day.Items+items
		_, err = s.write(ctx, dayName, day, blob.Condition{ETag: info.ETag, Absent: absent})
		if errors.Is(err, ErrClaimed) || errors.Is(err, ErrExists) {
			continue // another task was counted meanwhile
		}
		if err != nil {
			return false, fmt.Errorf("counting the day's items: %w", err)
		}
		return true, nil
	}
}
