package customhandler

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"xarchive/handler/internal/logging"
	"xarchive/handler/internal/loopback"
	"xarchive/handler/internal/panics"
)

// invoke runs the timer function that the host calls and answers as the protocol
// wants: 200 with outputs, logs and return value, anything else fails the
// invocation.
func (s *Server) invoke(w http.ResponseWriter, r *http.Request, name string) {
	function := s.timers[name]
	ctx, cancel := context.WithCancelCause(logging.With(r.Context(), "function", name))
	defer cancel(nil)
	defer context.AfterFunc(s.ending, func() { cancel(errors.New("the connector is ending")) })()

	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEnvelope))
	if err == nil {
		var tick timerData
		if tick, err = parseTimer(body, function.binding); err == nil {
			s.run(ctx, w, function, Invocation{ID: invocationID(r), IsPastDue: tick.IsPastDue})
			return
		}
	}
	s.log.WarnContext(ctx, "invocation refused", "error", err.Error())
	fail(w, http.StatusBadRequest, "This is not an invocation of the function.")
}

func (s *Server) run(ctx context.Context, w http.ResponseWriter, function timer, inv Invocation) {
	if !function.busy.CompareAndSwap(false, true) {
		const skipped = "the function runs already; this invocation does nothing"
		s.log.InfoContext(ctx, skipped)
		s.telem.Flush(ctx)
		succeed(w, []string{skipped})
		return
	}
	defer function.busy.Store(false)
	var result Result
	err := panics.Catch(func() (err error) {
		result, err = function.run(ctx, inv)
		return err
	})
	if err != nil {
		s.log.ErrorContext(ctx, "invocation failed", "error", err.Error())
		s.telem.Flush(ctx)
		fail(w, http.StatusInternalServerError, "The invocation failed; the connector's log says why.")
		return
	}
	s.telem.Flush(ctx) // once the host has its answer, it may let the process stand still
	succeed(w, result.Logs)
}

// succeed answers an invocation that succeeded. The body matters: after a 200
// without one, the host waits for ever and calls the timer no more.
func succeed(w http.ResponseWriter, logs []string) {
	answer(w, http.StatusOK, struct {
		Outputs     struct{}
		Logs        []string
		ReturnValue any
	}{Logs: append([]string{}, logs...)})
}

// timerData is what the host says of a tick. The schedule's state is the host's
// business.
type timerData struct{ IsPastDue bool }

// parseTimer reads an invocation's envelope,
//
//	{"Data":{"<binding>":{"Schedule":…,"ScheduleStatus":…,"IsPastDue":false}},"Metadata":{…}}
//
// where the binding's value may also be a JSON string that holds JSON.
func parseTimer(body []byte, binding string) (timerData, error) {
	value, err := bindingData(body, binding)
	if err != nil {
		return timerData{}, err
	}
	var tick struct{ IsPastDue *bool }
	if err := json.Unmarshal(value, &tick); err != nil || tick.IsPastDue == nil {
		return timerData{}, fmt.Errorf("the value of %q in Data is not a timer's", binding)
	}
	return timerData{*tick.IsPastDue}, nil
}

// bindingData returns the JSON value that an envelope has for a binding.
func bindingData(body []byte, binding string) (json.RawMessage, error) {
	var envelope struct{ Data map[string]json.RawMessage }
	if err := json.Unmarshal(body, &envelope); err != nil {
		return nil, fmt.Errorf("the body is not an invocation's envelope: %w", err)
	}
	value, ok := envelope.Data[binding]
	if !ok {
		return nil, fmt.Errorf("the envelope has no %q in Data", binding)
	}
	if bytes.HasPrefix(value, []byte(`"`)) {
		var text string
		if err := json.Unmarshal(value, &text); err != nil {
			return nil, fmt.Errorf("reading %q in Data: %w", binding, err)
		}
		if json.Valid([]byte(text)) {
			return json.RawMessage(text), nil
		}
	}
	return value, nil
}

// refusal returns why a request whose path names a function is not the host's
// invocation of it; "" if it is.
//
// The first wall against invocations from the Internet is the routes in
// functions/*/function.json: none of them matches a function's name, so the
// host forwards no such request. This is the second wall, for the day somebody
// adds a catch-all route. The host's headers (X-Azure-Functions-InvocationId,
// User-Agent) are on forwarded requests as well and prove nothing. What does: the
// host posts JSON to the exact name, at a loopback address, with a plain HTTP
// client. That client may add the W3C trace headers (traceparent, tracestate,
// baggage) and Request-Id; it never adds what Azure's front ends, proxies and
// browsers put on a request.
func refusal(r *http.Request, name string) string {
	contentType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.Method != http.MethodPost:
		return "its method is not POST"
	case r.RequestURI != "/"+name:
		return "its path is not the function's name, letter for letter"
	case err != nil || contentType != "application/json":
		return "its body is not JSON"
	case !loopback.Host((&url.URL{Host: r.Host}).Hostname()):
		return "it is not addressed to loopback"
	}
	for header := range r.Header {
		if fromInternet(header) {
			return "it has the header " + header
		}
	}
	return ""
}

// Headers, in Go's canonical case, that a request gets on its way through
// App Service's front end (ARR), Azure Front Door, Application Gateway, another
// proxy, or from a browser.
var (
	internetHeaders = map[string]bool{
		"Forwarded": true, "Via": true, "Client-Ip": true, "Disguised-Host": true, "Max-Forwards": true,
		"Was-Default-Hostname": true, "X-Site-Deployment-Id": true, "X-Real-Ip": true, "X-Client-Ip": true, "X-Client-Port": true,
		"X-Appservice-Proto": true, "X-Azure-Ref": true, "X-Azure-Fdid": true, "X-Azure-Clientip": true, "X-Azure-Socketip": true,
		"Authorization": true, "Cookie": true, "Origin": true, "Referer": true, "X-Functions-Key": true,
	}
	internetPrefixes = []string{"X-Forwarded-", "X-Original-", "X-Arr-", "X-Waws-", "X-Appgw-", "X-Ms-Client-Principal", "Sec-"}
)

func fromInternet(header string) bool {
	if internetHeaders[header] {
		return true
	}
	for _, prefix := range internetPrefixes {
		if strings.HasPrefix(header, prefix) {
			return true
		}
	}
	return false
}

// invocationID is the host's id of a request, as far as it looks like one. The host
// appends its id to what a client sent under that name, so only the last one is the
// host's.
func invocationID(r *http.Request) string {
	all := strings.Join(r.Header.Values("X-Azure-Functions-InvocationId"), ",")
	id := strings.TrimSpace(all[strings.LastIndexByte(all, ',')+1:])
	notID := func(c rune) bool {
		return !(c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z')
	}
	if len(id) > 64 || strings.ContainsFunc(id, notID) {
		return ""
	}
	return id
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the connection is gone if it fails
}

func fail(w http.ResponseWriter, status int, message string) {
	answer(w, status, struct{ Message string }{message})
}
