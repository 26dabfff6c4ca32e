package twitter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// Events of posts that X's Activity API tells of.
// https://docs.x.com/x-api/activity/introduction
const (
	PostCreated = "post.create"
	PostDeleted = "post.delete"
)

// Webhook is an address that X sends events to.
type Webhook struct {
	ID    string `json:"id"`
	URL   string `json:"url"`
	Valid bool   `json:"valid"` // it answered X's last question as it must
}

// Subscription has X send one kind of event of one account to a webhook.
type Subscription struct {
	ID        string
	EventType string
	AccountID string
	WebhookID string
}

// subscription is a Subscription in X's words.
type subscription struct {
	ID        string `json:"subscription_id,omitempty"`
	EventType string `json:"event_type"`
	Filter    struct {
		UserID string `json:"user_id"`
	} `json:"filter"`
	WebhookID string `json:"webhook_id"`
	Tag       string `json:"tag,omitempty"`
}

// activityTag marks subscriptions in X's lists.
const activityTag = "archive"

// send makes a call in the app's name, with a JSON body unless it is nil, and reads the
// answer into into.
func (c *AppClient) send(ctx context.Context, what, method, path string, body, into any) error {
	var content []byte
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	rec, err := call(ctx, what, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, method, c.bearer.base+path, bytes.NewReader(content))
		if err != nil {
			return err
		}
		if body != nil {
			req.Header.Set("Content-Type", "application/json")
		}
		resp, err := c.client.api.Client.Do(req)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	})
	if err != nil {
		return unwrapped(err)
	}
	if err := json.Unmarshal(rec.body, into); err != nil {
		return fmt.Errorf("%s: %w: %w", what, ErrIncomplete, err)
	}
	return nil
}

// Webhooks lists the app's webhooks.
func (c *AppClient) Webhooks(ctx context.Context) ([]Webhook, error) {
	var got struct{ Data []Webhook }
	err := c.send(ctx, "listing the webhooks at X", http.MethodGet, "/2/webhooks", nil, &got)
	return got.Data, err
}

// AddWebhook registers an address, which X asks at once whether it is ours. Its error is
// [ErrInvalid] if the answer was not as it must be.
func (c *AppClient) AddWebhook(ctx context.Context, address string) (Webhook, error) {
	const what = "registering the webhook at X"
	var got struct{ Data Webhook }
	err := c.send(ctx, what, http.MethodPost, "/2/webhooks", map[string]string{"url": address}, &got)
	if err == nil && got.Data.ID == "" {
		err = fmt.Errorf("%s: %w: it has no id", what, ErrIncomplete)
	}
	return got.Data, err
}

// CheckWebhook has X ask a webhook again.
func (c *AppClient) CheckWebhook(ctx context.Context, id string) error {
	var got struct{ Data struct{ Valid bool } }
	const what = "having X check the webhook"
	err := c.send(ctx, what, http.MethodPut, "/2/webhooks/"+url.PathEscape(id), nil, &got)
	if err == nil && !got.Data.Valid {
		err = fmt.Errorf("%s: %w: it does not answer as X wants", what, ErrInvalid)
	}
	return err
}

// RemoveWebhook removes a webhook; one that is not there is no error.
func (c *AppClient) RemoveWebhook(ctx context.Context, id string) error {
	return c.remove(ctx, "removing the webhook at X", "/2/webhooks/"+url.PathEscape(id))
}

func (c *AppClient) remove(ctx context.Context, what, path string) error {
	var got struct{}
	if err := c.send(ctx, what, http.MethodDelete, path, nil, &got); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}

// Subscriptions lists the app's subscriptions.
func (c *AppClient) Subscriptions(ctx context.Context) (list []Subscription, err error) {
	var got struct{ Data []subscription }
	err = c.send(ctx, "listing the subscriptions at X", http.MethodGet, "/2/activity/subscriptions", nil, &got)
	for _, s := range got.Data {
		list = append(list, Subscription{s.ID, s.EventType, s.Filter.UserID, s.WebhookID})
	}
	return list, err
}

// Subscribe has X send events. The id of s is not looked at.
func (c *AppClient) Subscribe(ctx context.Context, s Subscription) error {
	ask := subscription{EventType: s.EventType, WebhookID: s.WebhookID, Tag: activityTag}
	ask.Filter.UserID = s.AccountID
	var got struct{}
	return c.send(ctx, fmt.Sprintf("subscribing to %s of account %s", s.EventType, s.AccountID), http.MethodPost, "/2/activity/subscriptions", ask, &got)
}

// Unsubscribe ends a subscription; one that is not there is no error.
func (c *AppClient) Unsubscribe(ctx context.Context, id string) error {
	return c.remove(ctx, "ending a subscription at X", "/2/activity/subscriptions/"+url.PathEscape(id))
}
