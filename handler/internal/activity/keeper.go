package activity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/capture"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/gone"
	"xarchive/handler/internal/panics"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/telemetry"
	"xarchive/handler/internal/twitter"
)

// X keeps webhooks and subscriptions in the app's name; *twitter.AppClient.
type X interface {
	Webhooks(ctx context.Context) ([]twitter.Webhook, error)
	AddWebhook(ctx context.Context, address string) (twitter.Webhook, error)
	CheckWebhook(ctx context.Context, id string) error
	RemoveWebhook(ctx context.Context, id string) error
	Subscriptions(ctx context.Context) ([]twitter.Subscription, error)
	Subscribe(ctx context.Context, s twitter.Subscription) error
	Unsubscribe(ctx context.Context, id string) error
}

// KeeperOptions is what a Keeper needs.
type KeeperOptions struct {
	On      bool   // X_ACTIVITY; else what there is at X is removed
	Address string // where X is to send events, with its path; "" or not https: nowhere
	State   *state.Store
	Archive *archive.Archive
	Capture *capture.Capture
	Gone    *gone.Register
	Open    func(ctx context.Context) (X, error)
	Budget  capture.Budget // nil: no limit

	Telemetry *telemetry.Telemetry // nil: none
	Now       func() time.Time
	Log       *slog.Logger
}

// Keeper works on events, and keeps the webhook. Several instances may run at once.
type Keeper struct {
	opt KeeperOptions

	mu    sync.Mutex
	clear time.Time // when this process last knew that there is nothing at X, and nothing to be
}

// NewKeeper returns a Keeper. Nothing is sent yet.
func NewKeeper(o KeeperOptions) *Keeper { return &Keeper{opt: o} }

const (
	// checkEvery is how often X is asked whether everything is as it is to be.
	checkEvery = time.Hour
	// pause is how long X is not asked again after a failure.
	pause = 15 * time.Minute
	// patience is how long X may show a post that it has said is deleted.
	patience = 24 * time.Hour
	// retry is when such a post is asked for again.
	retry = 10 * time.Minute
)

// ErrAddress: nobody knows where X is to send events.
var ErrAddress = fault.Refuse(fault.Settings, "X sends events to an https address only, and the connector does not know one of its own (WEBSITE_HOSTNAME, which Azure sets). Set X_ACTIVITY to false where there is none.")

// First returns the accounts that X says have posted: their turns come first.
func (k *Keeper) First(ctx context.Context) map[string]bool {
	if !k.opt.On {
		return nil
	}
	accounts, err := k.opt.State.EventAccounts(ctx)
	if err != nil {
		k.opt.Log.WarnContext(ctx, "which accounts X tells of cannot be read; none comes first", "error", err.Error())
		return nil
	}
	return accounts
}

// Run works on the events that came, and sees that X sends them. X's refusals are written
// down, counted as failures, and no error: new posts are read without events, too.
func (k *Keeper) Run(ctx context.Context) (worked int, err error) {
	if !k.opt.On {
		return 0, k.off(ctx)
	}
	worked, workErr := k.work(ctx)
	return worked, errors.Join(workErr, k.keep(ctx, worked > 0))
}

// keep sees that the webhook and its subscriptions are as they are to be.
func (k *Keeper) keep(ctx context.Context, heard bool) error {
	now := k.opt.Now().UTC()
	jobs, _, err := k.opt.State.Jobs(ctx) // damaged ones are reported by package capture
	if err != nil {
		return fmt.Errorf("activity: reading the jobs: %w", err)
	}
	var accounts []string
	for _, j := range jobs {
		if j.AccountID != "" && !slices.Contains(accounts, j.AccountID) {
			accounts = append(accounts, j.AccountID)
		}
	}
	slices.Sort(accounts)
	record, err := k.opt.State.Activity(ctx)
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return fmt.Errorf("activity: reading what X was told: %w", err)
	}
	same := slices.Equal(record.Accounts, accounts) && record.URL == k.opt.Address
	if now.Before(record.Until) || same && record.Problem == nil && now.Sub(record.CheckedAt) < checkEvery {
		if !heard {
			return nil
		}
		record.LastEvent = now
		return k.save(ctx, record)
	}
	if heard {
		record.LastEvent = now
	}
	ctx, span := k.opt.Telemetry.Activity(ctx)
	err = panics.Catch(func() error { return k.settle(ctx, &record, accounts) })
	if ctx.Err() != nil {
		span.End(nil)
		return nil // at a later tick
	}
	span.End(err)
	if err != nil {
		record.Problem, record.Until = state.NewProblem(err, now), now.Add(pause)
		var limit *twitter.RateLimitError
		if errors.As(err, &limit) {
			record.Until = limit.Reset.UTC()
		}
		k.opt.Log.WarnContext(ctx, "X does not send its events; posts are read as without them", "reason", err.Error(), "notBefore", record.Until)
	} else {
		record.Problem, record.Until, record.CheckedAt = nil, time.Time{}, now
	}
	return k.save(ctx, record)
}

func (k *Keeper) save(ctx context.Context, record state.Activity) error {
	if err := k.opt.State.SaveActivity(ctx, &record); err != nil && !errors.Is(err, state.ErrClaimed) {
		return fmt.Errorf("activity: writing down what X was told: %w", err)
	}
	return nil
}

