package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"time"

	"xarchive/handler/internal/state"
)

// downloadRequest is the body of POST /data/OnDownloadRequest.
type downloadRequest struct {
	JobID         string
	TaskID        string
	StartTime     string   // see parseTime
	EndTime       string   // see parseTime
	DirtyEntities []postID // posts to look up again; may be null
	BlobSASURI    string   // URL of the container with its SAS; a secret
}

// onDownloadRequest is POST /data/OnDownloadRequest: what the job's account posted
// in a window of time is to be delivered to a container. It is answered once the
// task is durable. The same task may come again, and is one task.
func (a *API) onDownloadRequest(r *http.Request) (any, error) {
	var in downloadRequest
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	task, err := in.task()
	if err != nil {
		return nil, err
	}
	return nil, a.jobs.AddTask(r.Context(), task)
}

// task is the task that is asked for.
func (in downloadRequest) task() (state.Task, error) {
	task := state.Task{JobID: in.JobID, TaskID: in.TaskID, BlobSASURI: in.BlobSASURI}
	var err error
	if task.Start, err = parseTime("StartTime", in.StartTime); err != nil {
		return state.Task{}, err
	}
	if task.End, err = parseTime("EndTime", in.EndTime); err != nil {
		return state.Task{}, err
	}
	seen := map[postID]bool{}
	for _, id := range in.DirtyEntities {
		if !seen[id] {
			seen[id] = true
			task.Dirty = append(task.Dirty, string(id))
		}
	}
	return task, nil
}

// timeForm is ISO 8601 as .NET writes a DateTime: to the second, with a fraction of
// up to 7 digits or none, and with Z, an offset, or no zone.
var timeForm = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,7})?(Z|[+-]\d{2}:\d{2})?$`)

// parseTime reads a time; without a zone it is UTC. The result is UTC.
func parseTime(name, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, bad("%s is missing.", name)
	}
	form := timeForm.FindStringSubmatch(text)
	if form != nil {
		if form[2] == "" {
			text += "Z"
		}
		t, err := time.Parse(time.RFC3339, text)
		t = t.UTC()
		if err == nil && t.Year() >= 1 && t.Year() <= 9999 { // an offset can lead out of what JSON takes
			return t, nil
		}
	}
	return time.Time{}, bad("%s must be a time like 2026-01-31T13:45:00Z.", name)
}

// postID is the id of a post: decimal digits.
type postID string

var postIDForm = regexp.MustCompile(`^[0-9]{1,20}$`)

var errPostID = errors.New("a post's id is up to 20 digits")

// UnmarshalJSON takes a string of digits, or a number written as digits only.
func (id *postID) UnmarshalJSON(raw []byte) error {
	text := string(raw)
	if bytes.HasPrefix(raw, []byte(`"`)) {
		if err := json.Unmarshal(raw, &text); err != nil {
			return err
		}
	}
	if !postIDForm.MatchString(text) {
		return errPostID
	}
	*id = postID(text)
	return nil
}
