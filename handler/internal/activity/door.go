// Package activity hears from X's Activity API what happens with the accounts' posts:
// that one was made, and that one was deleted.
//
// [Door] is where X knocks: it answers X's challenge, and keeps each event that X has
// signed until the next tick. It asks X nothing. [Keeper] works on the events in ticks, and
// keeps the webhook and its subscriptions at X as they are to be. An event is a hint: the
// posts themselves are read as always, an account of which X tells something before
// others; and a deletion is recorded when a look-up of the post confirms it (package
// gone), as the audit does.
//
// https://docs.x.com/x-api/webhooks/introduction
package activity

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
	"xarchive/handler/internal/web"
)

// Path is where X sends events to, below the connector's address.
const Path = "/api/XActivity"

// DoorOptions is what a Door needs.
type DoorOptions struct {
	On     bool                                      // X_ACTIVITY; else nobody is there
	Secret func(ctx context.Context) (string, error) // of the app at X: its API key secret
	State  *state.Store
	Now    func() time.Time
	Log    *slog.Logger
	// Strangers is where refusals are logged, bounded: anybody may knock.
	Strangers *slog.Logger
	Refuse    web.Refuse
}

// Door answers X.
type Door struct{ opt DoorOptions }

// NewDoor returns a Door.
func NewDoor(o DoorOptions) *Door { return &Door{o} }

// Register adds the routes.
func (d *Door) Register(m *web.Mux) {
	m.Handle("GET "+Path, d.challenge)
	m.Handle("POST "+Path, d.event)
}

const (
	// signatureField is the header that X signs an event in.
	signatureField = "X-Twitter-Webhooks-Signature"
	// maxEvent bounds an event, in bytes.
	maxEvent = 1 << 20
	// oldest is how old an event may be. What was worked on is remembered for longer, so
	// that no event can be played again.
	oldest = 3 * 24 * time.Hour
	// early is how much later than now an event may be: clocks differ.
	early = 5 * time.Minute
)

// token is what X's challenge may be. X proves with the same secret and the same function
// who sends an event, so that whoever could have any text answered here could sign an
// event. What is a token is therefore no event, whoever has signed it.
var token = regexp.MustCompile(`^[A-Za-z0-9_=+/.~-]{1,256}$`)

// sign returns what X and we make of a text with the app's secret.
func sign(secret string, text []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(text)
	return "sha256=" + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// challenge answers X's question whether the webhook is the app's (CRC).
func (d *Door) challenge(w http.ResponseWriter, r *http.Request) {
	if !d.opt.On {
		d.opt.Refuse(w, r, http.StatusNotFound)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	asked := r.URL.Query().Get("crc_token")
	if !token.MatchString(asked) {
		d.refuse(w, r, http.StatusBadRequest, "a challenge that is none of X's")
		return
	}
	secret, err := d.opt.Secret(r.Context())
	if err != nil {
		d.fail(w, r, d.opt.Strangers, fmt.Errorf("reading the app's secret: %w", err))
		return
	}
	d.answer(w, http.StatusOK, map[string]string{"response_token": sign(secret, []byte(asked))})
}

// said is an event as X sends it.
type said struct {
	Data struct {
		Type   string `json:"event_type"`
		ID     string `json:"event_uuid"`
		Filter struct {
			UserID string `json:"user_id"`
		} `json:"filter"`
		Payload struct {
			ID       string `json:"id"`
			AuthorID string `json:"author_id"`
		} `json:"payload"`
	} `json:"data"`
}

// event keeps an event that X has signed.
func (d *Door) event(w http.ResponseWriter, r *http.Request) {
	if !d.opt.On {
		d.opt.Refuse(w, r, http.StatusNotFound)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEvent))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		d.refuse(w, r, http.StatusRequestEntityTooLarge, "an event that is too large")
		return
	case err != nil:
		d.refuse(w, r, http.StatusBadRequest, "an event that breaks off")
		return
	}
	secret, err := d.opt.Secret(r.Context())
	if err != nil {
		d.fail(w, r, d.opt.Strangers, fmt.Errorf("reading the app's secret: %w", err))
		return
	}
	if token.Match(body) || !hmac.Equal([]byte(sign(secret, body)), []byte(r.Header.Get(signatureField))) {
		d.refuse(w, r, http.StatusUnauthorized, "an event without X's signature")
		return
	}
	var got said
	if err := json.Unmarshal(body, &got); err != nil {
		d.opt.Log.WarnContext(r.Context(), "an event that X has signed cannot be read", "error", err.Error())
		d.refuse(w, r, http.StatusBadRequest, "an event that cannot be read")
		return
	}
	kept, why, err := d.keep(r.Context(), got)
	if err != nil {
		d.fail(w, r, d.opt.Log, fmt.Errorf("keeping an event of X: %w", err))
		return
	}
	log := d.opt.Log.With("event", got.Data.ID, "type", got.Data.Type, "account", got.Data.Filter.UserID)
	if !kept {
		log.InfoContext(r.Context(), "an event of X is passed over", "reason", why)
	} else {
		log.InfoContext(r.Context(), "X tells of a post", "post", got.Data.Payload.ID)
	}
	d.answer(w, http.StatusOK, struct{}{})
}

// whats are the events that matter.
var whats = map[string]string{twitter.PostCreated: state.EventCreated, twitter.PostDeleted: state.EventDeleted}

// keep keeps an event until the next tick, or says why it is passed over.
func (d *Door) keep(ctx context.Context, got said) (kept bool, why string, err error) {
	e := state.Event{ID: got.Data.ID, AccountID: got.Data.Filter.UserID, What: whats[got.Data.Type], PostID: got.Data.Payload.ID, At: d.opt.Now().UTC()}
	at, timed := post.IDTime(e.ID)
	switch {
	case e.What == "":
		return false, "nobody asked for its type", nil
	case post.CheckID(e.ID) != nil || post.CheckID(e.AccountID) != nil || post.CheckID(e.PostID) != nil || !timed:
		return false, "it has an id that is none of X's", nil
	case got.Data.Payload.AuthorID != "" && got.Data.Payload.AuthorID != e.AccountID:
		return false, "it is about another account's post", nil
	case e.At.Sub(at) > oldest, at.Sub(e.At) > early:
		return false, "its id is of another time", nil
	}
	owner, err := d.opt.State.Owner(ctx, e.AccountID, e.At)
	if err != nil || owner == "" {
		return false, "no job archives the account", err
	}
	kept, err = d.opt.State.AddEvent(ctx, e)
	return kept, "it came before", err
}

func (d *Door) answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the caller may be gone
}

func (d *Door) refuse(w http.ResponseWriter, r *http.Request, status int, what string) {
	d.opt.Strangers.WarnContext(r.Context(), "refused at the door for X's events: "+what, "status", status)
	d.answer(w, status, map[string]string{"Message": strings.ToUpper(what[:1]) + what[1:] + "."})
}

// fail logs to Strangers what anybody can cause.
func (d *Door) fail(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	problem := web.Explain(r.Context(), log, "taking an event of X", err)
	if problem.Status < 500 {
		problem.Status = fault.Of(fault.New(fault.Storage, "")).Status // X is to come again
	}
	d.answer(w, problem.Status, map[string]string{"Message": "Not now."})
}
