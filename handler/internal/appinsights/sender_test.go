package appinsights

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/appinsights/ingestiontest"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

func newLog(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// messages are n items with texts of their own.
func (w *world) messages(first, n int) []envelope {
	var items []envelope
	for i := first; i < first+n; i++ {
		items = append(items, w.sender.encoder.message(from, time.Now(), "", "", fmt.Sprint("message ", i), "Information", nil))
	}
	return items
}

// texts are the messages that the server took.
func (w *world) texts() (out []string) {
	for _, i := range w.Of("MessageData") {
		out = append(out, i.Base["message"].(string))
	}
	return out
}

// TestProblemPasses: what fails for a reason that may pass is sent later, once.
func TestProblemPasses(t *testing.T) {
	for _, status := range []int{408, 429, 500, 502, 503, 504, 401, 403} {
		w := newWorld(t)
		w.always(ingestiontest.Answer{Status: status})
		w.sender.send(t.Context(), w.messages(0, 2))
		w.sender.send(t.Context(), w.messages(2, 1))
		if got := w.texts(); len(got) != 0 {
			t.Fatalf("%d: %v", status, got)
		}
		if n := strings.Count(w.log.String(), "telemetry cannot be sent"); n != 1 {
			t.Errorf("%d: logged %d times\n%s", status, n, w.log)
		}
		w.always(ok)
		_ = w.sender.ForceFlush(t.Context())
		if got := w.texts(); !slices.Equal(got, []string{"message 0", "message 1", "message 2"}) {
			t.Errorf("%d: %v", status, got)
		}
		if !strings.Contains(w.log.String(), "sent again") {
			t.Errorf("%d: the end of the problem is not logged", status)
		}
	}
}

// TestRetry: a problem that ends at once is neither logged nor seen by the caller.
func TestRetry(t *testing.T) {
	w := newWorld(t)
	w.SetAnswer(func(batch int) ingestiontest.Answer {
		if batch == 0 {
			return ingestiontest.Answer{Status: 503}
		}
		return ok
	})
	w.sender.send(t.Context(), w.messages(0, 1))
	if len(w.texts()) != 1 || len(w.Batches()) != 2 || w.log.String() != "" {
		t.Errorf("%v, %v\n%s", w.texts(), w.Batches(), w.log)
	}
}

// TestRetryAfter: the service is left alone for as long as it asks.
func TestRetryAfter(t *testing.T) {
	w := newWorld(t)
	w.always(ingestiontest.Answer{Status: 429, RetryAfter: "60"})
	w.sender.send(t.Context(), w.messages(0, 1))
	asked := len(w.Batches())
	w.always(ok)
	w.now = w.now.Add(59 * time.Second)
	w.sender.send(t.Context(), w.messages(1, 1))
	if len(w.Batches()) != asked {
		t.Fatal("the service is asked before its time")
	}
	w.now = w.now.Add(2 * time.Second)
	_ = w.sender.ForceFlush(t.Context())
	if got := w.texts(); !slices.Equal(got, []string{"message 0", "message 1"}) {
		t.Errorf("%v", got)
	}
}

// TestPartialSuccess: of a batch taken in part, only those items are sent again that
// the service may then take.
func TestPartialSuccess(t *testing.T) {
	w := newWorld(t)
	w.always(ingestiontest.Answer{Status: 206, Refused: map[int]int{1: 429, 2: 400, 4: 500}})
	w.sender.send(t.Context(), w.messages(0, 6))
	w.always(ok)
	_ = w.sender.ForceFlush(t.Context())
	if got := w.texts(); !slices.Equal(got, []string{"message 0", "message 3", "message 5", "message 1", "message 4"}) {
		t.Errorf("%v", got)
	}
	if !slices.Equal(w.Batches(), []int{6, 2}) || !strings.Contains(w.log.String(), "dropped=1") {
		t.Errorf("%v\n%s", w.Batches(), w.log)
	}
}

// TestRefused: what will never be taken is dropped and logged; a redirect is not followed.
func TestRefused(t *testing.T) {
	elsewhere := newWorld(t)
	for _, a := range []ingestiontest.Answer{{Status: 400}, {Status: 402}, {Status: 439}, {Status: 308, Location: elsewhere.URL + "/v2.1/track"}} {
		w := newWorld(t)
		w.always(a)
		w.sender.send(t.Context(), w.messages(0, 3))
		w.always(ok)
		_ = w.sender.ForceFlush(t.Context())
		if len(w.texts()) != 0 || len(w.Batches()) != 1 || !strings.Contains(w.log.String(), "dropped=3") {
			t.Errorf("%d: %v, %v\n%s", a.Status, w.texts(), w.Batches(), w.log)
		}
	}
	if len(elsewhere.Batches()) != 0 {
		t.Error("a redirect is followed")
	}
}

// TestBounds: batches are bounded, and so is what is kept; the newest stays.
func TestBounds(t *testing.T) {
	w := newWorld(t)
	w.sender.send(t.Context(), w.messages(0, 1200))
	if !slices.Equal(w.Batches(), []int{500, 500, 200}) {
		t.Errorf("%v", w.Batches())
	}
	big := w.messages(0, 40)
	for i := range big {
		big[i] = w.sender.encoder.message(from, time.Now(), "", "", strings.Repeat("x", 32000), "Information", map[string]string{"p": strings.Repeat("y", 8000)})
	}
	w.sender.send(t.Context(), big)
	if got := w.Batches()[3:]; len(got) != 2 || got[0]+got[1] != 40 {
		t.Errorf("40 items of 40 kB go in batches of %v", got)
	}

	w = newWorld(t)
	w.always(ingestiontest.Answer{Status: 503, RetryAfter: "30"})
	for i := range 6 {
		w.sender.send(t.Context(), w.messages(1000*i, 1000))
	}
	w.now = w.now.Add(time.Minute)
	w.always(ok)
	_ = w.sender.ForceFlush(t.Context())
	if got := w.texts(); len(got) != maxWaiting || got[0] != "message 1000" || got[maxWaiting-1] != "message 5999" {
		t.Errorf("%d items, %s to %s", len(got), got[0], got[len(got)-1])
	}

	w = newWorld(t)
	huge := map[string]string{}
	for i := range 10 {
		huge[fmt.Sprint(i)] = strings.Repeat("x", 8000)
	}
	w.sender.send(t.Context(), append(w.messages(0, 1), w.sender.encoder.message(from, time.Now(), "", "", "huge", "Error", huge)))
	if got := w.texts(); !slices.Equal(got, []string{"message 0"}) {
		t.Errorf("%v", got)
	}
}

// TestDeadline: what could not be sent in the caller's time is sent later.
func TestDeadline(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.sender.send(ctx, w.messages(0, 1))
	_ = w.sender.ForceFlush(t.Context())
	if got := w.texts(); len(got) != 1 {
		t.Errorf("%v", got)
	}
}

type fixedToken struct {
	value  string
	scopes []string
}

func (f *fixedToken) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	f.scopes = o.Scopes
	return azcore.AccessToken{Token: f.value, ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// TestEntra: a token for Azure Monitor's scope is sent, and never logged.
func TestEntra(t *testing.T) {
	w := newWorld(t)
	w.RequireBearer("the-token")
	connection, _ := ParseConnection(w.ConnectionString())
	credential := &fixedToken{value: "the-token"}
	w.sender = New(Options{Connection: connection, Credential: credential, HTTP: w.Client(), Product: "test", Log: newLog(w.log)})
	w.sender.send(t.Context(), w.messages(0, 1))
	if len(w.texts()) != 1 || !slices.Equal(credential.scopes, []string{"https://monitor.azure.com//.default"}) {
		t.Errorf("%v, %v\n%s", w.texts(), credential.scopes, w.log)
	}
	w.RequireBearer("another")
	w.sender.send(t.Context(), w.messages(1, 1))
	if !strings.Contains(w.log.String(), "Monitoring Metrics Publisher") || strings.Contains(w.log.String(), "the-token") {
		t.Errorf("%s", w.log)
	}
}

// TestUnreachable: a missing connection is a problem that may pass; the log names no key.
func TestUnreachable(t *testing.T) {
	w := newWorld(t)
	w.sender.pipeline = newSender(Options{Product: "test", HTTP: &http.Client{Transport: broken{}}, Now: time.Now, Log: newLog(w.log)}, time.Millisecond).pipeline
	w.sender.send(t.Context(), w.messages(0, 1))
	if len(w.sender.waiting) != 1 || !strings.Contains(w.log.String(), "cannot be reached") || strings.Contains(w.log.String(), key) {
		t.Errorf("%d waiting\n%s", len(w.sender.waiting), w.log)
	}
}

type broken struct{}

func (broken) RoundTrip(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }
