package twitter

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// usageFields is what is asked for of the app's usage.
const usageFields = "cap_reset_day"

// capped is X's refusal because the monthly cap is reached, which begins again at
// renews; zero if X does not say.
func capped(now, renews time.Time) *RateLimitError {
	wait := capWait
	if !renews.IsZero() {
		wait = min(max(renews.Sub(now), capPause), capWait)
	}
	return &RateLimitError{Reset: now.Add(wait).UTC(), Why: ErrUsageCap, Renews: renews}
}

// renewal is when a cap begins again by what the refusal alone says: a calendar month
// of UTC, where it names the month; else zero.
func (p problem) renewal(now time.Time) time.Time {
	if p.Period != "Monthly" {
		return time.Time{}
	}
	now = now.UTC()
	return time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC)
}

// Renewal returns a refusal for the monthly cap with the day on which X says that the
// app's cap begins again: its month need not be the calendar's. Asking is free. Where X
// does not answer, and for every other refusal, it returns the refusal as it is.
func (c *Client) Renewal(ctx context.Context, refusal *RateLimitError) *RateLimitError {
	if refusal.Why != ErrUsageCap {
		return refusal
	}
	renews, err := c.words.App(c.http, c.base, c.app).capRenews(ctx)
	if err != nil {
		return refusal
	}
	return capped(time.Now(), renews)
}

// capRenews asks X on which day the app's monthly cap begins again. X tells the number of
// days until then. (OpenAPI 2.166, getUsage, cap_reset_day)
func (c *AppClient) capRenews(ctx context.Context) (time.Time, error) {
	const what = "asking X when the monthly cap begins again"
	rec, err := call(ctx, what, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.bearer.base+"/2/usage/tweets?usage.fields="+usageFields, nil)
		if err != nil {
			return err
		}
		resp, err := c.client.api.Client.Do(req)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	})
	if err != nil {
		return time.Time{}, unwrapped(err)
	}
	var got struct {
		Data struct {
			Days *int `json:"cap_reset_day"`
		}
	}
	if err := json.Unmarshal(rec.body, &got); err != nil || got.Data.Days == nil || *got.Data.Days < 0 || *got.Data.Days > 31 {
		return time.Time{}, fmt.Errorf("%s: %w: it names no day", what, ErrIncomplete)
	}
	today := date(rec.header)
	if today.IsZero() {
		today = time.Now().UTC()
	}
	return today.Truncate(24*time.Hour).AddDate(0, 0, *got.Data.Days), nil
}
