package connector

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// maxBody bounds a call's body, in bytes. DirtyEntities can be long: this is room
// for some 45,000 ids.
const maxBody = 1 << 20

// refusal is an error that the caller is told of in full.
type refusal struct {
	status  int
	message string // sentences: what is wrong, what to do; no internals, no secrets
}

func (e *refusal) Error() string { return e.message }

// bad is the refusal of wrong input.
func bad(format string, args ...any) error {
	return &refusal{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

var (
	errUnknownJob   = &refusal{http.StatusNotFound, "There is no such job."}
	errUnauthorized = &refusal{http.StatusUnauthorized, "Not authorized."}
)

// answer writes a JSON value, or nothing but the status for nil.
func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if value == nil {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // the connection is gone if it fails
}

// fail answers {"Message":…}. An error that is not meant for the caller goes to
// the log alone, under a reference that the caller is given.
func (a *API) fail(w http.ResponseWriter, r *http.Request, call string, err error) {
	told := a.Explain(r.Context(), call, err)
	if told.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="connector", charset="UTF-8"`)
		w.Header().Add("WWW-Authenticate", "Bearer")
	}
	told.SetRetry(w.Header())
	answer(w, told.Status, struct{ Message string }{told.Message})
}

// Told is what somebody is told of an error.
type Told struct {
	Status  int    // HTTP's
	Message string // sentences: what is wrong, what to do; no internals, no secrets
	Retry   time.Duration
}

// SetRetry sets the Retry-After header where there is a time to wait.
func (t Told) SetRetry(h http.Header) {
	if t.Retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int((t.Retry+time.Second-1)/time.Second)))
	}
}

// Explain puts an error in words and writes it to the log, whole, together with
// what was being done. Where the log says more than the words, they name the
// log's line by a reference.
func (a *API) Explain(ctx context.Context, doing string, err error) Told {
	told := Told{Status: explain(err).status, Message: explain(err).message}
	var slow *slowed
	if errors.As(err, &slow) {
		told.Retry = slow.wait
	}
	if told.Status < 500 {
		a.Log.InfoContext(ctx, "call refused", "call", doing, "status", told.Status, "reason", err.Error())
		return told
	}
	reference := rand.Text()[:10]
	a.Log.ErrorContext(ctx, "call failed", "call", doing, "status", told.Status, "reference", reference, "error", err.Error())
	told.Message = fmt.Sprintf("%s The connector's log says more at reference %s.", told.Message, reference)
	return told
}

// explain is what the caller is told of an error.
func explain(err error) *refusal {
	var (
		own     *refusal
		signIn  *twitter.SignInError
		limited *twitter.RateLimitError
	)
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, secrets.ErrReadOnly):
		return &refusal{http.StatusConflict, "The connector's " + secrets.ErrReadOnly.Error() + "."}
	case errors.Is(err, secrets.ErrNotSet):
		return &refusal{http.StatusInternalServerError, "The connector lacks a secret: " + strings.ReplaceAll(err.Error(), "\n", "; ") + "."}
	case errors.Is(err, secrets.ErrForbidden):
		return &refusal{http.StatusServiceUnavailable, "The Key Vault refuses the connector. Give the connector's identity the role Key Vault Secrets Officer on the vault, and let the vault's network rules admit it."}
	case errors.Is(err, state.ErrClaimed):
		return &refusal{http.StatusServiceUnavailable, "The task is being delivered just now. Send it again later."}
	case errors.Is(err, secrets.ErrUnavailable):
		return &refusal{http.StatusServiceUnavailable, "The connector cannot reach its Key Vault. Try again later."}
	case errors.As(err, &signIn):
		return &refusal{http.StatusInternalServerError, fmt.Sprintf("X refuses the sign-in (%s). %s.", signIn.Said, signIn.Advice)}
	case errors.As(err, &limited):
		return &refusal{http.StatusServiceUnavailable, "X's rate limit is used up. Try again after " + limited.Reset.UTC().Format(time.RFC3339) + "."}
	case errors.Is(err, twitter.ErrUnavailable):
		return &refusal{http.StatusServiceUnavailable, "X cannot be reached. Try again later."}
	}
	return &refusal{http.StatusInternalServerError, "The connector failed."}
}

// decode reads a body of one JSON object into a struct. Members that the struct
// does not have are let pass, as .NET does; case does not matter in names.
func decode(r *http.Request, into any) error {
	body, err := io.ReadAll(r.Body)
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		return &refusal{http.StatusRequestEntityTooLarge, fmt.Sprintf("The body is longer than %d bytes.", long.Limit)}
	case err != nil:
		return bad("The body cannot be read to its end.")
	}
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff"))) // .NET may write a byte order mark
	if !bytes.HasPrefix(body, []byte("{")) {
		return bad("The body must be a JSON object.")
	}
	err = json.Unmarshal(body, into)
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrongType) && wrongType.Field != "":
		return bad("The body's %s cannot be a JSON %s.", wrongType.Field, wrongType.Value)
	case errors.Is(err, errPostID):
		return bad("DirtyEntities must hold ids of posts, each a string of up to 20 digits.")
	case err != nil:
		return bad("The body is not well-formed JSON: %v.", err)
	}
	return nil
}

// query returns a parameter of the query, whatever the case of its name; "" if
// there is none.
func query(r *http.Request, name string) string {
	for key, values := range r.URL.Query() {
		if strings.EqualFold(key, name) {
			return values[0]
		}
	}
	return ""
}
