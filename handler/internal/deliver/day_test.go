package deliver_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/importer"
)

// TestItemsADay: when the day's items are used up, a task's event waits until the next
// UTC day, and the task says so. The first task of a day goes, whatever it has.
func TestItemsADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.itemsADay = 5
		keys := w.posts(6)
		w.request("large", 0, 5)
		w.run()
		w.want("large", importer.Success, keys...)
		w.request("small", 0, 1)
		for range 3 {
			if r := w.run(); r.Ended != 0 {
				t.Fatalf("%+v; want the task to wait", r)
			}
			time.Sleep(time.Hour)
		}
		task := w.open()
		if task.Problem == nil || task.Problem.Cause != fault.ImportDay || !task.NotBefore.Equal(time.Date(2024, 6, 11, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("problem %+v, not before %v", task.Problem, task.NotBefore)
		}
		time.Sleep(8 * time.Hour) // past midnight
		w.run()
		w.want("small", importer.Success, keys[:2]...)
		w.request("again", 0, 2)
		w.run()
		w.want("again", importer.Success, keys[:3]...)
	})
}

// TestItemsOfAttempts: a task whose event is sent again the same day is counted once.
func TestItemsOfAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		keys := w.posts(3)
		w.service.answer = errors.New("out of order")
		w.request("t", 0, 2)
		for range 4 {
			_, _ = w.tick(time.Minute) // the failures are reported
			time.Sleep(10 * time.Minute)
		}
		w.service.answer = nil
		time.Sleep(time.Hour)
		w.run()
		w.want("t", importer.Success, keys...)
		if room, err := w.state.CountItems(t.Context(), now(), 2, 5); err != nil || !room {
			t.Errorf("room for two more of five: %v, %v", room, err)
		}
		if room, err := w.state.CountItems(t.Context(), now(), 1, 5); err != nil || room {
			t.Errorf("room for one more: %v, %v", room, err)
		}
	})
}
