package export

import (
	"bufio"
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"time"

	"xarchive/handler/internal/post"
)

// Names of the files that say what an export is.
const (
	manifestCSV   = "manifest.csv"
	manifestJSONL = "manifest.jsonl"
	reportName    = "export.json"
)

// item is a line of the manifest: a message, or one that is left out.
type item struct {
	Path    string    `json:"path"` // below DEST, with slashes; "" in an mbox and if left out
	Account string    `json:"account"`
	PostID  string    `json:"postId"`
	Kind    post.Kind `json:"kind"`
	Posted  string    `json:"posted"` // RFC 3339, UTC
	Size    int64     `json:"size"`   // bytes, as archived
	SHA256  string    `json:"sha256"` // hex, of the bytes as archived
	Source  string    `json:"source"` // name of the blob in the archive
	Offset  *int64    `json:"offset,omitempty"`
	LeftOut string    `json:"leftOut,omitempty"` // why it is not in DEST
}

var manifestHeader = []string{"path", "account", "post_id", "kind", "posted", "size", "sha256", "source", "offset", "left_out"}

func (i item) csv() []string {
	offset := ""
	if i.Offset != nil {
		offset = strconv.FormatInt(*i.Offset, 10)
	}
	return []string{i.Path, i.Account, i.PostID, string(i.Kind), i.Posted, strconv.FormatInt(i.Size, 10), i.SHA256, i.Source, offset, i.LeftOut}
}

// item is the manifest's line of a record. An mbox has no paths, but offsets of the
// lines "From " in bytes.
func (q Query) item(r record) item {
	i := item{Path: r.Path, Account: cmp.Or(r.Account, q.Account), PostID: r.PostID, Kind: r.Kind, Size: r.Size, SHA256: r.SHA256, Source: r.Source, LeftOut: r.LeftOut}
	if !r.Posted.IsZero() {
		i.Posted = r.Posted.UTC().Format(time.RFC3339)
	}
	if q.Format == Mbox && r.LeftOut == "" {
		i.Offset = &r.Start
	}
	return i
}

// writeManifest writes the manifest in both forms from the journal.
func writeManifest(p place, q Query, j *journal) (err error) {
	table, err := os.OpenFile(p.part(manifestCSV), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, table.Close()) }()
	lines, err := os.OpenFile(p.part(manifestJSONL), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lines.Close()) }()

	rows, out := csv.NewWriter(table), bufio.NewWriter(lines)
	encoder := json.NewEncoder(out)
	if err := rows.Write(manifestHeader); err != nil {
		return err
	}
	err = j.each(func(r record) error {
		if r.NoMatch {
			return nil
		}
		i := q.item(r)
		return errors.Join(rows.Write(i.csv()), encoder.Encode(i))
	})
	rows.Flush()
	return errors.Join(err, rows.Error(), out.Flush())
}

// report is export.json.
type report struct {
	V        int       `json:"v"`       // version of the form, 1
	Version  string    `json:"version"` // of the connector
	Query    Query     `json:"query"`
	Finished time.Time `json:"finished"` // UTC
	Messages int       `json:"messages"`
	Bytes    int64     `json:"bytes"`
	LeftOut  int       `json:"leftOut"`
}

// finish writes what is beside the messages, completes the target, and removes
// DEST.part.
func (r *run) finish(ctx context.Context) error {
	if err := writeManifest(r.place, r.Query, r.journal); err != nil {
		return err
	}
	data, err := json.MarshalIndent(report{V: 1, Version: r.Version, Query: r.Query, Finished: r.Now().UTC().Truncate(time.Second),
		Messages: r.status.Messages, Bytes: r.status.Bytes, LeftOut: r.status.LeftOut}, "", "  ")
	if err != nil {
		return err
	}
	if err := writeFile(r.place.part(reportName), append(data, '\n')); err != nil {
		return err
	}
	if r.Query.Format != Zip {
		for _, name := range []string{manifestCSV, manifestJSONL, reportName} {
			if err := os.Rename(r.place.part(name), r.place.beside(name)); err != nil {
				return err
			}
		}
	}
	if err := r.target.finish(ctx, r.journal); err != nil {
		return err
	}
	r.journal.close() // some systems do not remove open files
	return os.RemoveAll(r.place.part(""))
}
