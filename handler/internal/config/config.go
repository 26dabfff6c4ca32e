// Package config reads the connector's settings, once, when it starts. The settings
// are environment variables: app settings in Azure, the Values of
// local.settings.json on a developer's machine. README lists them.
//
// All faults are found together and named in one error, so that a deployment is
// put right in one round. No message repeats a setting that can hold a secret.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net/mail"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Config holds the settings, checked and with their defaults. The secrets are
// not among them; package secrets has those.
type Config struct {
	Port int // FUNCTIONS_CUSTOMHANDLER_PORT, on loopback

	TenantID    string // TENANT_ID: GUID, lower case
	KeyVaultURL string // KEY_VAULT_URL: https, without trailing slash; "" reads secrets from the environment

	// Exactly one of these two is set.
	StorageAccountURL       string // STORAGE_ACCOUNT_URL: blob endpoint, https, without trailing slash
	StorageConnectionString string // STORAGE_CONNECTION_STRING: holds a secret

	ArchiveContainer string // ARCHIVE_CONTAINER
	StateContainer   string // STATE_CONTAINER

	XAPIURL         string // X_API_URL, without trailing slash
	ImportEventURL  string // IMPORT_EVENT_URL, without trailing slash
	AADAuthorityURL string // AAD_AUTHORITY_URL: https, without trailing slash

	TimestampURL string // TIMESTAMP_URL: a time-stamping authority (RFC 3161); "" for none

	ArchiveMailbox string // ARCHIVE_MAILBOX: an address, as in user@example.com
	// AuthorMailboxes is AUTHOR_MAILBOXES: addresses by handle, lower case and without @,
	// and by account, as id:<account id>.
	AuthorMailboxes map[string]string

	// ImportItemLimit is how large an item for the Import service may be, in bytes:
	// IMPORT_ITEM_LIMIT.
	ImportItemLimit int64
	XReadsPerMonth  int // X_READS_PER_MONTH; 0: no limit

	Mentions bool // INGEST_MENTIONS: posts of others that mention an account are archived, too

	Activity bool // X_ACTIVITY: X sends events of what happens with posts

	AuditDays int // X_AUDIT_DAYS: how old posts are that are looked at again, at most; 0: none

	LogLevel slog.Level // LOG_LEVEL

	// FunctionTimeout is how long the host lets an invocation run.
	FunctionTimeout time.Duration
}

// ErrNoPort is among Load's faults when FUNCTIONS_CUSTOMHANDLER_PORT is missing
// or wrong: the program was not started by the Functions host and cannot listen.
// It is the only fault that has to end the process.
var ErrNoPort = errors.New("FUNCTIONS_CUSTOMHANDLER_PORT is not a port number: this program is started by the Azure Functions host, which sets it; run `make start`, or `func start --script-root build/app`")

// Load reads and checks all settings. Its error joins one sentence for each fault:
// which setting, what is wrong with it, what to do. The settings without a fault are
// in the Config even then, so that the process can listen, log, and answer that it is
// not set up.
func Load(getenv func(string) string) (Config, error) {
	s := &settings{getenv: getenv}
	c := Config{
		Port:     s.port("FUNCTIONS_CUSTOMHANDLER_PORT"),
		LogLevel: s.logLevel("LOG_LEVEL"),

		TenantID:    s.tenant("TENANT_ID"),
		KeyVaultURL: s.url("KEY_VAULT_URL", "", httpsOnly),

		ArchiveContainer: s.container("ARCHIVE_CONTAINER", "archive"),
		StateContainer:   s.container("STATE_CONTAINER", "connector-state"),

		XAPIURL:         s.url("X_API_URL", "https://api.x.com", httpOnLoopback),
		ImportEventURL:  s.url("IMPORT_EVENT_URL", "https://webhook.ingestion.office.com", httpOnLoopback),
		AADAuthorityURL: s.url("AAD_AUTHORITY_URL", "https://login.microsoftonline.com", httpsOnly),

		TimestampURL: s.url("TIMESTAMP_URL", "", httpToo),

		AuthorMailboxes: s.mailboxes("AUTHOR_MAILBOXES"),
		ImportItemLimit: s.itemLimit("IMPORT_ITEM_LIMIT"),
		AuditDays:       s.days("X_AUDIT_DAYS", 30),
		Mentions:        s.onOff("INGEST_MENTIONS"),
		Activity:        s.onOff("X_ACTIVITY"),
		XReadsPerMonth:  s.count("X_READS_PER_MONTH"),
		FunctionTimeout: s.functionTimeout(),
	}
	c.StorageAccountURL, c.StorageConnectionString = s.storage()
	c.ArchiveMailbox = s.mailbox("ARCHIVE_MAILBOX", "archive@"+c.TenantID+".invalid")
	if c.ArchiveContainer == c.StateContainer {
		s.fault("ARCHIVE_CONTAINER and STATE_CONTAINER name the same container: mail and the connector's own state need two")
	}
	return c, errors.Join(s.faults...)
}

// LoadArchive reads and checks only what leads to the archive: the settings of the
// storage account, ARCHIVE_CONTAINER and STATE_CONTAINER. Whoever only reads the archive needs no
// others. Its error is like Load's; the other members of the Config are not set.
func LoadArchive(getenv func(string) string) (Config, error) {
	s := &settings{getenv: getenv}
	c := Config{ArchiveContainer: s.container("ARCHIVE_CONTAINER", "archive"), StateContainer: s.container("STATE_CONTAINER", "connector-state")}
	c.StorageAccountURL, c.StorageConnectionString = s.storage()
	return c, errors.Join(s.faults...)
}

