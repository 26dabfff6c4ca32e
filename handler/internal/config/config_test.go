package config

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const tenant = "0F8FAD5B-D9CB-469F-A165-70867728950E"

// env is a complete environment in an empty app folder, changed by name, value, ….
func env(t *testing.T, changes ...string) func(string) string {
	t.Helper()
	values := map[string]string{
		"FUNCTIONS_CUSTOMHANDLER_PORT": "7072",
		"FUNCTIONS_APP_ROOT_PATH":      t.TempDir(),
		"TENANT_ID":                    tenant,
		"STORAGE_ACCOUNT_URL":          "https://contoso.blob.core.windows.net/",
	}
	for i := 0; i < len(changes); i += 2 {
		values[changes[i]] = changes[i+1]
	}
	return func(name string) string { return values[name] }
}

func TestDefaults(t *testing.T) {
	c, err := Load(env(t))
	if err != nil {
		t.Fatal(err)
	}
	lower := strings.ToLower(tenant)
	for _, f := range []struct{ what, got, want string }{
		{"tenant", c.TenantID, lower},
		{"vault", c.KeyVaultURL, ""},
		{"storage", c.StorageAccountURL, "https://contoso.blob.core.windows.net"},
		{"archive", c.ArchiveContainer, "archive"},
		{"state", c.StateContainer, "connector-state"},
		{"X", c.XAPIURL, "https://api.x.com"},
		{"events", c.ImportEventURL, "https://webhook.ingestion.office.com"},
		{"authority", c.AADAuthorityURL, "https://login.microsoftonline.com"},
		{"mailbox", c.ArchiveMailbox, "archive@" + lower + ".invalid"},
		{"timeout", c.FunctionTimeout.String(), "5m0s"},
		{"level", c.LogLevel.String(), "INFO"},
	} {
		if f.got != f.want {
			t.Errorf("%s: want %q, got %q", f.what, f.want, f.got)
		}
	}
	if c.Port != 7072 || len(c.AuthorMailboxes) != 0 || c.AuditDays != 30 || c.ImportItemLimit != 10_000_000 || c.XReadsPerMonth != 0 {
		t.Errorf("port %d, authors %v, audit %d", c.Port, c.AuthorMailboxes, c.AuditDays)
	}
}

func TestEverySettingIsRead(t *testing.T) {
	c, err := Load(env(t,
		"KEY_VAULT_URL", "https://contoso.vault.azure.net/",
		"STORAGE_ACCOUNT_URL", "",
		"STORAGE_CONNECTION_STRING", "UseDevelopmentStorage=true",
		"ARCHIVE_CONTAINER", "mail-2026", "STATE_CONTAINER", "abc",
		"X_API_URL", "http://127.0.0.1:8081", "IMPORT_EVENT_URL", "http://localhost:8082/base/",
		"AAD_AUTHORITY_URL", "https://localhost:8083",
		"ARCHIVE_MAILBOX", "archive@contoso.com",
		"AUTHOR_MAILBOXES", "Contoso=press@contoso.com, @contoso_help = help@contoso.com, id:2244994945=dev@contoso.com,",
		"X_AUDIT_DAYS", "7", "INGEST_MENTIONS", "True", "X_ACTIVITY", "true", "LOG_LEVEL", "Debug", "X_READS_PER_MONTH", " 250000 ",
	))
	if err != nil {
		t.Fatal(err)
	}
	if c.KeyVaultURL != "https://contoso.vault.azure.net" || c.StorageConnectionString != "UseDevelopmentStorage=true" ||
		c.ArchiveContainer != "mail-2026" || c.StateContainer != "abc" || c.XAPIURL != "http://127.0.0.1:8081" ||
		c.ImportEventURL != "http://localhost:8082/base" || c.AADAuthorityURL != "https://localhost:8083" ||
		c.ArchiveMailbox != "archive@contoso.com" || c.LogLevel != slog.LevelDebug || c.AuditDays != 7 || !c.Mentions || !c.Activity || c.XReadsPerMonth != 250_000 {
		t.Errorf("%+v", c)
	}
	if len(c.AuthorMailboxes) != 3 || c.AuthorMailboxes["id:2244994945"] != "dev@contoso.com" || c.AuthorMailboxes["contoso"] != "press@contoso.com" || c.AuthorMailboxes["contoso_help"] != "help@contoso.com" {
		t.Errorf("authors: %v", c.AuthorMailboxes)
	}
}

