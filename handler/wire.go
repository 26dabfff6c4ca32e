package main

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"xarchive/handler/internal/access"
	"xarchive/handler/internal/activity"
	"xarchive/handler/internal/api"
	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/audit"
	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/browse"
	"xarchive/handler/internal/capture"
	"xarchive/handler/internal/config"
	"xarchive/handler/internal/connection"
	"xarchive/handler/internal/daily"
	"xarchive/handler/internal/deliver"
	"xarchive/handler/internal/gone"
	"xarchive/handler/internal/health"
	"xarchive/handler/internal/history"
	"xarchive/handler/internal/importer"
	"xarchive/handler/internal/ingest"
	"xarchive/handler/internal/jobs"
	"xarchive/handler/internal/manifest"
	"xarchive/handler/internal/mentions"
	"xarchive/handler/internal/message"
	"xarchive/handler/internal/outbound"
	"xarchive/handler/internal/pages"
	"xarchive/handler/internal/reads"
	"xarchive/handler/internal/recheck"
	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/stamp"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/statement"
	"xarchive/handler/internal/telemetry"
	"xarchive/handler/internal/twitter"
	"xarchive/handler/internal/web"
)

// uploadMemory bounds the memory that uploads take together, in bytes.
const uploadMemory = 128 << 20

// app is the connector put together. Making it sends nothing.
type app struct {
	front   http.Handler // the Compliance Center's API and the pages
	ingest  *ingest.Ingest
	checker *connection.Checker
	guard   *access.Access
	ticks   health.Ticks
	capture *capture.Capture
	reads   *reads.Meter
}

