package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/capture"
	"xarchive/handler/internal/config"
	"xarchive/handler/internal/connector"
	"xarchive/handler/internal/connector/entra"
	"xarchive/handler/internal/deliver"
	"xarchive/handler/internal/importer"
	"xarchive/handler/internal/ingest"
	"xarchive/handler/internal/loopback"
	"xarchive/handler/internal/message"
	"xarchive/handler/internal/outbound"
	"xarchive/handler/internal/pages"
	"xarchive/handler/internal/pages/connection"
	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/storage"
	"xarchive/handler/internal/telemetry"
	"xarchive/handler/internal/twitter"
)

// app is the connector put together. Making it sends nothing.
type app struct {
	web     http.Handler // the Compliance Center's API and the pages
	ingest  *ingest.Ingest
	checker *connection.Checker
}

func newApp(cfg config.Config, getenv func(string) string, log *slog.Logger, report *telemetry.Telemetry) (*app, error) {
	web, err := outbound.New(outbound.Options{CAFile: getenv("SSL_CERT_FILE")})
	if err != nil {
		return nil, err
	}
	identity, err := secrets.Credential(getenv, web)
	if err != nil {
		return nil, err
	}
	keys, err := secrets.New(secrets.Options{VaultURL: cfg.KeyVaultURL, Credential: identity, HTTP: web, Getenv: getenv, Now: time.Now, Log: log})
	if err != nil {
		return nil, err
	}
	account := storage.Account{URL: cfg.StorageAccountURL, ConnectionString: cfg.StorageConnectionString, Credential: identity, HTTP: web}
	store := state.New(account.Container(cfg.StateContainer))
	mail := archive.New(account.Container(cfg.ArchiveContainer))

	// X is reached at its API and at its media servers, nowhere else.
	toX := report.Outbound(outbound.AllowHosts(web, cfg.XAPIURL, "https://pbs.twimg.com", "https://video.twimg.com"))
	captured := &capture.Capture{
		State: store, Archive: mail, Now: time.Now, Log: log, Telemetry: report,
		Media:  twitter.Media{HTTP: toX},
		Format: message.Format{To: cfg.ArchiveMailbox, Mailboxes: cfg.AuthorMailboxes},
		SignIn: func(ctx context.Context, jobID string, fresh bool) (capture.X, error) {
			if fresh {
				keys.ForgetX(jobID)
			}
			app, err := keys.XApp(ctx)
			if err != nil {
				return nil, err
			}
			account, err := keys.XAccount(ctx, jobID)
			if err != nil {
				return nil, err
			}
			return twitter.NewClient(toX, cfg.XAPIURL, app, account.Token), nil
		},
	}
	delivered := &deliver.Deliver{
		State: store, Archive: mail, Again: captured, Now: time.Now, Log: log, Telemetry: report,
		OpenInbox: func(sasURI string) (deliver.Inbox, error) { return importer.OpenContainer(sasURI, web) },
		Item: func(w io.Writer, eml io.Reader) error {
			return importer.FromMessage(w, eml, cfg.AuthorMailboxes)
		},
		Events: importer.NewEvents(importer.EventsOptions{
			BaseURL: cfg.ImportEventURL, AuthorityURL: cfg.AADAuthorityURL, TenantID: cfg.TenantID, HTTP: report.Outbound(web), Secrets: keys}),
	}
	api := connector.New(connector.Options{
		TenantID: cfg.TenantID, XAPIURL: cfg.XAPIURL, State: store, Secrets: keys, HTTP: toX, Now: time.Now, Log: log,
		AllowLoopbackBlobs: emulated(cfg),
		Bearer: entra.New(entra.Options{
			TenantID: cfg.TenantID, AuthorityURL: cfg.AADAuthorityURL, HTTP: web, Secrets: keys, Now: time.Now}),
	})
	checker := connection.New(connection.Options{
		TenantID: cfg.TenantID, XAPIURL: cfg.XAPIURL, XHTTP: toX, AuthorityURL: cfg.AADAuthorityURL, EntraHTTP: web, Secrets: keys,
		Reach: func(ctx context.Context) error {
			return errors.Join(account.Container(cfg.StateContainer).Reach(ctx), account.Container(cfg.ArchiveContainer).Reach(ctx))
		},
	})
	return &app{
		web: report.HTTP(pages.New(pages.Options{
			TenantID: cfg.TenantID, XAPIURL: cfg.XAPIURL, PublicURL: pages.PublicURL(getenv("WEBSITE_HOSTNAME")),
			API: api, Records: store, Activity: activity, Now: time.Now, Log: log, Checker: checker,
		})),
		checker: checker,
		ingest: &ingest.Ingest{Capture: captured, Deliver: delivered, Log: log,
			Limit: cfg.FunctionTimeout - ingest.Margin(cfg.FunctionTimeout)},
	}, nil
}

// activity is what the status page shows of an account's record.
func activity(a state.Account) pages.Activity {
	return pages.Activity{Daily: a.Daily, Rate: pages.Rate{Limit: a.Rate.Limit, Remaining: a.Rate.Remaining, Reset: a.Rate.Reset}}
}

// emulated tells whether the connector's own storage is an emulator on this
// machine; only then may a task's container be one.
func emulated(cfg config.Config) bool {
	if text := strings.ToLower(strings.ReplaceAll(cfg.StorageConnectionString, " ", "")); text != "" {
		return strings.Contains(text, "usedevelopmentstorage=true") || strings.Contains(text, "blobendpoint=http://127.0.0.1") || strings.Contains(text, "blobendpoint=http://localhost")
	}
	u, err := url.Parse(cfg.StorageAccountURL)
	return err == nil && loopback.Host(u.Hostname())
}
