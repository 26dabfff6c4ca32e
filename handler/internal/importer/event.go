package importer

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/url"
	"time"
)

// Status is a task's outcome in the event API.
type Status int

const (
	Success          Status = 0
	TemporaryFailure Status = 1
	PermanentFailure Status = 2
)

// Completion says how a task ended.
type Completion struct {
	TaskID string
	Status Status
	// Items yields the items of the task's container, oldest first: the caller
	// must order them. nil means none.
	//
	// The event is written while Items yields and is never held in memory. Items
	// must be repeatable, with the same result: after a refused token the event
	// is sent a second time. An error that Items yields ends the request, so that
	// the service never receives a whole event, and is returned as it is. Items
	// must come to an end soon after the context of Complete is done.
	Items iter.Seq2[ItemMetadata, error]
}

// ItemMetadata is one item of a task's container.
type ItemMetadata struct {
	ID       string
	Modified time.Time // sent in UTC, to the millisecond
	FileName string    // in the task's folder, without a path; see FileName
}

// Complete tells the Import service that a task has ended. It returns nil only if
// the service took the event (2xx).
//
// Errors: an error of Items as it is; an error of Secrets as it is; [ErrNotTaken]
// (and its kinds [ErrSignIn] and [ErrUnauthorized]) if a later try may succeed;
// [ErrRefused], as a [*RefusedError], if the service will never take the event.
// If ctx ended, it is the cause of that.
func (e *Events) Complete(ctx context.Context, jobID string, c Completion) error {
	err := e.send(ctx, e.address("/api/data/ondownloadcomplete/", jobID), func(w io.Writer) error { return writeCompletion(w, c) })
	if err != nil {
		return fmt.Errorf("sending the completion of task %s: %w", c.TaskID, err)
	}
	return nil
}

// Update is the ChangeType of an item that may look otherwise at its source by now. The
// Import service's documents name no types; this is the one that Microsoft's sample
// connector sends, whatever the change. It has the item asked for again, with the next
// task; a type that says "deleted" might have a mailbox forget what it is to keep.
const Update = "update"

// Change is a change of an item outside of any task.
type Change struct {
	ID   string    // of the item
	At   time.Time // sent in UTC, to the millisecond
	Type string    // Update
}

// Changed tells the Import service that items have changed at their source. At least one
// must be told. Errors are those of Complete.
func (e *Events) Changed(ctx context.Context, jobID string, changes []Change) error {
	err := e.send(ctx, e.address("/api/event/nativeconnector/", jobID), func(w io.Writer) error { return writeChanges(w, changes) })
	if err != nil {
		return fmt.Errorf("sending %d changes: %w", len(changes), err)
	}
	return nil
}

// writeChanges writes
//
//	{"entry":[{"Id":"…","TimeStamp":"…","ChangeType":"…"}]}
func writeChanges(w io.Writer, changes []Change) error {
	if _, err := io.WriteString(w, `{"entry":[`); err != nil {
		return err
	}
	separator := ""
	for _, c := range changes {
		if err := writeElement(w, separator, wireChange{c.ID, formatTime(c.At), c.Type}); err != nil {
			return err
		}
		separator = ","
	}
	_, err := io.WriteString(w, "]}")
	return err
}

type wireChange struct {
	ID   string `json:"Id"`
	At   string `json:"TimeStamp"`
	Type string `json:"ChangeType"`
}

func (e *Events) address(path, jobID string) string {
	return e.options.BaseURL + path + "?" + url.Values{"jobId": {jobID}}.Encode()
}

// writeCompletion writes
//
//	{"taskId":"…","status":0,"itemMetadata":[{"id":"…","modificationTimestampUtc":"…","fileName":"…"}]}
func writeCompletion(w io.Writer, c Completion) error {
	id, err := json.Marshal(c.TaskID)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, `{"taskId":%s,"status":%d,"itemMetadata":[`, id, c.Status); err != nil {
		return err
	}
	if c.Items != nil {
		separator := ""
		for item, err := range c.Items {
			if err != nil {
				return err
			}
			if err := writeElement(w, separator, wireItem{item.ID, formatTime(item.Modified), item.FileName}); err != nil {
				return err
			}
			separator = ","
		}
	}
	_, err = io.WriteString(w, "]}")
	return err
}

type wireItem struct {
	ID       string `json:"id"`
	Modified string `json:"modificationTimestampUtc"`
	FileName string `json:"fileName"`
}

// writeElement writes an element of a list.
func writeElement(w io.Writer, separator string, element any) error {
	if _, err := io.WriteString(w, separator); err != nil {
		return err
	}
	text, err := json.Marshal(element)
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}