func newApp(cfg config.Config, getenv func(string) string, log, strangers *slog.Logger, report *telemetry.Telemetry) (*app, error) {
	build, err := build()
	if err != nil {
		return nil, err
	}
	direct, err := outbound.New(outbound.Options{CAFile: getenv("SSL_CERT_FILE")})
	if err != nil {
		return nil, err
	}
	identity, err := secrets.Credential(getenv, direct)
	if err != nil {
		return nil, err
	}
	vault, err := secrets.New(secrets.Options{VaultURL: cfg.KeyVaultURL, Credential: identity, HTTP: direct, Getenv: getenv, Now: time.Now, Log: log})
	if err != nil {
		return nil, err
	}
	buffers := blob.NewBuffers(uploadMemory)
	account := blob.Account{URL: cfg.StorageAccountURL, ConnectionString: cfg.StorageConnectionString, Credential: identity, HTTP: direct, Buffers: buffers}
	store := state.New(account.Container(cfg.StateContainer))
	mail := archive.New(account.Container(cfg.ArchiveContainer))

	// X is reached at its API and at its media servers, nowhere else.
	toX := report.Outbound(outbound.AllowHosts(direct, cfg.XAPIURL, "https://pbs.twimg.com", "https://video.twimg.com"))
	keys, words := jobs.NewKeys(vault), new(twitter.Words)
	meter := reads.New(reads.Options{Store: store, Limit: cfg.XReadsPerMonth, Report: report, Now: time.Now, Log: log})
	goneOnes := &gone.Register{State: store, Archive: mail, Now: time.Now, Log: log}
	var keeper *activity.Keeper // it works on accounts as capture does, and says which come first
	captured := capture.New(capture.Options{
		First: func(ctx context.Context) map[string]bool { return keeper.First(ctx) },
		State: store, Archive: mail, Manifest: manifest.New(account.Container(cfg.ArchiveContainer)), Now: time.Now, Log: log, Telemetry: report, Version: build,
		Gone:   goneOnes,
		Media:  twitter.Media{HTTP: toX},
		Format: message.Format{To: cfg.ArchiveMailbox, Mailboxes: cfg.AuthorMailboxes},
		SignIn: func(ctx context.Context, job state.Job, fresh bool) (capture.X, error) {
			if fresh {
				keys.ForgetApp()
				keys.ForgetAccount(job.ID)
			}
			app, err := keys.App(ctx)
			if err != nil {
				return nil, err
			}
			account, err := keys.Account(ctx, job.ID)
			if err != nil {
				return nil, err
			}
			return words.Client(toX, cfg.XAPIURL, app, account.Token).Counting(meter.Counter(job.AccountID)), nil
		},
	})
	inAppsName := func(ctx context.Context, accountID string) (*twitter.AppClient, error) {
		app, err := keys.App(ctx)
		if err != nil {
			return nil, err
		}
		return words.App(toX, cfg.XAPIURL, app).Counting(meter.Counter(accountID)), nil
	}
	public := pages.PublicURL(getenv("WEBSITE_HOSTNAME"))
	keeper = activity.NewKeeper(activity.KeeperOptions{On: cfg.Activity, Address: public + activity.Path, State: store, Archive: mail, Capture: captured, Gone: goneOnes,
		Open:   func(ctx context.Context) (activity.X, error) { return inAppsName(ctx, "") },
		Budget: meter, Telemetry: report, Now: time.Now, Log: log})
	events := importer.NewEvents(importer.EventsOptions{
		BaseURL: cfg.ImportEventURL, AuthorityURL: cfg.AADAuthorityURL, TenantID: cfg.TenantID, HTTP: report.Outbound(direct), Secrets: vault})
	delivered := &deliver.Deliver{
		State: store, Archive: mail, Now: time.Now, Log: log, Telemetry: report,
		OpenInbox: func(sasURL string) (deliver.Inbox, error) { return importer.OpenContainer(sasURL, direct, buffers) },
		Item:      importer.NewItems(cfg.AuthorMailboxes, cfg.ImportItemLimit).Write,
		Events:    events, Changes: events,
	}
	chain := manifest.New(account.Container(cfg.ArchiveContainer))
	states := statement.Maker{State: store, Archive: mail, Manifests: chain, Now: time.Now}
	days := daily.New(daily.Options{
		Statement: func(ctx context.Context, month statement.Month) (statement.Statement, error) {
			return states.Make(ctx, month, "")
		},
		State: store, Archive: mail, Manifest: chain, Now: time.Now, Log: log, Telemetry: report,
		Stamp: stamping(cfg.TimestampURL, direct, report), Stamped: stamped(nil)})
	guard := access.New(access.Options{
		TenantID: cfg.TenantID, Secrets: vault, Now: time.Now, AuthorityURL: cfg.AADAuthorityURL, HTTP: direct})
	changes := audit.New(account.Container(cfg.ArchiveContainer), time.Now)
	work := jobs.New(jobs.Options{
		TenantID: cfg.TenantID, XAPIURL: cfg.XAPIURL, State: store, Secrets: vault, HTTP: toX, Count: meter.Counter(""), Now: time.Now, Log: log, Audit: changes,
		AllowLoopbackBlobs: account.Emulated()})
	checker := connection.New(connection.Options{
		TenantID: cfg.TenantID, XAPIURL: cfg.XAPIURL, XHTTP: toX, AuthorityURL: cfg.AADAuthorityURL, EntraHTTP: direct, Secrets: vault,
		Reach: func(ctx context.Context) error {
			return errors.Join(account.Container(cfg.StateContainer).Reach(ctx), account.Container(cfg.ArchiveContainer).Reach(ctx))
		},
		Events: checkEvents(cfg.Activity, keeper),
	})
	judge := health.Judge{Records: store, Settings: work.Settings, Mentions: cfg.Mentions, Activity: cfg.Activity, Now: time.Now}
	calls := api.New(api.Options{TenantID: cfg.TenantID, Access: guard, Jobs: work, Health: judge, Now: time.Now, Log: log, Strangers: strangers})
	door := activity.NewDoor(activity.DoorOptions{On: cfg.Activity, State: store, Now: time.Now, Log: log, Strangers: strangers, Refuse: calls.Refuse,
		Secret: func(ctx context.Context) (string, error) {
			app, err := keys.App(ctx)
			return app.Secret, err
		}})
	people := pages.New(pages.Options{
		TenantID: cfg.TenantID, XAPIURL: cfg.XAPIURL, PublicURL: public,
		Access: guard, Changes: changes, Jobs: work, Health: judge, Records: store, ReadsLimit: cfg.XReadsPerMonth, Connections: checker.Tests, Version: release, Now: time.Now, Log: log, Strangers: strangers,
		Archive:   browse.Browser{Archive: mail, Manifests: manifest.New(account.Container(cfg.ArchiveContainer)), Version: build, Now: time.Now},
		Statement: states.Make})
	return &app{
		front:   route(calls, people, door),
		checker: checker,
		guard:   guard,
		capture: captured,
		reads:   meter,
		ticks:   store,
		ingest: &ingest.Ingest{Capture: captured, Deliver: delivered,
			Audit:    recheck.New(recheck.Options{State: store, Archive: mail, Capture: captured, Gone: goneOnes, Budget: meter, Days: cfg.AuditDays, Now: time.Now, Log: log}),
			Activity: keeper,
			Mentions: mentions.New(mentions.Options{State: store, Capture: captured, On: cfg.Mentions, Budget: meter, Report: report, Now: time.Now, Log: log}),
			History: history.New(history.Options{State: store, Capture: captured, Now: time.Now, Log: log,
				Budget: meter,
				Open:   func(ctx context.Context, accountID string) (history.X, error) { return inAppsName(ctx, accountID) }}),
			Sweep: store, Daily: days, Ticks: store, Now: time.Now, Log: log,
			ReportEnds: func(ctx context.Context) error {
				known, err := vault.Describe(ctx, secrets.AADApplicationSecret)
				for _, s := range known {
					report.SecretEnds(ctx, s.Name, s.Ends, time.Now())
				}
				return err
			},
			Limit: cfg.FunctionTimeout - ingest.Margin(cfg.FunctionTimeout)},
	}, nil
}

// route puts the calls, the pages and the door for X's events behind one router. What no route takes is
// answered with a page for a browser and with JSON for everybody else.
func route(calls *api.API, people *pages.Pages, events *activity.Door) *web.Mux {
	mux := web.New(func(w http.ResponseWriter, r *http.Request, status int) {
		if strings.Contains(r.Header.Get("Accept"), "text/html") {
			people.Refuse(w, r, status)
			return
		}
		calls.Refuse(w, r, status)
	})
	calls.Register(mux)
	people.Register(mux)
	events.Register(mux)
	return mux
}

// checkEvents asks X whether it sends its events here; nil if it is not to.
func checkEvents(on bool, keeper *activity.Keeper) func(context.Context) error {
	if !on {
		return nil
	}
	return keeper.Check
}

// stamping asks the time-stamping authority; nil if there is none.
func stamping(url string, direct *http.Client, report *telemetry.Telemetry) func(context.Context, []byte) ([]byte, error) {
	if url == "" {
		return nil
	}
	return stamp.Authority{URL: url, HTTP: report.Outbound(outbound.AllowHosts(direct, url))}.Stamp
}

// stamped checks time stamps. roots are the certificates that are trusted; nil are the
// system's.
func stamped(roots *x509.CertPool) func(token, data []byte) (time.Time, bool, error) {
	return func(token, data []byte) (time.Time, bool, error) {
		s, err := stamp.Check(token, data, roots)
		return s.At, s.Root, err
	}
}
