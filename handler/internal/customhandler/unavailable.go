package customhandler

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
)

// unavailable is what people see in a browser. It needs nothing else.
const unavailable = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<title>X archive connector</title>
<style>body{font:1rem/1.55 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1.25rem}h1{font-size:1.5rem;line-height:1.25}</style></head>
<body><main><h1>The connector is not set up</h1>
<p>It runs, but its settings are faulty, and nothing works until they are put right. What is archived already is safe.</p>
<p>Which settings are faulty, and what to set, is in the connector's log: in the Azure portal, open the function app, then <strong>Log stream</strong>, or search its logs for <strong>settings are faulty</strong>. Settings are under <strong>Environment variables</strong>; the app starts again by itself when they are changed.</p>
</main></body></html>`

// Unavailable stands in for the HTTP handler while the connector's settings are
// faulty: it answers every request with 503. Which settings are faulty is in the log,
// and never in an answer.
func Unavailable(log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		log.WarnContext(r.Context(), "a request cannot be served: the settings are faulty, the log says at the connector's start which")
		if strings.Contains(r.Header.Get("Accept"), "text/html") {
			h := w.Header()
			h.Set("Content-Type", "text/html; charset=utf-8")
			h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
			h.Set("X-Content-Type-Options", "nosniff")
			h.Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, unavailable)
			return
		}
		fail(w, http.StatusServiceUnavailable, "The connector is not set up; its log says what is missing.")
	})
}
