package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"xarchive/tests/sandbox"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/emersion/go-message/mail"
)

// report is build/demo/report.json.
type report struct {
	Posts      int     `json:"posts"`      // archived
	Messages   int     `json:"messages"`   // .eml files
	Items      int     `json:"items"`      // at the Import service
	Media      int     `json:"media"`      // files in the messages
	XRequests  int     `json:"xRequests"`  // to the X API, media not counted
	XPostReads int     `json:"xPostReads"` // posts that X bills: each once a day
	Events     []event `json:"events"`     // completion events, in the order they came

	kinds      map[string]int
	archived   map[string]bool // post ids
	bytes      int64           // of messages
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
func collect(ctx context.Context, s *sandbox.Sandbox, jobs map[string]string, dir string) (*report, error) {
	r := &report{kinds: map[string]int{}, archived: map[string]bool{}, Events: []event{}}
	if err := r.messages(ctx, s, filepath.Join(dir, "mail")); err != nil {
		return nil, err
	}
	for _, job := range jobs {
		names, err := s.Import.SaveItems(ctx, job, taskID, filepath.Join(dir, "items"))
		if err != nil {
			return nil, err
		}
		r.Items += len(names)
	}
	for _, e := range s.Import.Events() {
		r.Events = append(r.Events, event{e.JobID, e.TaskID, e.Status, len(e.Items)})
	}
	stats := s.X.Stats()
	r.XRequests, r.XPostReads = stats.Requests, stats.BilledReads
	return r, r.save(filepath.Join(dir, "report.json"))
}

func (r *report) messages(ctx context.Context, s *sandbox.Sandbox, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	c, err := archiveContainer(s)
	if err != nil {
		return err
	}
	pager := c.NewListBlobsFlatPager(nil)
	for pager.More() {
		page, err := pager.NextPage(ctx)
		if bloberror.HasCode(err, bloberror.ContainerNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("listing the archive: %w", err)
		}
		for _, b := range page.Segment.BlobItems {
			key, ok := messageKey(*b.Name)
			if !ok {
				continue
			}
			if !strings.Contains(key, ".") {
				r.Posts++
			}
			if err := r.message(ctx, c, *b.Name, dir); err != nil {
				return fmt.Errorf("%s: %w", *b.Name, err)
			}
		}
	}
	return nil
}

// message copies one message and counts it and its media.
func (r *report) message(ctx context.Context, c *container.Client, name, dir string) error {
	blob, err := c.NewBlobClient(name).DownloadStream(ctx, nil)
	if err != nil {
		return err
	}
	defer blob.Body.Close()
	file, err := os.Create(filepath.Join(dir, path.Base(name)))
	if err != nil {
		return err
	}
	defer file.Close()
	counted := &counter{}
	eml := io.TeeReader(blob.Body, io.MultiWriter(file, counted))
	if err := r.count(eml); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, eml); err != nil {
		return err
	}
	r.Messages++
	r.bytes += counted.n
	return file.Close()
}

func (r *report) count(eml io.Reader) error {
	m, err := mail.CreateReader(eml)
	if err != nil {
		return err
	}
	id := m.Header.Get("X-Twitter-Post-ID")
	if !r.archived[id] { // a post may have a second message
		r.kinds[m.Header.Get("X-Twitter-Kind")]++
	}
	r.archived[id] = true
	for fields := m.Header.FieldsByKey("X-Twitter-Media-Missing"); fields.Next(); {
		r.missing++
	}
	for {
		part, err := m.NextPart()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		header, ok := part.Header.(*mail.AttachmentHeader)
		if picture, inline := part.Header.(*mail.InlineHeader); inline {
			header, ok = &mail.AttachmentHeader{Header: picture.Header}, picture.Has("Content-Id")
		}
		if !ok {
			continue
		}
		n, err := io.Copy(io.Discard, part.Body)
		if err != nil {
			return err
		}
		if name, _ := header.Filename(); name != "post.json" {
			r.Media++
			r.mediaBytes += n
		}
	}
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) { c.n += int64(len(p)); return len(p), nil }

func (r *report) save(path string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// complete tells whether every post of the corpus was archived and delivered.
func (r *report) complete(s *sandbox.Sandbox, jobs map[string]string) error {
	var errs []error
	for account, job := range jobs {
		var missing []string
		posts := s.Corpus.All(account)
		for _, p := range posts {
			if !r.archived[p.ID] {
				missing = append(missing, p.ID)
			}
		}
		if len(missing) > 0 {
			errs = append(errs, fmt.Errorf("account %s: %d posts are not archived: %s", account, len(missing), strings.Join(missing[:min(len(missing), 10)], ", ")))
		}
		for _, e := range r.Events {
			if e.JobID == job && (e.Status != 0 || e.Items < len(posts)) {
				errs = append(errs, fmt.Errorf("%s ended with status %d and %d items for %d posts", job, e.Status, e.Items, len(posts)))
			}
		}
	}
	for _, v := range s.Import.Violations() {
		errs = append(errs, fmt.Errorf("the Import service refused: %s", v))
	}
	return errors.Join(errs...)
}

// print shows the report as a table.
func (r *report) print(w io.Writer, dir string, took time.Duration) {
	line := func(name, value string) { fmt.Fprintf(w, "  %-24s %s\n", name, value) }
	fmt.Fprintf(w, "\n  Archived and delivered\n  %s\n", strings.Repeat("─", 46))
	kinds := []string{"Tweet", "Reply", "Retweet", "Quote"}
	slices.SortStableFunc(kinds, func(a, b string) int { return r.kinds[b] - r.kinds[a] })
	line("Posts", fmt.Sprint(r.Posts))
	for _, k := range kinds {
		line("  "+k, fmt.Sprint(r.kinds[k]))
	}
	line("Messages", fmt.Sprintf("%d (%s)", r.Messages, size(r.bytes)))
	media := fmt.Sprintf("%d (%s)", r.Media, size(r.mediaBytes))
	if r.missing > 0 {
		media += fmt.Sprintf(", %d that X no longer has", r.missing)
	}
	line("Media files", media)
	line("Import items", fmt.Sprint(r.Items))
	for _, e := range r.Events {
		line("  "+e.JobID, fmt.Sprintf("status %d, %d items", e.Status, e.Items))
	}
	line("X API requests", fmt.Sprint(r.XRequests))
	line("X post reads (billed)", fmt.Sprint(r.XPostReads))
	line("Time", took.Round(100*time.Millisecond).String())
	fmt.Fprintf(w, "\n  Messages: %s/mail   items: %s/items   figures: %s/report.json\n", dir, dir, dir)
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
