package blob_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/blob/blobtest"
	"xarchive/handler/internal/fault"
	"xarchive/tests/sandbox/blobs"
)

const secret = "c2VjcmV0LXNpZ25hdHVyZQ"

// shared is a container that is reached with a SAS at a server.
func shared(t *testing.T, url string, hc *http.Client) *blob.Container {
	t.Helper()
	c, err := blob.Shared(url+"/inbox?sv=2024-11-04&sr=c&sp=rcwdl&sig="+secret, hc, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// calls are all that can be asked of a container.
func calls(ctx context.Context, c *blob.Container) map[string]error {
	out := map[string]error{"Reach": c.Reach(ctx), "Remove": c.Remove(ctx, "a", blob.Condition{})}
	_, _, out["Read"] = c.Read(ctx, "a")
	_, out["Stat"] = c.Stat(ctx, "a")
	_, out["Write"] = c.Write(ctx, "a", []byte("x"), blob.Condition{Absent: true})
	for _, err := range c.List(ctx, "a", false) {
		out["List"] = err
	}
	_, out["Folders"] = c.Folders(ctx, "a/")
	_, out["Lease"] = c.Lease(ctx, "a", "")
	_, out["Upload, short"] = c.Upload(ctx, "a", blob.Upload{}, text("x"))
	_, out["Upload, long"] = c.Upload(ctx, "a", blob.Upload{}, pieces(random(1, blob.BlockSize+1)))
	return out
}

// No error holds a URL, and each has its cause: refused, failing, out of reach,
// interrupted, not Blob Storage at all.
func TestErrors(t *testing.T) {
	status := func(status int, code string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if code != "" {
				w.Header().Set("x-ms-error-code", code)
			}
			w.WriteHeader(status)
			if r.Method != http.MethodHead {
				_, _ = io.WriteString(w, "<Error><Message>"+r.URL.String()+"</Message></Error>") // to a client that may be gone
			}
		}
	}
	hangUp := func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }
	ended, cancel := context.WithCancelCause(t.Context())
	why := fault.New(fault.ClaimLost, "why")
	cancel(why)
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		ctx    context.Context // the test's if nil
		cause  fault.Cause
	}{
		"refused":         {status(403, "AuthenticationFailed"), nil, fault.StorageAccess},
		"unauthorized":    {status(401, "NoAuthenticationInformation"), nil, fault.StorageAccess},
		"wrong":           {status(400, "InvalidHeaderValue"), nil, fault.Storage},
		"no container":    {status(404, "ContainerNotFound"), nil, fault.Storage},
		"404 of a proxy":  {status(404, ""), nil, fault.Storage},
		"busy":            {status(503, "ServerBusy"), nil, fault.Storage},
		"breaks off":      {hangUp, nil, fault.Storage},
		"interrupted":     {status(200, ""), ended, fault.ClaimLost},
		"not blobs":       {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.String(), http.StatusFound) }, nil, fault.Storage},
		"cannot be found": {nil, nil, fault.Storage},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := test.ctx
				if ctx == nil {
					ctx = t.Context() // of this bubble of time
				}
				hc := &http.Client{Transport: handlerTransport{test.answer}}
				for call, err := range calls(ctx, shared(t, "http://store.invalid", hc)) {
					if fault.CauseOf(err) != test.cause {
						t.Errorf("%s: %v has cause %s, expected %s", call, err, fault.CauseOf(err), test.cause)
					}
					if err != nil && (strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "sig=") || strings.Contains(err.Error(), "://")) {
						t.Errorf("%s: the error holds the URL: %v", call, err)
					}
					if errors.Is(err, blob.ErrNotFound) {
						t.Errorf("%s: %v counts as absence", call, err)
					}
				}
			})
		})
	}
}

// handlerTransport answers requests by a handler, without sockets.
type handlerTransport struct{ handler http.HandlerFunc }

func (h handlerTransport) RoundTrip(r *http.Request) (answer *http.Response, err error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if h.handler == nil {
		return nil, errors.New("no such host")
	}
	defer func() {
		if recover() != nil {
			answer, err = nil, io.ErrUnexpectedEOF
		}
	}()
	w := httptest.NewRecorder()
	h.handler(w, r)
	answer = w.Result()
	answer.Request = r
	return answer, nil
}

// A SAS URL that cannot be read is refused without being repeated.
func TestSharedRefusesOtherURLs(t *testing.T) {
	for _, url := range []string{"", "inbox?sig=" + secret, "://x?sig=" + secret, "https://a b/?sig=" + secret, "ftp://h/c?sig=" + secret, "https:///c?sig=" + secret} {
		_, err := blob.Shared(url, http.DefaultClient, nil)
		if fault.CauseOf(err) != fault.SASRefused || strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v; expected cause %s, and not the URL", url, err, fault.SASRefused)
		}
	}
}

// A stream whose connection breaks goes on where it broke, three times; it never
// mixes two versions of a blob, and its errors hold no URL.
func TestStreamThatBreaks(t *testing.T) {
	store := blobs.New(blobs.Options{})
	var breaks, sent atomic.Int32
	const piece = 1000
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || sent.Add(1) > breaks.Load() {
			store.ServeHTTP(w, r)
			return
		}
		whole := httptest.NewRecorder()
		store.ServeHTTP(whole, r)
		for name, values := range whole.Header() {
			w.Header()[name] = values
		}
		w.Header().Set("Content-Length", strconv.Itoa(whole.Body.Len()))
		w.WriteHeader(whole.Code)
		_, _ = w.Write(whole.Body.Bytes()[:min(piece, whole.Body.Len())]) // the client may be gone
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(server.Close)
	own := blobtest.On(store).Container("inbox")
	data := random(1, 10*piece)
	put(t, own, "a", string(data))
	c := shared(t, server.URL+"/"+blobs.DefaultAccount, server.Client())

	breaks.Store(3)
	got, _, err := c.Read(t.Context(), "a")
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("three times: %d bytes, %v; expected all %d", len(got), err, len(data))
	}

	sent.Store(0)
	breaks.Store(1)
	body, _, err := c.Open(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	put(t, own, "a", string(random(2, 10*piece)))
	_, err = io.ReadAll(body)
	is(t, "replaced meanwhile", err, blob.ErrChanged)

	sent.Store(0)
	breaks.Store(1)
	ctx, cancel := context.WithCancelCause(t.Context())
	body, _, err = c.Open(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	cancel(blob.ErrLost)
	_, err = io.ReadAll(body)
	is(t, "interrupted", err, blob.ErrLost)
	if strings.Contains(err.Error(), secret) {
		t.Errorf("the error holds the SAS: %v", err)
	}
}