// webhooks asks X which webhooks the app has. It returns ErrAddress, asking nothing, where
// there can be none.
func (k *Keeper) webhooks(ctx context.Context) (X, []twitter.Webhook, error) {
	if !strings.HasPrefix(k.opt.Address, "https://") {
		return nil, nil, ErrAddress
	}
	x, err := k.opt.Open(ctx)
	if err != nil {
		return nil, nil, err
	}
	hooks, err := x.Webhooks(ctx)
	return x, hooks, err
}

// settle makes what there is at X what is to be. Repeating it is harmless.
func (k *Keeper) settle(ctx context.Context, record *state.Activity, accounts []string) error {
	x, hooks, err := k.webhooks(ctx)
	if err != nil {
		return err
	}
	subscriptions, err := x.Subscriptions(ctx)
	if err != nil {
		return err
	}
	if old := record.WebhookID; old != "" && record.URL != k.opt.Address { // the connector has moved
		if err := remove(ctx, x, old, subscriptions); err != nil {
			return err
		}
		record.WebhookID, record.Accounts = "", nil
	}
	at := slices.IndexFunc(hooks, func(h twitter.Webhook) bool { return h.URL == k.opt.Address })
	switch {
	case at < 0:
		hook, err := x.AddWebhook(ctx, k.opt.Address)
		if err != nil {
			return err
		}
		k.opt.Log.InfoContext(ctx, "X sends its events from now on", "webhook", hook.ID)
		record.WebhookID = hook.ID
	default:
		record.WebhookID = hooks[at].ID
		if !hooks[at].Valid {
			if err := x.CheckWebhook(ctx, hooks[at].ID); err != nil {
				return err
			}
		}
	}
	record.URL = k.opt.Address
	var have []twitter.Subscription
	for _, s := range subscriptions {
		if s.WebhookID != record.WebhookID {
			continue
		}
		if whats[s.EventType] == "" || !slices.Contains(accounts, s.AccountID) {
			if err := x.Unsubscribe(ctx, s.ID); err != nil {
				return err
			}
			continue
		}
		have = append(have, s)
	}
	var refused []error // X may refuse one account, a protected one, and take the others
	for _, account := range accounts {
		for _, event := range []string{twitter.PostCreated, twitter.PostDeleted} {
			if slices.ContainsFunc(have, func(s twitter.Subscription) bool { return s.AccountID == account && s.EventType == event }) {
				continue
			}
			err := x.Subscribe(ctx, twitter.Subscription{EventType: event, AccountID: account, WebhookID: record.WebhookID})
			var limit *twitter.RateLimitError
			if ctx.Err() != nil || errors.As(err, &limit) {
				return err
			}
			if err != nil {
				refused = append(refused, fmt.Errorf("account %s, %s: %w", account, event, err))
			}
		}
	}
	if len(refused) > 0 {
		return errors.Join(refused...)
	}
	record.Accounts = accounts
	return nil
}

// remove takes a webhook and what is sent to it off X.
func remove(ctx context.Context, x X, webhook string, subscriptions []twitter.Subscription) error {
	for _, s := range subscriptions {
		if s.WebhookID == webhook {
			if err := x.Unsubscribe(ctx, s.ID); err != nil {
				return err
			}
		}
	}
	return x.RemoveWebhook(ctx, webhook)
}

// off removes what there is at X, and what came and was not worked on.
func (k *Keeper) off(ctx context.Context) error {
	now := k.opt.Now()
	k.mu.Lock()
	recent := now.Sub(k.clear).Abs() < checkEvery
	k.mu.Unlock()
	if recent {
		return nil
	}
	record, err := k.opt.State.Activity(ctx)
	switch {
	case errors.Is(err, state.ErrNotFound):
		k.mu.Lock()
		defer k.mu.Unlock()
		k.clear = now
		return nil
	case err != nil:
		return fmt.Errorf("activity: reading what X was told: %w", err)
	case now.Before(record.Until):
		return nil
	}
	ctx, span := k.opt.Telemetry.Activity(ctx)
	err = panics.Catch(func() error {
		if record.WebhookID == "" {
			return nil
		}
		x, err := k.opt.Open(ctx)
		if err != nil {
			return err
		}
		subscriptions, err := x.Subscriptions(ctx)
		if err != nil {
			return err
		}
		return remove(ctx, x, record.WebhookID, subscriptions)
	})
	if ctx.Err() != nil {
		span.End(nil)
		return nil
	}
	span.End(err)
	if err != nil {
		record.Problem, record.Until = state.NewProblem(err, now), now.Add(pause).UTC()
		k.opt.Log.WarnContext(ctx, "X could not be told to send no more events; it is tried again", "reason", err.Error())
		return k.save(ctx, record)
	}
	events, _, err := k.opt.State.Events(ctx)
	for _, e := range events {
		err = errors.Join(err, k.opt.State.EndEvent(ctx, e))
	}
	if err == nil {
		err = k.opt.State.RemoveActivity(ctx, record)
	}
	if err != nil && !errors.Is(err, state.ErrClaimed) {
		return fmt.Errorf("activity: forgetting what X was told: %w", err)
	}
	k.opt.Log.InfoContext(ctx, "X sends its events no more")
	return nil
}
