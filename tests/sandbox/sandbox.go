// Package sandbox is the whole world around the connector on one machine, with no
// account anywhere: stand-ins for X, Entra, Key Vault and the Office 365 Import
// service, a real blob server (Azurite) or one in this process's memory, and a
// stand-in for the Azure Functions host that runs the real binary. The demo, the
// tests and `make sandbox` use it.
//
// Everything listens on loopback; all files are below one folder; Stop ends every
// process.
package sandbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"xarchive/tests/sandbox/azurite"
	"xarchive/tests/sandbox/blobs"
	"xarchive/tests/sandbox/certs"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/entra"
	"xarchive/tests/sandbox/functionshost"
	"xarchive/tests/sandbox/importservice"
	"xarchive/tests/sandbox/keyvault"
	"xarchive/tests/sandbox/mediaproxy"
	"xarchive/tests/sandbox/x"
)

// What stands in local.settings.json.sample, too, which works with these as it is.
const (
	TenantID       = "5f8a1c1e-7a52-4d0e-9d0b-3b6f0e6f2a10"
	ArchiveMailbox = "x-archive@contoso.example"
	identityHeader = "sandbox"

	// APISecretKey is what an administrator of the sandbox types in.
	APISecretKey = "sandbox-secret-key-of-32-characters"

	xKey, xSecret = "sandbox-x-api-key", "sandbox-x-api-secret-key"

	ApplicationID     = "0c5c2d3e-9c0f-4a57-8a5e-3a8f2c1d7b11"
	ApplicationSecret = "sandbox-aad-application-secret"
	applicationURI    = "https://contoso.example/" + ApplicationID

	// importResource is what a token for the event API must be for.
	importResource = "https://microsoft.onmicrosoft.com/4e476d41-2395-42be-89ff-34cb9186a1ac"

	taskAccount = "importservice" // the storage account of tasks' containers
)

// Ports are where the stand-ins listen; 0 takes a free one.
type Ports struct {
	X, Entra, Identity, KeyVault, Import, MediaProxy, Blobs, Host int
}

// PortsFrom are ports in a row, where the fixed ones are taken.
func PortsFrom(first int) Ports {
	return Ports{X: first + 1, Entra: first + 2, Identity: first + 3, KeyVault: first + 4, Import: first + 5, MediaProxy: first + 6, Blobs: first + 7, Host: first}
}

// free names a port of the stand-ins that is taken; nil if none is. The host's is its own
// business.
func (p Ports) free() error {
	for what, port := range map[string]int{"X": p.X, "Entra": p.Entra, "managed identity": p.Identity, "Key Vault": p.KeyVault,
		"the Import service": p.Import, "X's media": p.MediaProxy, "blob storage": p.Blobs} {
		if port == 0 {
			continue
		}
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			return fmt.Errorf("port %d, for %s, %w: %w", port, what, ErrTaken, err)
		}
		if err := listener.Close(); err != nil {
			return err
		}
	}
	return nil
}

// ErrTaken is of a port that somebody listens on.
var ErrTaken = errors.New("is taken")

// FixedPorts are those of local.settings.json.sample.
var FixedPorts = Ports{X: 7181, Entra: 7182, Identity: 7183, KeyVault: 7184, Import: 7185, MediaProxy: 7186, Blobs: 10000, Host: 7071}

// hostPorts is how many ports of hosts, from the fixed one on, are registered at X.
const hostPorts = 10

// Options says what kind of world it is.
type Options struct {
	Dir      string            // for certificates
	KeepCA   bool              // use the certificate authority that is in Dir already, for programs that know it
	BlobDir  string            // for Azurite's blobs; "" keeps them in memory
	InMemory bool              // blobs are those of package blobs, not of Azurite: fast, and tests can see into them. Signatures are not verified
	App      string            // the staged app; "" runs no Functions host
	HostURL  string            // of a Functions host that others run, where there is no App
	Corpus   *corpus.Corpus    // nil is the built-in one
	Schedule string            // NCRONTAB of the timer; "" ticks only when told
	Env      map[string]string // app settings besides or instead of the sandbox's; "" unsets
	Ports    Ports
	FrontEnd bool      // whether requests look as if they came through Azure's front end
	Stderr   io.Writer // what the handler logs
	Log      *slog.Logger
}