// settings reads settings and gathers their faults.
type settings struct {
	getenv func(string) string
	faults []error
}

func (s *settings) get(name string) string { return strings.TrimSpace(s.getenv(name)) }

func (s *settings) fault(format string, args ...any) {
	s.faults = append(s.faults, fmt.Errorf(format, args...))
}

func (s *settings) port(name string) int {
	port, err := strconv.ParseUint(s.get(name), 10, 16)
	if err != nil || port == 0 {
		s.faults = append(s.faults, ErrNoPort)
	}
	return int(port)
}

func (s *settings) logLevel(name string) slog.Level {
	switch strings.ToLower(s.get(name)) {
	case "", "info":
		return slog.LevelInfo
	case "debug":
		return slog.LevelDebug
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	s.fault("%s is %q: set it to debug, info, warn or error", name, s.get(name))
	return slog.LevelInfo
}

const (
	// standardItemLimit is what Microsoft states as the limit of its connectors for an
	// item with its attachments.
	standardItemLimit = 10_000_000
	// leastItemLimit leaves room for a text of any length that X allows.
	leastItemLimit = 1_000_000
)

func (s *settings) itemLimit(name string) int64 {
	if s.get(name) == "" {
		return standardItemLimit
	}
	n, err := strconv.ParseInt(s.get(name), 10, 64)
	if err != nil || n < leastItemLimit {
		s.fault("%s is %q: set it to a number of bytes, %d or more, such as %d", name, s.get(name), leastItemLimit, standardItemLimit)
	}
	return n
}

// maxDays bounds a number of days: ten years.
const maxDays = 3650

func (s *settings) days(name string, standard int) int {
	value := s.get(name)
	if value == "" {
		return standard
	}
	days, err := strconv.Atoi(value)
	if err != nil || days < 0 || days > maxDays {
		s.fault("%s is %q: set it to a number of days from 0 to %d", name, value, maxDays)
		return standard
	}
	return days
}

// onOff reads a switch that is off where it is not set.
func (s *settings) onOff(name string) bool {
	switch value := strings.ToLower(s.get(name)); value {
	case "true":
		return true
	case "", "false":
	default:
		s.fault("%s is %q: set it to true or false", name, value)
	}
	return false
}

// count reads a number of things; not set is 0, no limit.
func (s *settings) count(name string) int {
	value := s.get(name)
	if value == "" {
		return 0
	}
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil || n == 0 {
		s.fault("%s is %q, which is not a whole number above 0: write digits only, or leave it out for no limit", name, value)
	}
	return int(n)
}

var guid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

func (s *settings) tenant(name string) string {
	id := strings.ToLower(s.get(name))
	switch {
	case id == "":
		s.fault("%s is not set: set it to the id of your Microsoft 365 tenant, a GUID (Azure portal, Microsoft Entra ID, Overview, Tenant ID)", name)
	case !guid.MatchString(id):
		s.fault("%s is %q, which is not a GUID: set it to the tenant's id, not to its name", name, id)
	}
	return id
}

// containerName is Azure's rule for the name of a blob container, but for its
// length and for hyphens in a row, which it may not have.
// https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata
var containerName = regexp.MustCompile(`^[a-z0-9](-?[a-z0-9])*$`)

func (s *settings) container(name, standard string) string {
	value := s.get(name)
	if value == "" {
		return standard
	}
	if len(value) < 3 || len(value) > 63 || !containerName.MatchString(value) {
		s.fault("%s is %q, which Azure does not take as a container's name: 3 to 63 lower-case letters, digits and single hyphens, with a letter or digit at both ends", name, value)
	}
	return value
}

func (s *settings) mailbox(name, standard string) string {
	value := s.get(name)
	if value == "" {
		return standard
	}
	if !isAddress(value) {
		s.fault("%s is %q, which is not a mail address: set it to one like archive@example.com", name, value)
	}
	return value
}

// isAddress tells whether text is an RFC 5322 addr-spec and nothing more.
func isAddress(text string) bool {
	a, err := mail.ParseAddress(text)
	return err == nil && a.Address == text
}

// author is a handle, or an account by its id. A handle may be a number, too, so an
// id says that it is one.
var author = regexp.MustCompile(`^([a-z0-9_]+|id:[0-9]+)$`)

// mailboxes reads `handle=mailbox, @handle=mailbox`.
func (s *settings) mailboxes(name string) map[string]string {
	byAuthor := map[string]string{}
	for pair := range strings.SplitSeq(s.get(name), ",") {
		pair = strings.TrimSpace(pair)
		if pair == "" {
			continue
		}
		who, address, found := strings.Cut(pair, "=")
		who = strings.ToLower(strings.TrimPrefix(strings.TrimSpace(who), "@"))
		address = strings.TrimSpace(address)
		before, twice := byAuthor[who]
		switch {
		case !found || !author.MatchString(who):
			s.fault("%s has %q, which is not handle=mailbox: write pairs like contoso=press@contoso.com or id:2244994945=press@contoso.com with commas between them", name, pair)
		case !isAddress(address):
			s.fault("%s maps %s to %q, which is not a mail address", name, who, address)
		case twice && before != address:
			s.fault("%s maps %s twice, to %s and to %s: keep one", name, who, before, address)
		default:
			byAuthor[who] = address
		}
	}
	return byAuthor
}
