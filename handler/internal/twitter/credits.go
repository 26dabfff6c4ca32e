package twitter

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Credits asks X for the app's pay-per-use balance in US dollars, which costs nothing.
// X does not document the call, and does not answer it to every app: [ErrNotFound] and
// [ErrForbidden] mean no more than that.
func (c *Client) Credits(ctx context.Context) (float64, error) {
	const what = "asking X for the balance of credits"
	rec, err := call(ctx, what, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/2/usage/credits", nil)
		if err != nil {
			return err
		}
		resp, err := c.api.Client.Do(req)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	})
	if err != nil {
		return 0, err
	}
	var got struct {
		Data struct {
			Total json.RawMessage `json:"total_balance"` // a number, or one in a string
		}
	}
	err = json.Unmarshal(rec.body, &got)
	var dollars float64
	if err == nil {
		dollars, err = strconv.ParseFloat(strings.Trim(string(got.Data.Total), `"`), 64)
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w: it names no balance", what, ErrIncomplete)
	}
	return dollars, nil
}