// Sandbox is a running world.
type Sandbox struct {
	Corpus *corpus.Corpus
	X      *x.Server
	Blobs  Storage
	Memory *blobs.Server // of Blobs, the connector's account; nil unless InMemory
	Tasks  *blobs.Server // of Blobs, the account of tasks' containers; nil unless InMemory
	Entra  *entra.Server
	Vault  *keyvault.Server
	Media  *mediaproxy.Server
	Import *importservice.Service
	Host   *functionshost.Host // nil without an App
	CA     *certs.Authority

	XURL      string
	ImportURL string
	HostURL   string // where a browser finds the connector

	stops []func() error
}

// Storage is where the storage accounts are. "" names the connector's.
type Storage interface {
	ConnectionString(account string) string
	URL(account string) string
}

// Start starts the world. ctx bounds the start only. What was started is stopped
// again where something fails.
func Start(ctx context.Context, o Options) (s *Sandbox, err error) {
	s = &Sandbox{Corpus: o.Corpus}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("starting the sandbox: %w", err), s.Stop())
			s = nil
		}
	}()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if s.Corpus == nil {
		if s.Corpus, err = corpus.Builtin(); err != nil {
			return s, err
		}
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil { // the handler runs elsewhere
		return s, err
	}
	// Before anything is written: another sandbox may run from the same folder.
	if err := o.Ports.free(); err != nil {
		return s, err
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return s, err
	}
	for _, start := range []func(context.Context, Options) error{s.startCA, s.startBlobs, s.startX, s.startEntra, s.startVault, s.startImport, s.startHost} {
		if err := start(ctx, o); err != nil {
			return s, err
		}
	}
	return s, nil
}

// Stop ends everything, in the reverse order of its start.
func (s *Sandbox) Stop() error {
	var errs []error
	for i := len(s.stops) - 1; i >= 0; i-- {
		errs = append(errs, s.stops[i]())
	}
	s.stops = nil
	return errors.Join(errs...)
}

func (s *Sandbox) ending(stop func() error) { s.stops = append(s.stops, stop) }

func (s *Sandbox) startCA(ctx context.Context, o Options) (err error) {
	if s.CA, err = certs.Start(ctx, certs.Options{Dir: o.Dir, Keep: o.KeepCA}); err == nil {
		s.ending(s.CA.Stop)
	}
	return err
}

func (s *Sandbox) startBlobs(ctx context.Context, o Options) error {
	if o.InMemory {
		return s.startMemory(o)
	}
	server, err := azurite.Start(ctx, azurite.Options{Port: o.Ports.Blobs, Dir: o.BlobDir, Accounts: []string{taskAccount}})
	if err == nil {
		s.Blobs = server
		s.ending(server.Stop)
	}
	return err
}

// memory is storage in this process: one server an account.
type memory map[string]memoryAccount

type memoryAccount struct {
	name, url string
	server    *blobs.Server
}

// ConnectionString opens an account.
func (m memory) ConnectionString(account string) string {
	return m[account].server.ConnectionStringAt(m[account].url)
}

// URL is the blob endpoint of an account, without a slash at the end.
func (m memory) URL(account string) string { return m[account].url + "/" + m[account].name }

func (s *Sandbox) startMemory(o Options) error {
	accounts := memory{}
	for account, name := range map[string]string{"": blobs.DefaultAccount, taskAccount: taskAccount} {
		server := blobs.New(blobs.Options{Account: name})
		port := 0
		if account == "" {
			port, s.Memory = o.Ports.Blobs, server
		} else {
			s.Tasks = server
		}
		url, err := s.serve(port, server)
		if err != nil {
			return err
		}
		accounts[account] = memoryAccount{name, url, server}
	}
	s.Blobs = accounts
	return nil
}

func (s *Sandbox) startX(ctx context.Context, o Options) (err error) {
	s.X = x.New(x.Options{Corpus: s.Corpus, ConsumerKey: xKey, ConsumerSecret: xSecret, AppName: "Contoso archive",
		CallbackURLs: []string{CallbackURL}, Log: o.Log, Webhooks: toConnector{s}})
	for port := range hostPorts { // whichever Host.LocalHttpPort a developer takes
		s.X.Register(callbackAt(FixedPorts.Host + port))
	}
	s.X.Register(callbackAt(cmp.Or(o.Ports.Host, FixedPorts.Host)))
	if s.XURL, err = s.serve(o.Ports.X, s.X); err != nil {
		return err
	}
	s.Media, err = mediaproxy.Start(ctx, mediaproxy.Options{Port: o.Ports.MediaProxy, Authority: s.CA, Handler: s.X.Media()})
	if err == nil {
		s.ending(s.Media.Stop)
	}
	return err
}

