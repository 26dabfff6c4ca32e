package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/jobs"
	"xarchive/handler/internal/web"
)

// maxBody bounds a call's body, in bytes. DirtyEntities can be long: this is room
// for some 45,000 ids.
const maxBody = 1 << 20

// bad is the refusal of wrong input.
func bad(format string, args ...any) error {
	return fault.Refuse(fault.BadRequest, fmt.Sprintf(format, args...))
}

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

// decode reads a body of one JSON object into a struct. Members that the struct
// does not have are ignored, as .NET does; case does not matter in names.
func decode(r *http.Request, into any) error {
	body, err := io.ReadAll(r.Body)
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		return fault.Refuse(fault.TooLarge, fmt.Sprintf("The body is longer than %d bytes.", long.Limit))
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

// jobID reads the parameter that says which job a call is about.
func jobID(r *http.Request) (string, error) {
	id := web.Query(r, "jobId")
	return id, jobs.CheckID("jobId", id)
}

// twitterJobID is jobID for the calls that also say that the job is one of X.
func twitterJobID(r *http.Request) (string, error) {
	if err := checkJobType(r); err != nil {
		return "", err
	}
	return jobID(r)
}

func checkJobType(r *http.Request) error {
	if !strings.EqualFold(web.Query(r, "jobType"), "Twitter") {
		return bad("jobType must be Twitter.")
	}
	return nil
}
