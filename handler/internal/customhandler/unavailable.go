package customhandler

import (
	"log/slog"
	"net/http"
)

// Unavailable stands in for the HTTP handler while the connector's settings are
// faulty: it answers every request with 503. Which settings are faulty is in the log,
// and never in an answer.
func Unavailable(log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		log.WarnContext(r.Context(), "a request cannot be served: the settings are faulty, the log says at the connector's start which")
		fail(w, http.StatusServiceUnavailable, "The connector is not set up; its log says what is missing.")
	})
}
