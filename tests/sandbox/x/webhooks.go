package x

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"xarchive/tests/sandbox/corpus"
)

// activity is the Activity API: webhooks, and who is told of what. X takes all of it from
// the app alone.
// https://docs.x.com/x-api/webhooks/introduction, .../activity/introduction
type activity struct {
	hooks []webhook
	subs  []subscription
	made  int // webhooks, subscriptions and events, which are numbered
}

type webhook struct {
	ID      string `json:"id"`
	URL     string `json:"url"`
	Valid   bool   `json:"valid"`
	Created string `json:"created_at"`
}

type subscription struct {
	ID        string            `json:"subscription_id"`
	EventType string            `json:"event_type"`
	Filter    map[string]string `json:"filter"`
	Tag       string            `json:"tag,omitempty"`
	WebhookID string            `json:"webhook_id"`
}

// hookTime is how long X waits for a webhook.
const hookTime = 10 * time.Second

// body reads a call's body as X's specification has it: known members, those that are
// required, texts of a length or of a list.
func (s *Server) body(a *answer, r *http.Request, endpoint string, into any) bool {
	raw, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var members map[string]json.RawMessage
	if err != nil || json.Unmarshal(raw, &members) != nil || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		a.invalid([]paramFault{{nil, "The body is not JSON"}})
		return false
	}
	var faults []paramFault
	for _, of := range s.specs { // whichever X speaks
		faults = append(faults, of.bodies[endpoint].faults(members)...)
	}
	if len(faults) == 0 {
		if err := json.Unmarshal(raw, into); err != nil {
			faults = append(faults, paramFault{nil, err.Error()})
		}
	}
	if len(faults) > 0 {
		a.invalid(faults)
		return false
	}
	return true
}

// faults says what in a body X does not take.
func (b bodySpec) faults(members map[string]json.RawMessage) (faults []paramFault) {
	for _, name := range b.Required {
		if _, there := members[name]; !there {
			faults = append(faults, paramFault{map[string][]string{name: {}}, "The `" + name + "` field is required"})
		}
	}
	for name, value := range members {
		rule, known := b.Properties[name]
		var text string
		isText := json.Unmarshal(value, &text) == nil
		switch {
		case !known:
			faults = append(faults, paramFault{map[string][]string{name: {string(value)}}, "The field [" + name + "] is not known"})
		case rule.Enum != nil && !slices.Contains(rule.Enum, text), isText && rule.MaxLength > 0 && (len(text) > rule.MaxLength || len(text) < rule.MinLength):
			faults = append(faults, paramFault{map[string][]string{name: {text}}, "The `" + name + "` field is not valid"})
		}
	}
	return faults
}

// newID numbers something of the Activity API. s.mu must be held.
func (s *Server) newID() string {
	s.activity.made++
	return corpus.NewID(s.now(), s.activity.made)
}

