// Package azurite runs Azurite, Microsoft's emulator of Azure Storage: the real
// wire format, ETags, leases, SAS and conditional requests, on this machine. Only
// its blob service is started.
// https://learn.microsoft.com/azure/storage/common/storage-use-azurite
//
// It is an npm package, pinned by tests/package-lock.json and installed into
// tests/node_modules by `make test` and `make demo`.
//
// A package whose tests need blobs has in one of its test files
//
//	var blobs *azurite.Server
//
//	func TestMain(m *testing.M) { os.Exit(azurite.Run(m, &blobs)) }
//
// and its tests use containers of their own in blobs.ConnectionString("").
package azurite

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"xarchive/tests/sandbox/process"
)

// DefaultAccount is the account that every Azurite has, and developmentKey its
// published key: with both and port 10000, `UseDevelopmentStorage=true` works.
const (
	DefaultAccount = "devstoreaccount1"
	developmentKey = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// startTimeout is for a machine that is busy with the tests of other packages.
const startTimeout = time.Minute

// Options says how to run Azurite. The zero value will do.
type Options struct {
	Port     int      // on 127.0.0.1; 0 takes a free one
	Dir      string   // keeps the blobs; "" keeps them in memory only
	Accounts []string // more accounts beside DefaultAccount, each with a random key
}

// Server is a running Azurite.
type Server struct {
	child *process.Child
	url   string
	keys  map[string]string // by account
}

// Start runs Azurite and returns when it answers. Its error says what to install
// where that is missing. ctx bounds the start only.
func Start(ctx context.Context, o Options) (*Server, error) {
	node, script, err := find()
	if err != nil {
		return nil, err
	}
	s := &Server{keys: map[string]string{DefaultAccount: developmentKey}}
	for _, name := range o.Accounts {
		key := make([]byte, 64)
		_, _ = rand.Read(key) // never fails
		s.keys[name] = base64.StdEncoding.EncodeToString(key)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("no answer within %s", startTimeout))
	defer cancel()
	s.child, err = process.Start(ctx, process.Command{
		Name: "Azurite", Path: node, Args: arguments(script, o), Env: s.environment(),
	})
	if err != nil {
		return nil, err
	}
	if err := s.child.WaitReady(ctx, s.answers); err != nil {
		return nil, err
	}
	return s, nil
}

// endsWithStdin has Node.js end when its standard input does, which this process
// holds open. Linux needs it not; elsewhere it is what ends an orphaned Azurite.
// Unreferenced, the input does not hold up Azurite's own end.
const endsWithStdin = `data:text/javascript,process.stdin.on("end",()=>process.exit()).resume().unref()`

func arguments(script string, o Options) []string {
	args := []string{"--import", endsWithStdin, script, "--silent", "--disableTelemetry",
		"--blobHost", "127.0.0.1", "--blobPort", strconv.Itoa(o.Port),
		// azblob v1.8.0 asks for service version 2026-06-06. Azurite 3.35.0 knows none
		// after 2025-11-05 and would answer 400; what the connector uses is older than both.
		"--skipApiVersionCheck"}
	if o.Dir == "" {
		return append(args, "--inMemoryPersistence")
	}
	return append(args, "--location", o.Dir)
}

// environment is this process's, without what would make Azurite another one.
func (s *Server) environment() []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "AZURITE_") || strings.HasPrefix(v, "NODE_OPTIONS=")
	})
	var accounts []string
	for name, key := range s.keys {
		accounts = append(accounts, name+":"+key)
	}
	return append(env, "AZURITE_ACCOUNTS="+strings.Join(accounts, ";"))
}

var listens = regexp.MustCompile(`successfully listens on (http://127\.0\.0\.1:[0-9]+)`)

// answers is nil once Azurite has said where it listens and answers there as
// Blob Storage does: with a request id, even to a refused request.
func (s *Server) answers(ctx context.Context) error {
	said := listens.FindStringSubmatch(s.child.Output())
	if said == nil {
		return errors.New("it does not listen yet")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, said[1]+"/"+DefaultAccount+"?comp=list", nil)
	if err != nil {
		return err
	}
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.Header.Get("x-ms-request-id") == "" {
		return fmt.Errorf("what listens at %s is not Azurite (status %d)", said[1], answer.StatusCode)
	}
	s.url = said[1]
	return nil
}

// Stop ends Azurite.
func (s *Server) Stop() error { return s.child.Stop() }

// URL is the blob endpoint of an account, without a slash at the end; "" is
// DefaultAccount.
func (s *Server) URL(account string) string {
	if account == "" {
		account = DefaultAccount
	}
	return s.url + "/" + account
}

// Key is an account's shared key, base64; "" is DefaultAccount. It panics for an
// account that was not in Options.
func (s *Server) Key(account string) string {
	if account == "" {
		account = DefaultAccount
	}
	key, ok := s.keys[account]
	if !ok {
		panic(fmt.Sprintf("azurite: no account %q: name it in Options.Accounts", account))
	}
	return key
}

// ConnectionString opens an account; "" is DefaultAccount. It panics for an account
// that was not in Options.
func (s *Server) ConnectionString(account string) string {
	if account == "" {
		account = DefaultAccount
	}
	return fmt.Sprintf("DefaultEndpointsProtocol=http;AccountName=%s;AccountKey=%s;BlobEndpoint=%s;", account, s.Key(account), s.URL(account))
}

// Run is for TestMain (m is a *testing.M): it starts an Azurite with its blobs in
// memory, sets *server, runs the tests and stops it. It returns the exit code, 1
// if Azurite could not be started.
func Run(m interface{ Run() int }, server **Server) int {
	s, err := Start(context.Background(), Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	*server = s
	code := m.Run()
	if err := s.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}

// find returns the paths of Node.js and of Azurite's blob service.
func find() (node, script string, err error) {
	root, err := Repository()
	if err != nil {
		return "", "", err
	}
	if node, err = exec.LookPath("node"); err != nil {
		return "", "", errors.New("starting Azurite: it needs Node.js, and there is no node on the PATH: install Node.js 20 or newer (https://nodejs.org), then run `make test`")
	}
	script = filepath.Join(root, "tests", "node_modules", "azurite", "dist", "src", "blob", "main.js")
	if _, err := os.Stat(script); err != nil {
		return "", "", errors.New("starting Azurite: it is not installed in tests/node_modules: run `make test` once in " + root + ", which installs it; `go test` works after that")
	}
	return node, script, nil
}

// Repository is the folder with go.mod, found upwards of the working directory
// (go test's is the package's) or of this source file.
func Repository() (string, error) {
	var starts []string
	if wd, err := os.Getwd(); err == nil {
		starts = append(starts, wd)
	}
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		starts = append(starts, filepath.Dir(file))
	}
	for _, dir := range starts {
		for {
			mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
			if err == nil && strings.HasPrefix(string(mod), "module xarchive\n") {
				return dir, nil
			}
			if parent := filepath.Dir(dir); parent != dir {
				dir = parent
				continue
			}
			break
		}
	}
	return "", errors.New("the connector's source folder is not found: run this inside it")
}
