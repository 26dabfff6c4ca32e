package secrets

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestDescribeTheEnvironment(t *testing.T) {
	s, err := New(Options{Getenv: func(name string) string {
		return map[string]string{"API_SECRET_KEY": "hush", "TWITTER_API_KEY": " \n"}[name]
	}, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Describe(context.Background(), APISecretKey, TwitterAPIKey)
	if err != nil {
		t.Fatal(err)
	}
	want := []Info{{Name: APISecretKey, Set: true, From: "environment variable API_SECRET_KEY"},
		{Name: TwitterAPIKey, From: "environment variable TWITTER_API_KEY"}}
	if got[0] != want[0] || got[1] != want[1] {
		t.Errorf("want %+v, got %+v", want, got)
	}
}

func TestDescribeAVault(t *testing.T) {
	v := newKeyVault(t)
	s := openKeyVault(t, v)
	changed := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	ends := changed.AddDate(1, 0, 0)
	v.do(func() {
		v.live[TwitterAPIKey] = "hush"
		v.live[AADApplicationURI] = ""
		v.created = map[string]time.Time{TwitterAPIKey: changed}
		v.ends = map[string]*time.Time{TwitterAPIKey: &ends}
	})
	got, err := s.Describe(context.Background(), TwitterAPIKey, AADApplicationURI, APISecretKey)
	if err != nil {
		t.Fatal(err)
	}
	if !got[0].Set || !got[0].Changed.Equal(changed) || !got[0].Ends.Equal(ends) || !strings.HasPrefix(got[0].From, "Key Vault 127.0.0.1") {
		t.Errorf("%+v", got[0])
	}
	if got[1].Set || got[2].Set || got[2].Name != APISecretKey || !got[2].Changed.IsZero() || !got[1].Ends.IsZero() {
		t.Errorf("%+v", got[1:])
	}
	v.do(func() { v.fail = 403 })
	if _, err := s.Describe(context.Background(), TwitterAPIKey); !errors.Is(err, ErrForbidden) || !errors.Is(err, ErrUnavailable) {
		t.Errorf("refused: %v", err)
	}
	v.do(func() { v.fail = 400 })
	if _, err := s.Describe(context.Background(), TwitterAPIKey); errors.Is(err, ErrForbidden) || !errors.Is(err, ErrUnavailable) {
		t.Errorf("faulty: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Describe(ctx, TwitterAPIKey); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}
