package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"xarchive/handler/internal/importer"
	"xarchive/handler/internal/state"
)

const (
	// changesAtOnce is how many changes an event holds at most.
	changesAtOnce = 100

	changePause    = 5 * time.Minute
	changeLongest  = 6 * time.Hour
	changesGivenUp = 100 // tries, which take some three weeks
)

// TellChanges tells the Import service which archived posts X no longer gives, or gives
// again. What it does not take is told again later; what it refuses for good is
// forgotten: the note beside the message stands.
func (d *Deliver) TellChanges(ctx context.Context) error {
	now := d.Now()
	if !d.State.ChangesDue(now) {
		return nil
	}
	byJob, damaged, err := d.State.Changes(ctx)
	if err != nil {
		return fmt.Errorf("reading the changes to be told: %w", err)
	}
	failures := []error{d.setAside(ctx, damaged)}
	left := false
	for job, list := range byJob {
		waiting := len(list)
		list = slices.DeleteFunc(list, func(c state.Change) bool { return now.Before(c.Next) })
		left = left || len(list) < waiting
		for some := range slices.Chunk(list, changesAtOnce) {
			told, err := d.tellChanges(ctx, job, some)
			left = left || !told
			if err != nil {
				failures = append(failures, fmt.Errorf("telling changes of job %s: %w", job, err))
				break
			}
		}
	}
	err = errors.Join(failures...)
	d.State.ChangesListed(now, left || err != nil)
	return err
}

// tellChanges tells some changes of a job. told is false if they must be told again.
func (d *Deliver) tellChanges(ctx context.Context, job string, some []state.Change) (told bool, err error) {
	changes := make([]importer.Change, len(some))
	for i, c := range some {
		changes[i] = importer.Change{ID: c.PostID, At: c.At, Type: importer.Update}
	}
	err = d.Changes.Changed(ctx, job, changes)
	var refused *importer.RefusedError
	switch {
	case err == nil:
		d.Log.InfoContext(ctx, "the Import service is told of posts that X no longer gives, or gives again", "job", job, "posts", len(some))
	case errors.As(err, &refused):
		d.Log.ErrorContext(ctx, "the Import service refuses for good to be told of posts that X no longer gives; the notes beside their messages stand", "job", job, "posts", len(some), "error", err.Error())
	case ctx.Err() != nil:
		return false, nil
	default:
		for _, c := range some {
			c.Tries++
			c.Next = d.Now().Add(min(changePause<<min(c.Tries, 8), changeLongest)).UTC()
			if c.Tries < changesGivenUp {
				if err := d.State.KeepChange(ctx, job, c); err != nil {
					return false, err
				}
				continue
			}
			if err := d.State.RemoveChange(ctx, job, c); err != nil {
				return false, err
			}
		}
		d.Log.WarnContext(ctx, "the Import service could not be told of posts that X no longer gives; it is tried again", "job", job, "posts", len(some), "error", err.Error())
		return false, nil
	}
	for _, c := range some {
		if err := d.State.RemoveChange(ctx, job, c); err != nil {
			return false, err
		}
	}
	return true, nil
}
