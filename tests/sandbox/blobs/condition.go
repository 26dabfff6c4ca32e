package blobs

import (
	"net/http"
	"time"
)

// What a condition is checked for. The service treats the three differently.
const (
	forRead   = iota // Get Blob, Get Blob Properties
	forCreate        // Put Blob, Put Block List
	forChange        // everything else that writes
	forLease
)

// condition checks a request's conditional headers; b is nil if there is no blob to
// check them against.
// https://learn.microsoft.com/rest/api/storageservices/specifying-conditional-headers-for-blob-service-operations
func condition(h http.Header, b *blob, purpose int) *problem {
	match, none := h.Get("If-Match"), h.Get("If-None-Match")
	if purpose == forRead && none == "*" {
		return unsatisfiable
	}
	if b == nil {
		if match != "" {
			return conditionNotMet
		}
		return nil
	}
	if match != "" && match != "*" && match != b.etag {
		return conditionNotMet
	}
	if since, set := httpTime(h.Get("If-Unmodified-Since")); set && match == "" && b.modified.After(since) {
		return conditionNotMet
	}
	unchanged := conditionNotMet
	if purpose == forRead {
		unchanged = notModified
	}
	switch {
	case none == "*" && purpose == forCreate:
		return blobExists
	case none == "*" || none != "" && none == b.etag:
		return unchanged
	}
	if since, set := httpTime(h.Get("If-Modified-Since")); set && none == "" && !b.modified.After(since) {
		return unchanged
	}
	return nil
}

func httpTime(text string) (time.Time, bool) {
	t, err := http.ParseTime(text)
	return t, err == nil
}
