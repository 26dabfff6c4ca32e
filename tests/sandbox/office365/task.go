package office365

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
)

// Task is what the Compliance Center asks the connector for.
type Task struct {
	JobID, TaskID string
	Start, End    time.Time
	Dirty         []string      // ids of posts; nil is null
	Life          time.Duration // of the SAS; 0 is a day, below 0 it has run out
}

func key(jobID, taskID string) string { return jobID + "/" + taskID }

// container is the name of the task's container; the same for the same task.
func (t Task) container() string {
	sum := sha256.Sum256([]byte(key(t.JobID, t.TaskID)))
	return "task-" + hex.EncodeToString(sum[:8])
}

// SAS makes the task's container, if it is not there, and a URL that lets its owner
// write into it, no more.
func (s *Service) SAS(ctx context.Context, t Task) (string, error) {
	client := s.storage.ServiceClient().NewContainerClient(t.container())
	if _, err := client.Create(ctx, nil); err != nil && !bloberror.HasCode(err, bloberror.ContainerAlreadyExists) {
		return "", fmt.Errorf("making the container of task %s: %w", t.TaskID, err)
	}
	life := t.Life
	if life == 0 {
		life = 24 * time.Hour
	}
	address, err := client.GetSASURL(sas.ContainerPermissions{Write: true, Create: true}, time.Now().Add(life), nil)
	if err != nil {
		return "", fmt.Errorf("signing for the container of task %s: %w", t.TaskID, err)
	}
	return address, nil
}

// Request asks the connector for a task (POST /data/OnDownloadRequest). status and
// body are the connector's answer.
func (s *Service) Request(ctx context.Context, t Task) (status int, body string, err error) {
	address, err := s.SAS(ctx, t)
	if err != nil {
		return 0, "", err
	}
	s.mu.Lock()
	s.tasks[key(t.JobID, t.TaskID)] = t
	s.mu.Unlock()
	return s.call(ctx, http.MethodPost, "/data/OnDownloadRequest", nil, struct {
		JobID         string `json:"JobId"`
		TaskID        string `json:"TaskId"`
		StartTime     string
		EndTime       string
		DirtyEntities []string
		BlobSasURI    string `json:"BlobSasUri"`
	}{t.JobID, t.TaskID, t.Start.UTC().Format(dotNetTime), t.End.UTC().Format(dotNetTime), t.Dirty, address})
}

// dotNetTime is a DateTime as .NET writes it, in UTC.
const dotNetTime = "2006-01-02T15:04:05.0000000Z"

// Items reads the items in a task's folder, by file name. Each must be an item as
// CheckItem wants it.
func (s *Service) Items(ctx context.Context, jobID, taskID string) (map[string][]byte, error) {
	t := Task{JobID: jobID, TaskID: taskID}
	names, err := s.names(ctx, t)
	if err != nil {
		return nil, err
	}
	items := map[string][]byte{}
	for name := range names {
		answer, err := s.storage.DownloadStream(ctx, t.container(), key(jobID, taskID)+"/"+name, nil)
		if err != nil {
			return nil, fmt.Errorf("reading item %s of task %s: %w", name, taskID, err)
		}
		data, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil {
			return nil, fmt.Errorf("reading item %s of task %s: %w", name, taskID, err)
		}
		if err := CheckItem(data); err != nil {
			return nil, fmt.Errorf("item %s of task %s: %w", name, taskID, err)
		}
		items[name] = data
	}
	return items, nil
}

// SaveItems copies a task's items to <dir>/<jobId>/<taskId>/ and returns their names.
func (s *Service) SaveItems(ctx context.Context, jobID, taskID, dir string) ([]string, error) {
	items, err := s.Items(ctx, jobID, taskID)
	if err != nil {
		return nil, err
	}
	folder := filepath.Join(dir, jobID, taskID)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	for name, data := range items {
		if filepath.Base(name) != name {
			return nil, fmt.Errorf("item %q is not directly in its task's folder", name)
		}
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o644); err != nil {
			return nil, err
		}
	}
	return slices.Sorted(maps.Keys(items)), nil
}

// decode reads a 200 answer of the connector.
func decode[T any](status int, body string, err error) (T, error) {
	var v T
	if err != nil {
		return v, err
	}
	if status != http.StatusOK {
		return v, fmt.Errorf("the connector answers %d %s", status, body)
	}
	if err := strict([]byte(body), &v); err != nil {
		return v, fmt.Errorf("the connector answers %s: %w", body, err)
	}
	return v, nil
}

// wantTrue is nil for the answer `true`.
func wantTrue(status int, body string, err error) error {
	ok, err := decode[bool](status, body, err)
	if err == nil && !ok {
		err = errors.New("the connector answers false")
	}
	return err
}

func encode(v any) ([]byte, error) {
	if v == nil {
		return nil, nil
	}
	return json.Marshal(v)
}
