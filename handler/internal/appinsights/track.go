package appinsights

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
)

// post sends one batch. It returns the items to try again later, and what went
// wrong, "" if nothing did.
func (s *Sender) post(ctx context.Context, lines [][]byte) (later [][]byte, why string) {
	req, err := runtime.NewRequest(ctx, http.MethodPost, s.url)
	if err != nil {
		return lines, "the request cannot be made: " + err.Error()
	}
	var body bytes.Buffer
	zip := gzip.NewWriter(&body)
	for _, line := range lines {
		_, _ = zip.Write(line) // a buffer takes everything
		_, _ = zip.Write([]byte{'\n'})
	}
	_ = zip.Close()
	if err := req.SetBody(closing{bytes.NewReader(body.Bytes())}, "application/x-json-stream"); err != nil {
		return lines, "the request cannot be made: " + err.Error()
	}
	req.Raw().Header.Set("Content-Encoding", "gzip")
	req.Raw().Header.Set("Accept", "application/json")
	runtime.SkipBodyDownload(req)
	resp, err := s.pipeline.Do(req)
	if err != nil {
		// An azcore error goes on with the answer; its first line says enough.
		line, _, _ := strings.Cut(err.Error(), "\n")
		return lines, "the ingestion API cannot be reached, or no identity can be used for it: " + cut(line, 300)
	}
	defer resp.Body.Close()
	return s.judge(resp, lines)
}

type closing struct{ *bytes.Reader }

func (closing) Close() error { return nil }

func (s *Sender) judge(resp *http.Response, lines [][]byte) (later [][]byte, why string) {
	switch code := resp.StatusCode; {
	case code == http.StatusOK:
		return nil, ""
	case code == http.StatusPartialContent:
		return s.partial(resp, lines)
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return lines, fmt.Sprintf("the ingestion API refuses this sender (%d): give its identity the role Monitoring Metrics Publisher on the Application Insights resource; a new role takes some minutes", code)
	case mayPass(code):
		s.hold(resp)
		return lines, fmt.Sprintf("the ingestion API returns status %d", code)
	case code >= 300 && code < 400:
		s.drop(len(lines))
		return nil, "the ingestion API redirects to another address, which is not followed: copy the connection string again from the Application Insights resource"
	default:
		s.drop(len(lines))
		return nil, fmt.Sprintf("the ingestion API refuses telemetry with status %d; check the connection string", code)
	}
}

const maxAnswer = 1 << 20 // bytes

// partial handles an answer that says which items of a batch were refused.
func (s *Sender) partial(resp *http.Response, lines [][]byte) (later [][]byte, why string) {
	var answer struct {
		Errors []struct {
			Index      int
			StatusCode int
			Message    string
		}
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&answer); err != nil {
		s.drop(len(lines))
		return nil, "the ingestion API took a part of the items and does not say which"
	}
	for _, refused := range answer.Errors {
		switch {
		case refused.Index < 0 || refused.Index >= len(lines):
		case mayPass(refused.StatusCode):
			later = append(later, lines[refused.Index])
		default:
			s.drop(1)
			why = fmt.Sprintf("the ingestion API refuses items with status %d: %s", refused.StatusCode, cut(refused.Message, 200))
		}
	}
	if len(later) > 0 {
		s.hold(resp)
		why = "the ingestion API takes only a part of the items; the rest is kept"
	}
	return later, why
}

// mayPass reports whether the same items may be taken later. 439 means that the
// resource's daily cap is reached: no retry would succeed before midnight.
func mayPass(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// longestHold bounds what Retry-After can ask for.
const longestHold = 10 * time.Minute

// hold stops sending for as long as Retry-After asks.
func (s *Sender) hold(resp *http.Response) {
	text := resp.Header.Get("Retry-After")
	wait, err := time.ParseDuration(text + "s")
	if err != nil {
		at, err := http.ParseTime(text)
		if err != nil {
			return
		}
		wait = at.Sub(s.now())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notBefore = s.now().Add(min(wait, longestHold))
}
