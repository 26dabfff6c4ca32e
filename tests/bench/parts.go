package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"xarchive/tests/sandbox/blobs"
)

// part is something that is measured, with a connector of its own.
type part struct {
	name    string
	measure func(ctx context.Context, app string) ([]figure, error)
}

// parts are what is measured, in the order of the table.
var parts = []part{
	{"idle ticks", idle},
	{"1,000 text posts", func(ctx context.Context, app string) ([]figure, error) {
		return captured(ctx, app, "1,000 text posts", posts{accounts: 1, each: 1000})
	}},
	{"20,000 text posts", history},
	{"1,000 photos", func(ctx context.Context, app string) ([]figure, error) {
		return captured(ctx, app, "1,000 posts with a photo of 100 KB", posts{accounts: 1, each: 1000, media: "photo%d.jpg", mediaSize: 100_000})
	}},
	{"40 media files of 12 MB", func(ctx context.Context, app string) ([]figure, error) {
		return captured(ctx, app, "40 posts with a video of 12 MB", posts{accounts: 1, each: 40, media: "clip%d.mp4", mediaSize: 12_000_000})
	}},
	{"a video of 512 MiB", video},
}

// figure is a line of the table.
type figure struct {
	what string
	unit string // of what the figures besides the peak are
	spent
	each int // by which they are divided
}

// with runs do in a world with the posts.
func with(ctx context.Context, app string, p posts, do func(*world) ([]figure, error)) (out []figure, err error) {
	w, err := newWorld(ctx, app, p)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	return do(w)
}

// idle measures ticks in which no account has news and there is no task.
func idle(ctx context.Context, app string) ([]figure, error) {
	const most = 1000
	return with(ctx, app, posts{accounts: most, each: 1}, func(w *world) (out []figure, err error) {
		jobs := 0
		for _, size := range []struct{ jobs, ticks int }{{1, 50}, {100, 10}, {most, 5}} {
			for ; jobs < size.jobs; jobs++ {
				if err := w.Connect(ctx, fmt.Sprintf("job-%d", jobs), accountID(jobs)); err != nil {
					return nil, err
				}
			}
			ticks := func(n int) error {
				for range n {
					if err := w.tick(ctx); err != nil {
						return err
					}
				}
				return nil
			}
			if err := ticks(2); err != nil { // archive the post, and see that all is quiet
				return nil, err
			}
			if n := w.archived(); n != size.jobs {
				return nil, fmt.Errorf("%d posts are archived, expected %d", n, size.jobs)
			}
			s, err := w.measured(func() error { return ticks(size.ticks) })
			if err != nil {
				return nil, err
			}
			out = append(out, figure{fmt.Sprintf("idle, %s", counted(size.jobs, "job")), "tick", s, size.ticks})
		}
		return out, nil
	})
}

const job = "job-1"

// captured measures bringing an account's posts into the archive, in one tick.
func captured(ctx context.Context, app, what string, p posts) ([]figure, error) {
	return with(ctx, app, p, func(w *world) ([]figure, error) {
		if err := w.Connect(ctx, job, accountID(0)); err != nil {
			return nil, err
		}
		f, err := w.capture(ctx, what, p)
		return []figure{f}, err
	})
}

// capture makes a tick, in which all posts that X shows must be archived.
func (w *world) capture(ctx context.Context, what string, p posts) (figure, error) {
	s, err := w.measured(func() error { return w.tick(ctx) })
	if err == nil {
		err = w.complete(p)
	}
	return figure{"capture, " + what, "post", s, p.each}, err
}

// complete checks that all posts are archived, with their media.
func (w *world) complete(p posts) error {
	if n := w.archived(); n != p.each {
		return fmt.Errorf("%d posts are archived, expected %d", n, p.each)
	}
	var size int64
	for _, name := range w.ours.Names("archive") {
		b, _ := w.ours.Get("archive", name)
		size += int64(len(b.Content))
	}
	if least := int64(p.each) * p.mediaSize * 4 / 3; size < least {
		return fmt.Errorf("the archive has %d bytes, expected %d at least: media are missing", size, least)
	}
	return nil
}

// history measures an account that has posted more than X's timelines reach back, and
// a task that asks for all of it.
func history(ctx context.Context, app string) ([]figure, error) {
	const stage = 3000
	p := posts{accounts: 1, each: 20_000}
	return with(ctx, app, p, func(w *world) ([]figure, error) {
		account := accountID(0)
		if err := w.Connect(ctx, job, account); err != nil {
			return nil, err
		}
		all := w.Corpus.Posts(account) // newest first
		s, err := w.measured(func() error {
			for n := stage; n < p.each+stage; n += stage {
				w.X.Until(account, all[max(0, len(all)-n)].ID)
				if err := w.tick(ctx); err != nil {
					return err
				}
			}
			return w.complete(p)
		})
		if err != nil {
			return nil, err
		}
		captured := figure{"capture, 20,000 text posts in 7 ticks", "post", s, p.each}
		delivered, err := w.delivered(ctx, "20,000 items", p.each)
		return []figure{captured, delivered}, err
	})
}

// video measures the longest video that X takes, on its whole way.
func video(ctx context.Context, app string) ([]figure, error) {
	p := posts{accounts: 1, each: 1, media: "video%d.mp4", mediaSize: 512 << 20}
	return with(ctx, app, p, func(w *world) ([]figure, error) {
		if err := w.Connect(ctx, job, accountID(0)); err != nil {
			return nil, err
		}
		captured, err := w.capture(ctx, "a video of 512 MiB", p)
		if err != nil {
			return nil, err
		}
		delivered, err := w.delivered(ctx, "a video of 512 MiB", 1)
		return []figure{captured, delivered}, err
	})
}

// delivered measures a task that asks for all items.
func (w *world) delivered(ctx context.Context, what string, items int) (figure, error) {
	s, err := w.measured(func() error { return w.deliver(ctx, job, items) })
	return figure{"deliver, " + what, "item", s, items}, err
}

// all is the number of calls to both storage accounts.
func (s spent) calls() int { return s.ours.All() + s.theirs.All() }

func (s spent) writes() int { return s.ours.Write + s.theirs.Write }

func (s spent) bytes() int64 {
	sum := func(c blobs.Counts) int64 { return c.BytesIn + c.BytesOut }
	return sum(s.ours) + sum(s.theirs)
}

// per divides by how many there were.
func (f figure) per(n float64) float64 { return n / float64(f.each) }

// milliseconds of CPU, for one.
func (f figure) milliseconds() float64 { return f.per(float64(f.cpu) / float64(time.Millisecond)) }
