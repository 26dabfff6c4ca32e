package deliver

import (
	"context"
	"slices"
	"time"

	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/state"
)

const (
	// saveEvery and saveTime are after how many items, and after how long, progress
	// is written down.
	saveEvery = 200
	saveTime  = 5 * time.Second

	// chunkSize is how many items a chunk has at most.
	chunkSize = 500

	// leftNamed is how many of the window's messages that are left are named in the
	// task; more are only counted.
	leftNamed = 100
)

// progress is what an attempt has done and not written down yet.
type progress struct {
	claim *state.TaskClaim

	// settled are the messages that follow the task's position and are uploaded or
	// left, in order, none left out.
	settled  []settled
	written  time.Time // when progress was last written down
	uploaded int       // items that this attempt has uploaded
	made     bool      // this attempt has brought the task further
}

// settled is a message that is uploaded or left.
type settled struct {
	name string      // in the archive
	item *state.Item // nil if it is left
}

func (p *progress) settle(name string, item *state.Item) {
	p.settled = append(p.settled, settled{name, item})
}

// due reports whether progress is to be written down.
func (p *progress) due() bool {
	return len(p.settled) >= saveEvery || time.Since(p.written) >= saveTime
}

// flush moves what is settled into the task, and the items of its window into
// chunks. The task is not saved.
func (p *progress) flush(ctx context.Context) error {
	t := &p.claim.Task
	for len(p.settled) > 0 {
		some := p.settled[:min(len(p.settled), chunkSize)]
		var items []state.Item
		for _, s := range some {
			if s.item != nil {
				items = append(items, *s.item)
			}
		}
		if t.Extra {
			t.ExtraDone += len(some) // their chunk is there already
		} else {
			if len(items) > 0 {
				if err := p.claim.PutItems(ctx, t.Chunks, items); err != nil {
					return err
				}
				t.Chunks++
			}
			t.Position = some[len(some)-1].name
		}
		t.Uploads += len(items)
		p.settled = p.settled[len(some):]
	}
	return nil
}

// save writes everything down.
func (p *progress) save(ctx context.Context) error {
	if err := p.flush(ctx); err != nil {
		return err
	}
	if err := p.claim.Save(ctx); err != nil {
		return err
	}
	p.written = time.Now()
	return nil
}

// partial returns what is noted of an item on which an earlier attempt ended.
func (p *progress) partial(key string) state.Partial {
	for _, x := range p.claim.Task.Partials {
		if x.Key == key {
			return x
		}
	}
	return state.Partial{Key: key}
}

// setPartial notes an item on which an attempt ends, or may end.
func (p *progress) setPartial(key string, staged blob.Staged, tries int) {
	p.dropPartial(key)
	if staged.Blocks > 0 || tries > 0 {
		p.claim.Task.Partials = append(p.claim.Task.Partials, state.Partial{Key: key, Staged: staged, Tries: tries})
	}
}

func (p *progress) dropPartial(key string) {
	p.claim.Task.Partials = slices.DeleteFunc(p.claim.Task.Partials, func(x state.Partial) bool { return x.Key == key })
}

// leave notes a message of which nothing can be delivered. It reports whether that
// is new and named.
func (p *progress) leave(key string, problem *state.Problem) bool {
	t := &p.claim.Task
	p.dropPartial(key)
	if isLeft(*t, key) {
		return false
	}
	if len(t.Left) >= leftNamed && !t.Extra {
		t.LeftMore++
		return false
	}
	t.Left = append(t.Left, state.Left{Key: key, Problem: *problem})
	return true
}

func isLeft(t state.Task, key string) bool {
	return slices.ContainsFunc(t.Left, func(l state.Left) bool { return l.Key == key })
}
