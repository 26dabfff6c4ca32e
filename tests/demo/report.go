package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/message"
	"xarchive/handler/internal/post"
	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/importservice"
)

// report is build/demo/report.json.
type report struct {
	Posts      int     `json:"posts"`      // archived
	Messages   int     `json:"messages"`   // .eml files
	Items      int     `json:"items"`      // at the Import service
	Media      int     `json:"media"`      // files in the messages
	XRequests  int     `json:"xRequests"`  // to the X API, media not counted
	XPostReads int     `json:"xPostReads"` // posts that X would bill
	Events     []event `json:"events"`     // completion events, in the order they came

	kinds      map[post.Kind]int
	bytes      int64 // of messages
	mediaBytes int64
	missing    int // media that X no longer has
}

type event struct {
	JobID  string `json:"jobId"`
	TaskID string `json:"taskId"`
	Status int    `json:"status"`
	Items  int    `json:"items"`
}

// collect copies what was archived and delivered below dir, and counts it. It
// reads the storage itself, not what the connector says of it.
func collect(ctx context.Context, s *sandbox.Sandbox, tasks []importservice.Task, dir string) (*report, error) {
	r := &report{kinds: map[post.Kind]int{}}
	if err := r.messages(ctx, s, filepath.Join(dir, "mail")); err != nil {
		return nil, err
	}
	items := filepath.Join(dir, "items")
	for _, t := range tasks {
		names, err := s.Import.SaveItems(ctx, t.JobID, t.TaskID, items)
		if err != nil {
			return nil, err
		}
		r.Items += len(names)
	}
	for _, e := range s.Import.Events() {
		r.Events = append(r.Events, event{e.JobID, e.TaskID, e.Status, len(e.Items)})
	}
	stats := s.X.Stats()
	r.XRequests, r.XPostReads = stats.Requests, stats.PostReads
	return r, r.save(filepath.Join(dir, "report.json"))
}

func (r *report) messages(ctx context.Context, s *sandbox.Sandbox, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	a := archive.New(s.Storage().Container("archive"))
	for _, account := range s.Corpus.Accounts() {
		entries, err := a.List(ctx, account, time.Time{}, time.Now().AddDate(100, 0, 0))
		if err != nil {
			return err
		}
		for _, e := range entries {
			r.Posts++
			r.kinds[e.Kind]++
			r.bytes += e.Size
			if err := r.message(ctx, a, e, filepath.Join(dir, e.PostID+".eml")); err != nil {
				return fmt.Errorf("%s: %w", e.Name, err)
			}
			r.Messages++
		}
	}
	return nil
}

// message copies one message and counts its media.
func (r *report) message(ctx context.Context, a *archive.Archive, e archive.Entry, path string) error {
	blob, err := a.Open(ctx, e)
	if err != nil {
		return err
	}
	defer blob.Close()
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	eml := io.TeeReader(blob, file)
	m, err := message.Read(eml)
	if err != nil {
		return err
	}
	r.missing += len(m.Missing)
	for {
		part, err := m.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, part.Body)
		if err != nil {
			return err
		}
		r.Media++
		r.mediaBytes += n
	}
	if _, err := io.Copy(io.Discard, eml); err != nil {
		return err
	}
	return file.Close()
}

func (r *report) save(path string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// print shows the report as a table.
func (r *report) print(w io.Writer, took time.Duration) {
	line := func(name, value string) { fmt.Fprintf(w, "  %-22s %s\n", name, value) }
	fmt.Fprintf(w, "\n  Archived and delivered\n  %s\n", "──────────────────────────────────────────")
	kinds := post.Kinds()
	slices.SortStableFunc(kinds, func(a, b post.Kind) int { return r.kinds[b] - r.kinds[a] })
	line("Posts", fmt.Sprint(r.Posts))
	for _, k := range kinds {
		line("  "+string(k), fmt.Sprint(r.kinds[k]))
	}
	line("Messages", fmt.Sprintf("%d (%s)", r.Messages, size(r.bytes)))
	media := fmt.Sprintf("%d (%s)", r.Media, size(r.mediaBytes))
	if r.missing > 0 {
		media += fmt.Sprintf(", %d that X no longer has", r.missing)
	}
	line("Media files", media)
	line("Import items", fmt.Sprint(r.Items))
	for _, e := range r.Events {
		line("  task "+e.TaskID, fmt.Sprintf("status %d, %d items", e.Status, e.Items))
	}
	line("X API requests", fmt.Sprint(r.XRequests))
	line("X post reads (billed)", fmt.Sprint(r.XPostReads))
	line("Time", took.Round(100*time.Millisecond).String())
}

func size(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d bytes", n)
}
