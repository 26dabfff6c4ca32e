package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// part is something that is measured, with a connector of its own.
type part struct {
	name    string
	measure func(ctx context.Context, app string) ([]figure, error)
}

// parts are what is measured, in the order of the table.
var parts = []part{
	{"idle ticks", func(ctx context.Context, app string) ([]figure, error) {
		return idle(ctx, app, ticks{1, 50}, ticks{100, 10}, ticks{1000, 5})
	}},
	{"1,000 text posts", func(ctx context.Context, app string) ([]figure, error) {
		return whole(ctx, app, "1,000 text posts", posts{accounts: 1, each: 1000})
	}},
	{"20,000 text posts", history},
	{"1,000 photos", func(ctx context.Context, app string) ([]figure, error) {
		return whole(ctx, app, "1,000 posts with a photo of 100 KB", posts{accounts: 1, each: 1000, media: "photo%d.jpg", mediaSize: 100_000})
	}},
	{"40 videos of 12 MB", func(ctx context.Context, app string) ([]figure, error) {
		return whole(ctx, app, "40 posts with a video of 12 MB", posts{accounts: 1, each: 40, media: "clip%d.mp4", mediaSize: 12_000_000})
	}},
	{"4 times 40 videos", func(ctx context.Context, app string) ([]figure, error) { // as much at once as there ever is
		return whole(ctx, app, "4 accounts with 40 such posts each", posts{accounts: 4, each: 40, media: "clip%d.mp4", mediaSize: 12_000_000})
	}},
	{"a video of 512 MiB", func(ctx context.Context, app string) ([]figure, error) { // the longest that X takes
		return whole(ctx, app, "a video of 512 MiB", posts{accounts: 1, each: 1, media: "video%d.mp4", mediaSize: 512 << 20})
	}},
}

// figure is a line of the table.
type figure struct {
	what string
	unit string // of what the figures besides the peak are
	spent
	each int // by which they are divided
}

// with runs do in a world with the posts.
func with(ctx context.Context, app string, p posts, do func(*world) error) (err error) {
	w, err := newWorld(ctx, app, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	return do(w)
}

// ticks are so many ticks with so many jobs.
type ticks struct{ jobs, ticks int }

// idle measures ticks in which no account has news and there is no task. sizes are in
// ascending order.
func idle(ctx context.Context, app string, sizes ...ticks) (out []figure, err error) {
	most := sizes[len(sizes)-1].jobs
	err = with(ctx, app, posts{accounts: most, each: 1}, func(w *world) error {
		jobs := 0
		for _, size := range sizes {
			if err := w.connect(ctx, jobs, size.jobs); err != nil {
				return err
			}
			jobs = size.jobs
			if err := w.ticks(ctx, 2); err != nil { // archive the posts, and see that all is quiet
				return err
			}
			if n := w.archived(); n != size.jobs {
				return fmt.Errorf("%d posts are archived, expected %d", n, size.jobs)
			}
			s, err := w.measured(func() error { return w.ticks(ctx, size.ticks) })
			if err != nil {
				return err
			}
			out = append(out, figure{fmt.Sprintf("idle, %s", counted(size.jobs, "job")), "tick", s, size.ticks})
		}
		return nil
	})
	return out, err
}

// whole measures posts on their whole way: into the archive in one tick, and to the
// Import service in the next.
func whole(ctx context.Context, app, what string, p posts) (out []figure, err error) {
	err = with(ctx, app, p, func(w *world) error {
		if err := w.connect(ctx, 0, p.accounts); err != nil {
			return err
		}
		captured, err := w.capture(ctx, what, p)
		if err != nil {
			return err
		}
		delivered, err := w.delivered(ctx, what, p)
		out = []figure{captured, delivered}
		return err
	})
	return out, err
}

// capture makes a tick, in which all posts that X shows must be archived.
func (w *world) capture(ctx context.Context, what string, p posts) (figure, error) {
	s, err := w.measured(func() error { return w.tick(ctx) })
	if err == nil {
		err = w.complete(p)
	}
	return figure{"capture, " + what, "post", s, p.count()}, err
}

// complete checks that all posts are archived, with their media.
func (w *world) complete(p posts) error {
	if n := w.archived(); n != p.count() {
		return fmt.Errorf("%d posts are archived, expected %d", n, p.count())
	}
	var size int64
	for _, name := range w.ours.Names("archive") {
		b, _ := w.ours.Get("archive", name)
		size += int64(len(b.Content))
	}
	if least := int64(p.count()) * p.mediaSize * 4 / 3; size < least {
		return fmt.Errorf("the archive has %d bytes, expected %d at least: media are missing", size, least)
	}
	return nil
}

// history measures an account that has posted more than X's timelines reach back, and
// a task that asks for all of it.
func history(ctx context.Context, app string) (out []figure, err error) {
	const stage = 3000
	p := posts{accounts: 1, each: 20_000}
	err = with(ctx, app, p, func(w *world) error {
		account := accountID(0)
		if err := w.connect(ctx, 0, 1); err != nil {
			return err
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
			return err
		}
		delivered, err := w.delivered(ctx, "20,000 text posts", p)
		out = []figure{{"capture, 20,000 text posts in 7 ticks", "post", s, p.each}, delivered}
		return err
	})
	return out, err
}

// delivered measures a tick that delivers tasks which ask for all posts.
func (w *world) delivered(ctx context.Context, what string, p posts) (figure, error) {
	for n := range p.accounts {
		if err := w.request(ctx, jobID(n)); err != nil {
			return figure{}, err
		}
	}
	s, err := w.measured(func() error { return w.tick(ctx) })
	for n := range p.accounts {
		if err == nil {
			err = w.told(jobID(n), p.each)
		}
	}
	return figure{"deliver, " + what, "item", s, p.count()}, err
}

// per divides by how many there were.
func (f figure) per(n float64) float64 { return n / float64(f.each) }

// milliseconds of CPU, for one.
func (f figure) milliseconds() float64 { return f.per(float64(f.cpu) / float64(time.Millisecond)) }