func TestAllFaultsAreNamedTogether(t *testing.T) {
	c, err := Load(env(t, "TENANT_ID", "contoso.com", "STORAGE_ACCOUNT_URL", "", "X_API_URL", "http://api.x.com",
		"ARCHIVE_CONTAINER", "Mail", "LOG_LEVEL", "loud", "X_READS_PER_MONTH", "0", "AUTHOR_MAILBOXES", "contoso, help=nobody"))
	if err == nil {
		t.Fatal("want an error")
	}
	for _, want := range []string{"TENANT_ID", "STORAGE_ACCOUNT_URL", "X_API_URL", "ARCHIVE_CONTAINER", "LOG_LEVEL", "X_READS_PER_MONTH", `"contoso"`, `"nobody"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s:\n%v", want, err)
		}
	}
	if errors.Is(err, ErrNoPort) || c.Port != 7072 {
		t.Error("the port was good and must be usable")
	}
}

func TestFaults(t *testing.T) {
	const secret = "c2VjcmV0LWtleQ=="
	good := "DefaultEndpointsProtocol=https;AccountName=contoso;AccountKey=" + secret + ";EndpointSuffix=core.windows.net"
	for _, f := range []struct {
		changes []string
		want    string // in the error; "" for none
	}{
		{[]string{"TENANT_ID", ""}, "TENANT_ID is not set"},
		{[]string{"TENANT_ID", "{" + tenant + "}"}, "TENANT_ID"},
		{[]string{"X_AUDIT_DAYS", "0"}, ""},
		{[]string{"INGEST_MENTIONS", "false"}, ""},
		{[]string{"X_ACTIVITY", "1"}, "X_ACTIVITY"},
		{[]string{"INGEST_MENTIONS", "yes"}, "INGEST_MENTIONS"},
		{[]string{"X_AUDIT_DAYS", "-1"}, "X_AUDIT_DAYS"},
		{[]string{"X_AUDIT_DAYS", "a month"}, "X_AUDIT_DAYS"},
		{[]string{"STORAGE_CONNECTION_STRING", good}, "both set"},
		{[]string{"STORAGE_ACCOUNT_URL", "", "STORAGE_CONNECTION_STRING", good}, ""},
		{[]string{"STORAGE_ACCOUNT_URL", "", "STORAGE_CONNECTION_STRING", "AccountKey=" + secret}, "Access keys"},
		{[]string{"STORAGE_ACCOUNT_URL", "", "STORAGE_CONNECTION_STRING", strings.Replace(good, "https", "http", 1)}, "not https"},
		{[]string{"STORAGE_ACCOUNT_URL", "", "STORAGE_CONNECTION_STRING",
			"DefaultEndpointsProtocol=http;AccountName=a;AccountKey=" + secret + ";BlobEndpoint=http://127.0.0.1:10000/a"}, ""},
		{[]string{"STORAGE_ACCOUNT_URL", "http://127.0.0.1:10000/a"}, "must be https"},
		{[]string{"STORAGE_ACCOUNT_URL", "contoso.blob.core.windows.net"}, "absolute URL"},
		{[]string{"STORAGE_ACCOUNT_URL", "https://contoso.blob.core.windows.net/?sig=" + secret}, "query"},
		{[]string{"KEY_VAULT_URL", "https://contoso.vault.azure.net/secrets/x"}, "vault alone"},
		{[]string{"AAD_AUTHORITY_URL", "http://127.0.0.1:1"}, "must be https"},
		{[]string{"X_API_URL", "https://user:" + secret + "@api.x.com"}, "user name"},
		{[]string{"X_API_URL", "http://127.0.0.1.example.com"}, "must be https"},
		{[]string{"X_API_URL", "http://[::1]:80"}, ""},
		{[]string{"TIMESTAMP_URL", "http://timestamp.example.com/tsr"}, ""},
		{[]string{"TIMESTAMP_URL", "timestamp.example.com"}, "absolute URL"},
		{[]string{"X_API_URL", "ftp://api.x.com"}, "absolute URL"},
		{[]string{"STATE_CONTAINER", "a--b"}, "STATE_CONTAINER"},
		{[]string{"STATE_CONTAINER", "ab"}, "STATE_CONTAINER"},
		{[]string{"STATE_CONTAINER", "abc-"}, "STATE_CONTAINER"},
		{[]string{"STATE_CONTAINER", strings.Repeat("a", 64)}, "STATE_CONTAINER"},
		{[]string{"STATE_CONTAINER", strings.Repeat("a", 63)}, ""},
		{[]string{"STATE_CONTAINER", "archive"}, "same container"},
		{[]string{"ARCHIVE_MAILBOX", "Archive <archive@contoso.com>"}, "ARCHIVE_MAILBOX"},
		{[]string{"ARCHIVE_MAILBOX", "archive"}, "ARCHIVE_MAILBOX"},
		{[]string{"AUTHOR_MAILBOXES", "a=x@contoso.com,A=y@contoso.com"}, "twice"},
		{[]string{"AUTHOR_MAILBOXES", "a b=x@contoso.com"}, "handle=mailbox"},
		{[]string{"IMPORT_ITEM_LIMIT", "10 MB"}, "a number of bytes"},
		{[]string{"IMPORT_ITEM_LIMIT", "999999"}, "1000000 or more"},
		{[]string{"AUTHOR_MAILBOXES", "id:contoso=x@contoso.com"}, "handle=mailbox"},
		{[]string{"AUTHOR_MAILBOXES", "id:7=x@contoso.com, id:7=y@contoso.com"}, "twice"},
		{[]string{"FUNCTIONS_CUSTOMHANDLER_PORT", ""}, "make start"},
		{[]string{"FUNCTIONS_CUSTOMHANDLER_PORT", "65536"}, "make start"},
		{[]string{"FUNCTIONS_CUSTOMHANDLER_PORT", "0"}, "make start"},
	} {
		_, err := Load(env(t, f.changes...))
		switch {
		case f.want == "" && err != nil:
			t.Errorf("%q: %v", f.changes, err)
		case f.want != "" && (err == nil || !strings.Contains(err.Error(), f.want)):
			t.Errorf("%q: want an error with %q, got %v", f.changes, f.want, err)
		case err != nil && strings.Contains(err.Error(), secret):
			t.Errorf("%q: the error repeats a secret: %v", f.changes, err)
		case err != nil && strings.Contains(err.Error(), "\n"):
			t.Errorf("%q: one fault, but several are named: %v", f.changes, err)
		}
		if isPort := f.changes[0] == "FUNCTIONS_CUSTOMHANDLER_PORT"; isPort != errors.Is(err, ErrNoPort) {
			t.Errorf("%q: ErrNoPort is for a missing port only: %v", f.changes, err)
		}
	}
}

func TestFunctionTimeout(t *testing.T) {
	for _, f := range []struct {
		host, override string
		want           time.Duration // 0: a fault
	}{
		{`{"version":"2.0","functionTimeout":"00:10:00"}`, "", 10 * time.Minute},
		{`{"version":"2.0"}`, "", 5 * time.Minute},
		{`{"functionTimeout":"00:10:00"}`, "01:02:03", time.Hour + 2*time.Minute + 3*time.Second},
		{`{"functionTimeout":"1.00:00:00"}`, "", 24 * time.Hour},
		{`{"functionTimeout":"-1"}`, "", time.Hour},
		{`{"functionTimeout":"10"}`, "", 0},
		{`{"functionTimeout":"00:00:00"}`, "", 0},
		{`{"functionTimeout":"00:60:00"}`, "", 0},
		{`{"functionTimeout":10}`, "", 0},
		{`{`, "", 0},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "host.json"), []byte(f.host), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(env(t, "FUNCTIONS_APP_ROOT_PATH", dir, "AzureFunctionsJobHost__functionTimeout", f.override))
		if f.want == 0 {
			if err == nil || !strings.Contains(err.Error(), "host.json") {
				t.Errorf("%s: want a fault that names host.json, got %v", f.host, err)
			}
			continue
		}
		if err != nil || c.FunctionTimeout != f.want {
			t.Errorf("%s, override %q: want %v, got %v, %v", f.host, f.override, f.want, c.FunctionTimeout, err)
		}
	}
}

// TestArchiveAlone: a reader of the archive needs the storage settings and no others.
func TestArchiveAlone(t *testing.T) {
	only := func(values map[string]string) func(string) string {
		return func(name string) string { return values[name] }
	}
	c, err := LoadArchive(only(map[string]string{"STORAGE_ACCOUNT_URL": "https://contoso.blob.core.windows.net/"}))
	if err != nil || c.StorageAccountURL != "https://contoso.blob.core.windows.net" || c.ArchiveContainer != "archive" {
		t.Errorf("read %+v, %v, expected the account and the container archive", c, err)
	}
	_, err = LoadArchive(only(map[string]string{"ARCHIVE_CONTAINER": "Not A Name"}))
	if err == nil || !strings.Contains(err.Error(), "ARCHIVE_CONTAINER") || !strings.Contains(err.Error(), "STORAGE_ACCOUNT_URL") {
		t.Errorf("got %v, expected both faults", err)
	}
}
