package functionshost

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/google/uuid"
)

// maxAnswer bounds the answer to an invocation, in bytes.
const maxAnswer = 16 << 20

// isoTime is a .NET DateTime of kind UTC in a timer's JSON, and sysTime the
// DateTime of Metadata.sys.
const (
	isoTime = "2006-01-02T15:04:05.9999999-07:00"
	sysTime = "2006-01-02T15:04:05.9999999Z"
)

// envelope is the body of an invocation of the timer function.
// https://learn.microsoft.com/azure/azure-functions/functions-custom-handlers#request-payload
func (t *timer) envelope(now time.Time) []byte {
	type status struct{ Last, Next, LastUpdated string }
	var body struct {
		Data     map[string]any
		Metadata struct {
			Timer string                                        `json:"timer"`
			Sys   struct{ MethodName, UtcNow, RandGuid string } `json:"sys"`
		}
	}
	var value struct {
		Schedule       struct{ AdjustForDST bool }
		ScheduleStatus *status
		IsPastDue      bool
	}
	value.Schedule.AdjustForDST = !t.function.timer.schedule.constant
	if t.function.timer.monitored {
		value.ScheduleStatus = &status{
			Last:        t.status.Last.UTC().Format(isoTime), // before the first run: year 1
			Next:        t.status.Next.UTC().Format(isoTime),
			LastUpdated: t.status.LastUpdated.UTC().Format(isoTime),
		}
	}
	body.Data = map[string]any{t.function.timer.binding: value}
	body.Metadata.Timer = `""` // as the host has it
	body.Metadata.Sys.MethodName = t.function.name
	body.Metadata.Sys.UtcNow = now.UTC().Format(sysTime)
	body.Metadata.Sys.RandGuid = uuid.NewString()
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // strings and booleans only
	}
	return text
}

// killDelay is how long after functionTimeout the handler is killed. The invocation
// has failed by then.
const killDelay = 2 * time.Second

// post sends an invocation and checks the answer. It lasts functionTimeout at
// most; then the handler is killed and started again. It ends with the handler.
func (h *Host) post(function, id string, envelope []byte) (status int, logs []string, err error) {
	ctx, cancel := context.Background(), context.CancelFunc(func() {})
	if h.app.timeout > 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, h.app.timeout, fmt.Errorf("%w: %s", ErrTimeout, h.app.timeout))
	}
	defer cancel()
	worker, err := h.await(ctx)
	if err != nil {
		return 0, nil, err
	}
	// Only an unknown length makes the body chunked, as the host sends it.
	body := struct{ io.Reader }{bytes.NewReader(envelope)}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, worker.url+"/"+function, body)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("X-Azure-Functions-HostVersion", Version)
	req.Header.Set("X-Azure-Functions-InvocationId", id)
	req.Header.Set("User-Agent", "Azure-Functions-Host/"+Version)
	resp, err := h.client.Do(req)
	if err == nil {
		defer resp.Body.Close()
		status = resp.StatusCode
		var answer []byte
		if answer, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1)); err == nil {
			logs, err = checkAnswer(resp, answer)
			return status, logs, err
		}
	}
	if ctx.Err() != nil {
		go worker.recycleAfter(killDelay, h.stopping)
		return status, nil, context.Cause(ctx)
	}
	return status, nil, fmt.Errorf("the handler broke off the invocation: %w", err)
}

// checkAnswer is strict about what
// https://learn.microsoft.com/azure/azure-functions/functions-custom-handlers#response-payload
// documents, stricter than the host, which waits for ever after an empty 200 and passes
// over unknown outputs: 200, JSON, an object with Outputs (an object), Logs (a list of strings) and
// ReturnValue (anything, null as well), and nothing else.
func checkAnswer(resp *http.Response, answer []byte) ([]string, error) {
	violation := func(format string, args ...any) ([]string, error) {
		return nil, fmt.Errorf("the handler's answer breaks the protocol: "+format, args...)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, fmt.Errorf("the handler failed the invocation: status %d", resp.StatusCode)
	}
	if resp.StatusCode != http.StatusOK {
		return violation("status %d instead of 200", resp.StatusCode)
	}
	if len(answer) > maxAnswer {
		return violation("more than %d bytes", maxAnswer)
	}
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return violation("Content-Type %q instead of application/json", resp.Header.Get("Content-Type"))
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(answer, &members); err != nil {
		return violation("no JSON object: %w", err)
	}
	for name := range members {
		if name != "Outputs" && name != "Logs" && name != "ReturnValue" {
			return violation("unknown member %q", name)
		}
	}
	var outputs map[string]json.RawMessage
	if err := json.Unmarshal(orNull(members["Outputs"]), &outputs); err != nil || outputs == nil {
		return violation("Outputs is not an object")
	}
	if len(outputs) > 0 {
		return violation("Outputs has members, and the function has no output binding")
	}
	logs, err := logLines(orNull(members["Logs"]))
	if err != nil {
		return violation("Logs: %w", err)
	}
	if _, ok := members["ReturnValue"]; !ok {
		return violation("ReturnValue is missing")
	}
	return logs, nil
}

// logLines reads a list of strings; null as an element would pass as "".
func logLines(text []byte) ([]string, error) {
	var elements []*string
	if err := json.Unmarshal(text, &elements); err != nil || elements == nil {
		return nil, errors.New("it is not a list of strings")
	}
	lines := make([]string, len(elements))
	for i, e := range elements {
		if e == nil {
			return nil, errors.New("an element is null")
		}
		lines[i] = *e
	}
	return lines, nil
}

func orNull(text json.RawMessage) []byte {
	if len(text) == 0 {
		return []byte("null")
	}
	return text
}
