package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
)

// officeImport is Microsoft's first-party app "Office 365 Import", which calls the
// connector and reads what it delivers.
const officeImport = "570d0bec-d001-4c4e-985e-3ab17fdc3073"

// renewBefore is how long before its end a client secret is spoken of.
const renewBefore = 30 * 24 * time.Hour

func (h *hook) postprovision(ctx context.Context) error {
	vaultName, err := h.setting("KEY_VAULT_NAME")
	if err != nil {
		return err
	}
	url, err := h.setting("CONNECTOR_URL")
	if err != nil {
		return err
	}
	tenant, err := h.tenant(ctx)
	if err != nil {
		return err
	}
	v := vault{h, vaultName}
	has, err := v.list(ctx)
	if err != nil {
		return err
	}
	appID, err := h.application(ctx)
	if err != nil {
		return err
	}
	uri, err := h.applicationURI(ctx, appID)
	if err != nil {
		return err
	}
	if err := h.applicationSecrets(ctx, v, has, appID, uri); err != nil {
		return err
	}
	if err := h.apiSecretKey(ctx, v, has); err != nil {
		return err
	}
	if err := h.signIn(ctx, appID, url); err != nil {
		return err
	}
	consented, err := h.exists(ctx, "ad", "sp", "show", "--id", officeImport)
	if err != nil {
		return err
	}
	h.instructions(url, tenant, appID, vaultName, consented)
	h.warnings()
	return nil
}

// warnings says what was left out that an archive should have.
func (h *hook) warnings() {
	if h.getenv("ALERT_EMAIL") == "" && h.getenv("ALERT_ACTION_GROUP_ID") == "" {
		h.say(`
NOBODY IS TOLD when posts are missing, X is not read or somebody deletes a message:
alerts show in the portal only.
  %s`, h.choose("ALERT_EMAIL", "alertEmail"))
	}
	if days := h.getenv("ARCHIVE_IMMUTABILITY_DAYS"); days == "" || days == "0" {
		h.say(`
MESSAGES CAN BE DELETED by whoever has a role on the archive: immutability is off. What
is deleted can be brought back for a time only. Before you turn it on, read
docs/lifecycle.md, "Before immutability": it forbids erasure, too.`)
	}
}

// applicationSecrets puts what the connector must know of its Entra app into the
// vault. The id goes last: as long as it is not there, or is another app's, a run
// that was cut short is taken up again from the client secret on.
func (h *hook) applicationSecrets(ctx context.Context, v vault, has map[string]time.Time, appID, uri string) error {
	known, err := v.plain(ctx, has, "aad-application-id")
	if err != nil {
		return err
	}
	expires, isThere := has["aad-application-secret"]
	switch {
	case !isThere || known != appID || h.getenv("ROTATE_AAD_SECRET") == "yes":
		if err := h.newClientSecret(ctx, v, appID); err != nil {
			return err
		}
	case !expires.IsZero() && time.Until(expires) < renewBefore:
		h.say("\nThe Entra app's secret ends on %s. Renew it: ROTATE_AAD_SECRET=yes %s", expires.Format(time.DateOnly), h.again("postprovision"))
	}
	if known, err := v.plain(ctx, has, "aad-application-uri"); err != nil {
		return err
	} else if known != uri {
		if err := v.set(ctx, "aad-application-uri", uri, time.Time{}); err != nil {
			return err
		}
	}
	if known == appID {
		return nil
	}
	return v.set(ctx, "aad-application-id", appID, time.Time{})
}

// newClientSecret adds a secret to the Entra app, beside those it has, and saves
// it. The one before stays valid: instances of the app still use it.
func (h *hook) newClientSecret(ctx context.Context, v vault, appID string) error {
	const lifetime = 365 * 24 * time.Hour
	ends := time.Now().UTC().Add(lifetime).Truncate(time.Second)
	var secret string
	err := h.settle(ctx, "the Entra app", errNotFound, func() (err error) {
		secret, err = h.az.run(ctx, "ad", "app", "credential", "reset", "--id", appID, "--append",
			"--display-name", "connector-"+time.Now().UTC().Format(time.DateOnly),
			"--end-date", ends.Format(time.RFC3339), "--query", "password", "--output", "tsv")
		return err
	})
	if err != nil {
		return fmt.Errorf("making a secret for the Entra app: %w", err)
	}
	if secret == "" {
		return errors.New("making a secret for the Entra app: az answered without one")
	}
	h.say("New secret for the Entra app, valid until %s", ends.Format(time.DateOnly))
	return v.set(ctx, "aad-application-secret", secret, ends)
}

// apiSecretKey makes the password that the Compliance Center and the connector
// share, if there is none: 32 random bytes.
func (h *hook) apiSecretKey(ctx context.Context, v vault, has map[string]time.Time) error {
	if _, isThere := has["api-secret-key"]; isThere && h.getenv("ROTATE_API_SECRET_KEY") != "yes" {
		return nil
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	h.say("New APISecretKey")
	return v.set(ctx, "api-secret-key", base64.RawURLEncoding.EncodeToString(key), time.Time{})
}

func (h *hook) instructions(url, tenant, appID, vaultName string, consented bool) {
	url = strings.TrimRight(url, "/")
	h.say(`
The connector is at %[1]s

X developer portal (your app, User authentication settings; docs/setup.md, step 5)
  Callback URI / Redirect URL   %[1]s/Views/TwitterOAuth
  Website URL                   %[1]s

The connector's own page (step 6)
  %[1]s/Configure
  Tenant ID                     %[2]s
  Password                      APISecretKey, see below

Compliance Center (Data connectors, Twitter, Add connector; step 7)
  Connector URL                 %[1]s
  Azure App ID                  %[3]s
  Password                      APISecretKey, see below

APISecretKey is in Key Vault and shown by
  az keyvault secret show --vault-name %[4]s --name api-secret-key --query value --output tsv
`, url, tenant, appID, vaultName)
	if consented {
		h.say("Office 365 Import has an entry in this tenant: its consent was given before.")
		return
	}
	h.say("Office 365 Import has not been allowed in this tenant yet. A Global Administrator opens this and accepts:\n  "+
		"https://login.microsoftonline.com/%s/oauth2/authorize?client_id=%s&response_type=code&redirect_uri=https://portal.azure.com/&nonce=1234&prompt=admin_consent", tenant, officeImport)
}
