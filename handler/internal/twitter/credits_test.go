package twitter

import (
	"errors"
	"testing"
)

// TestCredits: the balance is X's where X gives one, whatever form the number has.
func TestCredits(t *testing.T) {
	w := newWorld(t)
	if _, err := w.client.Credits(t.Context()); !errors.Is(err, ErrNotFound) {
		t.Errorf("an app that X tells no balance: %v", err)
	}
	w.x.Credit(12.34)
	if got, err := w.client.Credits(t.Context()); err != nil || got != 12.34 {
		t.Errorf("%v, %v, want 12.34", got, err)
	}
	for body, want := range map[string]error{
		`{"data":{"total_balance":"0.5"}}`: nil, `{"data":{}}`: ErrIncomplete, `{"data":{"total_balance":null}}`: ErrIncomplete, `<html>`: ErrIncomplete,
	} {
		w.answers(200, body)
		if got, err := w.client.Credits(t.Context()); !errors.Is(err, want) || err == nil && got != 0.5 {
			t.Errorf("%s: %v, %v, want %v", body, got, err, want)
		}
	}
}