// toConnector is how X reaches the connector, whatever its address on the internet is.
type toConnector struct{ s *Sandbox }

// RoundTrip implements http.RoundTripper.
func (t toConnector) RoundTrip(r *http.Request) (*http.Response, error) {
	here, err := url.Parse(t.s.HostURL)
	if err != nil || t.s.HostURL == "" {
		return nil, errors.New("the connector is not there yet")
	}
	r = r.Clone(r.Context())
	r.Host, r.URL.Scheme, r.URL.Host = r.URL.Host, here.Scheme, here.Host
	return http.DefaultTransport.RoundTrip(r)
}

// Where X and Entra send people back to, below the connector's address.
const xReturn, entraReturn = "/Views/TwitterOAuth", "/Views/Entra/Return"

// CallbackURL is registered with X's stand-in as the connector's address in Azure.
const CallbackURL = "https://connector.example" + xReturn

// localhost is the address of a connector on this machine, callbackAt its address for X.
func localhost(port int) string  { return "http://localhost:" + strconv.Itoa(port) }
func callbackAt(port int) string { return localhost(port) + xReturn }

func (s *Sandbox) startEntra(ctx context.Context, o Options) (err error) {
	s.Entra, err = entra.Start(ctx, entra.Options{Port: o.Ports.Entra, IdentityPort: o.Ports.Identity, Certificate: s.CA.Loopback(),
		TenantID: TenantID, IdentityHeader: identityHeader,
		Apps: []entra.App{{ClientID: ApplicationID, Secret: ApplicationSecret, Resources: []string{importResource}}},
		People: []entra.Person{
			{User: "ada@contoso.example", Name: "Ada Admin", ObjectID: "a0000000-0000-4000-8000-000000000001", Roles: []string{"Administrator"}},
			{User: "rita@contoso.example", Name: "Rita Records", ObjectID: "a0000000-0000-4000-8000-000000000002", Roles: []string{"Reader"}},
			{User: "norma@contoso.example", Name: "Norma Nobody", ObjectID: "a0000000-0000-4000-8000-000000000003"}}})
	if err != nil {
		return err
	}
	s.ending(s.Entra.Stop)
	s.Entra.Register(strings.TrimSuffix(CallbackURL, xReturn) + entraReturn)
	for port := range hostPorts {
		s.Entra.Register(localhost(FixedPorts.Host+port) + entraReturn)
	}
	s.Entra.Register(localhost(cmp.Or(o.Ports.Host, FixedPorts.Host)) + entraReturn)
	return nil
}