// signature is what X and a webhook's owner make of a text.
func (s *Server) signature(text []byte) string {
	mac := hmac.New(sha256.New, []byte(s.opt.ConsumerSecret))
	mac.Write(text)
	return "sha256=" + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// challenged asks a webhook whether it is the app's (CRC).
func (s *Server) challenged(ctx context.Context, address string) error {
	if s.opt.Webhooks == nil {
		return errors.New("X reaches no webhooks here")
	}
	token := rand.Text()
	ctx, cancel := context.WithTimeout(ctx, hookTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"?"+url.Values{"crc_token": {token}}.Encode(), nil)
	if err != nil {
		return err
	}
	resp, err := s.opt.Webhooks.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var got struct {
		Token string `json:"response_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d, %v", resp.StatusCode, err)
	}
	if got.Token != s.signature([]byte(token)) {
		return errors.New("the response_token is wrong")
	}
	return nil
}

func (s *Server) listWebhooks(a *answer, _ *http.Request, _ string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a.json(http.StatusOK, map[string]any{"data": append([]webhook{}, s.activity.hooks...), "meta": map[string]int{"result_count": len(s.activity.hooks)}})
}

func (s *Server) addWebhook(a *answer, r *http.Request, _ string) {
	var ask struct{ URL string }
	if !s.body(a, r, "POST /2/webhooks", &ask) {
		return
	}
	u, err := url.Parse(ask.URL)
	fault := func(message string) { a.invalid([]paramFault{{map[string][]string{"url": {ask.URL}}, message}}) }
	s.mu.Lock()
	there := slices.ContainsFunc(s.activity.hooks, func(h webhook) bool { return h.URL == ask.URL })
	s.mu.Unlock()
	switch {
	case err != nil || u.Scheme != "https" || u.Host == "" || u.Port() != "":
		fault("UrlValidationFailed: an https URL without a port is expected")
		return
	case there:
		fault("DuplicateUrlFailed: the URL is registered already")
		return
	}
	if err := s.challenged(r.Context(), ask.URL); err != nil {
		fault("CrcValidationFailed: " + err.Error())
		return
	}
	s.mu.Lock()
	h := webhook{s.newID(), ask.URL, true, s.now().UTC().Format(time.RFC3339)}
	s.activity.hooks = append(s.activity.hooks, h)
	s.mu.Unlock()
	a.json(http.StatusOK, map[string]any{"data": h})
}

// last is the last part of a request's path.
func last(r *http.Request) string { return r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:] }

func (s *Server) checkWebhook(a *answer, r *http.Request, _ string) {
	id := last(r)
	s.mu.Lock()
	at := slices.IndexFunc(s.activity.hooks, func(h webhook) bool { return h.ID == id })
	var address string
	if at >= 0 {
		address = s.activity.hooks[at].URL
	}
	s.mu.Unlock()
	if at < 0 {
		a.problem(http.StatusNotFound, "Not Found", "")
		return
	}
	valid := s.challenged(r.Context(), address) == nil
	s.setValid(id, valid)
	a.json(http.StatusOK, map[string]any{"data": map[string]bool{"valid": valid}})
}

func (s *Server) setValid(id string, valid bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.activity.hooks {
		if s.activity.hooks[i].ID == id {
			s.activity.hooks[i].Valid = valid
		}
	}
}

// Invalidate has X take every webhook for one that does not answer.
func (s *Server) Invalidate() {
	for _, h := range s.Webhooks() {
		s.setValid(h.ID, false)
	}
}

// Webhook is a webhook as X knows it.
type Webhook struct {
	ID, URL string
	Valid   bool
	// Accounts are the accounts of which it is told, each once for every kind of event.
	Accounts []string
}

// Webhooks returns all webhooks.
func (s *Server) Webhooks() (list []Webhook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.activity.hooks {
		w := Webhook{ID: h.ID, URL: h.URL, Valid: h.Valid}
		for _, sub := range s.activity.subs {
			if sub.WebhookID == h.ID {
				w.Accounts = append(w.Accounts, sub.Filter["user_id"])
			}
		}
		slices.Sort(w.Accounts)
		list = append(list, w)
	}
	return list
}

func (s *Server) removeWebhook(a *answer, r *http.Request, _ string) {
	s.mu.Lock()
	before := len(s.activity.hooks)
	s.activity.hooks = slices.DeleteFunc(s.activity.hooks, func(h webhook) bool { return h.ID == last(r) })
	s.activity.subs = slices.DeleteFunc(s.activity.subs, func(sub subscription) bool { return sub.WebhookID == last(r) })
	gone := len(s.activity.hooks) < before
	s.mu.Unlock()
	s.deletedOf(a, gone)
}

func (s *Server) deletedOf(a *answer, gone bool) {
	if !gone {
		a.problem(http.StatusNotFound, "Not Found", "")
		return
	}
	a.json(http.StatusOK, map[string]any{"data": map[string]bool{"deleted": true}})
}

func (s *Server) listSubscriptions(a *answer, _ *http.Request, _ string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a.json(http.StatusOK, map[string]any{"data": append([]subscription{}, s.activity.subs...)})
}

func (s *Server) subscribe(a *answer, r *http.Request, _ string) {
	var ask subscription
	if !s.body(a, r, "POST /2/activity/subscriptions", &ask) {
		return
	}
	account := ask.Filter["user_id"]
	_, known := s.opt.Corpus.User(account)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !known:
		a.invalid([]paramFault{{map[string][]string{"filter": {account}}, "The filter names no user"}})
		return
	case !slices.ContainsFunc(s.activity.hooks, func(h webhook) bool { return h.ID == ask.WebhookID }):
		a.invalid([]paramFault{{map[string][]string{"webhook_id": {ask.WebhookID}}, "There is no such webhook"}})
		return
	case s.protected[account]:
		a.problem(http.StatusForbidden, "Forbidden", "The user is protected")
		return
	case slices.ContainsFunc(s.activity.subs, func(o subscription) bool {
		return o.EventType == ask.EventType && o.Filter["user_id"] == account && o.WebhookID == ask.WebhookID
	}):
		a.invalid([]paramFault{{map[string][]string{"filter": {account}}, "DuplicateSubscription"}})
		return
	}
	ask.ID = s.newID()
	s.activity.subs = append(s.activity.subs, ask)
	a.json(http.StatusOK, map[string]any{"data": map[string]any{"subscription": ask}})
}

func (s *Server) unsubscribe(a *answer, r *http.Request, _ string) {
	s.mu.Lock()
	before := len(s.activity.subs)
	s.activity.subs = slices.DeleteFunc(s.activity.subs, func(sub subscription) bool { return sub.ID == last(r) })
	gone := len(s.activity.subs) < before
	s.mu.Unlock()
	s.deletedOf(a, gone)
}

// Event is what X sends to a webhook.
type Event struct {
	Body      []byte
	Signature string
}

// Event makes an event of a post, signed: "post.create" or "post.delete".
func (s *Server) Event(kind string, p corpus.Post) Event {
	s.mu.Lock()
	id := s.newID()
	s.mu.Unlock()
	payload := map[string]any{"id": p.ID, "author_id": p.AuthorID}
	if kind == "post.create" {
		payload["text"] = p.Text
	}
	body := marshal(map[string]any{"data": map[string]any{"event_type": kind, "event_uuid": id, "filter": map[string]string{"user_id": p.AuthorID}, "tag": "archive", "payload": payload}})
	return Event{body, s.signature(body)}
}

// Tell sends an event of a post to every webhook that is told of it. It returns an error
// unless each takes it, and if there is none.
func (s *Server) Tell(ctx context.Context, kind string, p corpus.Post) error {
	s.mu.Lock()
	var to []string
	for _, sub := range s.activity.subs {
		for _, h := range s.activity.hooks {
			if h.ID == sub.WebhookID && h.Valid && sub.EventType == kind && sub.Filter["user_id"] == p.AuthorID {
				to = append(to, h.URL)
			}
		}
	}
	s.mu.Unlock()
	if len(to) == 0 {
		return fmt.Errorf("nobody is told of %s of account %s", kind, p.AuthorID)
	}
	e := s.Event(kind, p)
	for _, address := range to {
		status, err := s.Send(ctx, address, e)
		if err == nil && status != http.StatusOK {
			err = errors.New("status " + strconv.Itoa(status))
		}
		if err != nil {
			return fmt.Errorf("sending %s to %s: %w", kind, address, err)
		}
	}
	return nil
}

// Send sends an event to an address, and returns the answer's status.
func (s *Server) Send(ctx context.Context, address string, e Event) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, hookTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(e.Body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	if e.Signature != "" {
		req.Header.Set("x-twitter-webhooks-signature", e.Signature)
	}
	resp, err := s.opt.Webhooks.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}
