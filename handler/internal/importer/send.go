package importer

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/panics"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
)

var (
	// ErrNotTaken says that the service did not take an event, and that a later
	// try may succeed: no connection, or status 408, 429, 5xx or a redirect.
	ErrNotTaken = fault.New(fault.Import, "the Office 365 Import service did not take the event")
	// ErrUnauthorized says that the service refuses the token even after the
	// app's keys were read again. It is an ErrNotTaken that a person must mend.
	ErrUnauthorized = fault.Kind(ErrNotTaken, fault.EntraSignIn, "the Office 365 Import service does not accept the connector's token")
	// ErrRefused says that the service will never take an event. The error is a
	// *RefusedError.
	ErrRefused = fault.New(fault.ImportFinal, "the Office 365 Import service refuses the event for good")
)

// RefusedError is an ErrRefused with the service's answer.
type RefusedError struct {
	Status int    // HTTP status: 4xx, but not 401, 408 or 429
	Said   string // beginning of the answer's body, on one line of at most 400 characters; may be empty
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%v: %s", ErrRefused, answerText(e.Status, e.Said))
}

// FaultCause implements fault.Caused.
func (e *RefusedError) FaultCause() fault.Cause { return fault.CauseOf(ErrRefused) }

func (e *RefusedError) Unwrap() error { return ErrRefused }

const (
	// eventTimeout bounds one event, signing in and a second try included.
	eventTimeout = 5 * time.Minute

	// smallEvent is up to how many bytes an event is sent with a Content-Length.
	// A larger one is sent in chunks, because its length is known only at its end.
	smallEvent = 64 << 10

	// maxAnswer is how much of an answer is read, in bytes.
	maxAnswer = 8 << 10
)

var (
	errTooSlow = fmt.Errorf("it took longer than %s", eventTimeout)
	errUnread  = errors.New("the rest of the event is not wanted")
)

// send sends an event that write produces, once more with keys that are read
// again if the token or the sign-in is refused: keys change in the vault. write
// must be repeatable.
func (e *Events) send(ctx context.Context, address string, write func(io.Writer) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, eventTimeout, errTooSlow)
	defer cancel()
	for fresh := false; ; fresh = true {
		err := e.try(ctx, address, write, fresh)
		if cause := context.Cause(ctx); err != nil && cause != nil {
			if errors.Is(cause, errTooSlow) {
				return fmt.Errorf("%w: %w", ErrNotTaken, cause)
			}
			return cause
		}
		refused := errors.Is(err, ErrSignIn) || errors.Is(err, ErrUnauthorized)
		if !refused || fresh {
			return err
		}
	}
}

// try sends an event once.
func (e *Events) try(ctx context.Context, address string, write func(io.Writer) error, fresh bool) error {
	pipeline, err := e.pipeline(ctx, fresh)
	if err != nil {
		return err
	}
	event := startWriting(write)
	got, err := transmit(ctx, pipeline, address, event)
	event.Close()
	switch wrote := <-event.wrote; {
	case wrote != nil && !errors.Is(wrote, errUnread):
		return wrote
	case errors.Is(err, ErrSignIn) || errors.Is(err, ErrNotTaken):
		return err
	case err != nil:
		// A service that refuses a token in the middle of a large event may be
		// seen only as a broken connection.
		e.signOut()
		return fmt.Errorf("%w: %w", ErrNotTaken, err)
	case got.status/100 == 2 && wrote != nil:
		return fmt.Errorf("%w: it answered with status %d before it had the whole event", ErrNotTaken, got.status)
	}
	return judge(got)
}

// judge says what an answer means; nil if the event is taken.
func judge(a answer) error {
	switch {
	case a.status/100 == 2:
		return nil
	case a.status == http.StatusUnauthorized:
		return fmt.Errorf("%w: %s", ErrUnauthorized, answerText(a.status, a.said))
	case a.status/100 == 4 && a.status != http.StatusRequestTimeout && a.status != http.StatusTooManyRequests:
		return &RefusedError{Status: a.status, Said: a.said}
	}
	return fmt.Errorf("%w: %s", ErrNotTaken, answerText(a.status, a.said))
}

// outgoing is an event while it is written. Its writer must be waited for.
type outgoing struct {
	text  *bufio.Reader
	pipe  *io.PipeReader
	wrote chan error // receives how writing ended: nil, errUnread or the error of write
}

func startWriting(write func(io.Writer) error) *outgoing {
	reader, writer := io.Pipe()
	o := &outgoing{text: bufio.NewReaderSize(reader, smallEvent), pipe: reader, wrote: make(chan error, 1)}
	go func() {
		w := bufio.NewWriterSize(writer, smallEvent)
		err := panics.Catch(func() error { return write(w) })
		if err == nil {
			err = w.Flush()
		}
		writer.CloseWithError(err)
		o.wrote <- err
	}()
	return o
}

func (o *outgoing) Read(b []byte) (int, error) { return o.text.Read(b) }

// Close ends the writing.
func (o *outgoing) Close() error { return o.pipe.CloseWithError(errUnread) }

// answer is what the service says of an event.
type answer struct {
	status int
	said   string // see RefusedError.Said
}

func transmit(ctx context.Context, pipeline runtime.Pipeline, address string, event *outgoing) (answer, error) {
	req, err := runtime.NewRequest(ctx, http.MethodPost, address)
	if err != nil {
		return answer{}, err
	}
	const contentType = "application/json; charset=utf-8"
	head, err := event.text.Peek(smallEvent)
	switch {
	case errors.Is(err, io.EOF):
		err = req.SetBody(streaming.NopCloser(bytes.NewReader(head)), contentType)
	case err == nil:
		// Not by SetBody, which would ask for the length. There is no rewinding.
		req.Raw().Body, req.Raw().ContentLength = event, -1
		req.Raw().Header.Set("Content-Type", contentType)
	}
	if err != nil {
		return answer{}, err
	}
	runtime.SkipBodyDownload(req)
	resp, err := pipeline.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // the status decides, this is for people
	return answer{resp.StatusCode, withoutToken(string(body), resp.Request)}, nil
}

// withoutToken puts an answer on one line. A service might repeat the request's
// token: the text ends before it.
func withoutToken(said string, req *http.Request) string {
	token := strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
	if start := token[:min(len(token), 16)]; start != "" {
		if before, _, found := strings.Cut(said, start); found {
			said = before + "…"
		}
	}
	return oneLine(said)
}

// hideChallenge keeps what a 401 asks for from the bearer policy, which would
// send the request a second time itself: a body that is streamed cannot be sent
// again.
func hideChallenge(req *policy.Request) (*http.Response, error) {
	resp, err := req.Next()
	if resp != nil {
		resp.Header.Del("WWW-Authenticate")
	}
	return resp, err
}

// policyFunc is a function as a policy.
type policyFunc func(*policy.Request) (*http.Response, error)

func (f policyFunc) Do(req *policy.Request) (*http.Response, error) { return f(req) }

func answerText(status int, said string) string {
	return strings.TrimSpace(fmt.Sprintf("status %d %s", status, said))
}

// oneLine puts a text on one line of at most 400 characters.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "\ufffd")), " ")
	if r := []rune(text); len(r) > 400 {
		return string(r[:400]) + "…"
	}
	return text
}