func (s *Sandbox) startVault(ctx context.Context, o Options) (err error) {
	s.Vault, err = keyvault.Start(ctx, keyvault.Options{Port: o.Ports.KeyVault, Certificate: s.CA.Loopback(),
		Authority: s.Entra.Authority(), Verify: s.Entra.Verify, Log: o.Log})
	if err != nil {
		return err
	}
	s.ending(s.Vault.Stop)
	for name, value := range map[string]string{
		"api-secret-key": APISecretKey, "twitter-api-key": xKey, "twitter-api-secret-key": xSecret,
		"aad-application-id": ApplicationID, "aad-application-secret": ApplicationSecret, "aad-application-uri": applicationURI,
	} {
		if err := s.Vault.Set(ctx, name, value); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sandbox) startImport(_ context.Context, o Options) (err error) {
	s.Import, err = importservice.New(importservice.Options{
		TenantID: TenantID, APISecretKey: APISecretKey, ConnectionString: s.Blobs.ConnectionString(taskAccount), Log: o.Log,
		ConnectorURL: func() string {
			switch {
			case s.Host != nil:
				return s.Host.URL()
			case o.HostURL != "":
				return o.HostURL
			}
			return "http://127.0.0.1:" + strconv.Itoa(cmp.Or(o.Ports.Host, FixedPorts.Host))
		},
		VerifyToken: func(token string) error { return s.Entra.Verify(token, importResource) },
	})
	if err != nil {
		return err
	}
	s.ending(func() error { s.Import.Stop(); return nil })
	s.ImportURL, err = s.serve(o.Ports.Import, s.Import)
	return err
}

// Settings are the app settings of a connector in this world.
func (s *Sandbox) Settings(o Options) map[string]string {
	env := map[string]string{
		"FUNCTIONS_WORKER_RUNTIME":    "custom",
		"AzureWebJobsDisableHomepage": "true",
		"TENANT_ID":                   TenantID,
		"KEY_VAULT_URL":               s.Vault.URL(),
		"STORAGE_CONNECTION_STRING":   s.Blobs.ConnectionString(""),
		"X_API_URL":                   s.XURL,
		"IMPORT_EVENT_URL":            s.ImportURL,
		"AAD_AUTHORITY_URL":           s.Entra.URL(),
		"INGEST_SCHEDULE":             o.Schedule,
		"ARCHIVE_MAILBOX":             ArchiveMailbox,
		"IDENTITY_ENDPOINT":           s.Entra.IdentityEndpoint(),
		"IDENTITY_HEADER":             identityHeader,
		"SSL_CERT_FILE":               s.CA.Path(),
		"HTTPS_PROXY":                 s.Media.URL(),
	}
	if o.Schedule == "" {
		env["INGEST_SCHEDULE"] = "0 0 0 1 1 *"
		env["AzureWebJobs.ingest.Disabled"] = "true" // runs when it is told to, not by itself
	}
	for name, value := range o.Env {
		if env[name] = value; value == "" {
			delete(env, name)
		}
	}
	return env
}

func (s *Sandbox) startHost(ctx context.Context, o Options) (err error) {
	if o.App == "" {
		if o.HostURL != "" {
			return s.foundAt(o.HostURL)
		}
		return nil
	}
	s.Host, err = functionshost.Start(ctx, functionshost.Options{Dir: o.App, Env: s.Settings(o), Port: o.Ports.Host,
		NoFrontEnd: !o.FrontEnd, Stderr: o.Stderr, Log: o.Log, CrashLimit: 1000})
	if err != nil {
		return err
	}
	s.ending(func() error { return s.Host.Stop(context.Background()) })
	return s.foundAt(s.Host.URL())
}

// foundAt notes where the connector is, and registers it at X.
func (s *Sandbox) foundAt(address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		return fmt.Errorf("the connector's address %s has no port: %w", address, err)
	}
	s.X.Register(callbackAt(port))
	s.Entra.Register(localhost(port) + entraReturn)
	s.HostURL = localhost(port)
	return nil
}

// serve answers HTTP on loopback until Stop.
func (s *Sandbox) serve(port int, h http.Handler) (address string, err error) {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return "", fmt.Errorf("listening: %w (is another sandbox running?)", err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }() // ends at Close
	s.ending(server.Close)
	return "http://" + listener.Addr().String(), nil
}

// Connect sets a job up for an account, as the Compliance Center and an
// administrator do it together.
func (s *Sandbox) Connect(ctx context.Context, job, account string) error {
	signInURL, err := s.Import.OAuthURL(ctx, CallbackURL)
	if err != nil {
		return fmt.Errorf("setting up job %s: beginning the sign-in: %w", job, err)
	}
	callback, err := x.SignIn(ctx, http.DefaultClient, signInURL, account)
	if err != nil {
		return fmt.Errorf("setting up job %s: signing in at X: %w", job, err)
	}
	_, code, _ := strings.Cut(callback, "?")
	if err := s.Import.StoreToken(ctx, job, code, CallbackURL); err != nil {
		return fmt.Errorf("setting up job %s: storing the token: %w", job, err)
	}
	entities, err := s.Import.GetEntities(ctx, job)
	if err != nil {
		return fmt.Errorf("setting up job %s: reading the account: %w", job, err)
	}
	if len(entities) != 1 || entities[0].ID != account || entities[0].AlreadyUsed {
		return fmt.Errorf("setting up job %s: the connector offers %+v, account %s has signed in", job, entities, account)
	}
	saved, err := s.Import.SavePage(ctx, job, entities[0])
	if err != nil || !saved {
		return fmt.Errorf("setting up job %s: saving the account: %v, %w", job, saved, err)
	}
	return nil
}
