// Package browser clicks the connector's pages through in headless Chromium, as an
// administrator does in steps 6 and 7 of Microsoft's guide, against the sandbox:
// the real binary behind a stand-in for the Functions host.
//
// Every page that a test comes by is looked at in light, in dark and on a phone of
// 320 px (see look): axe-core must find nothing serious in it, nothing may stick
// out on the phone, and a picture of it goes to build/screens.
//
// Chromium is taken from CHROMIUM or from where systems have it (see chromium_test.go).
package browser

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/corpus"

	"github.com/chromedp/chromedp"
)

// root is the repository, seen from this package.
const root = "../.."

// shared is what all tests use: the staged app and one browser. Each test has a
// sandbox and a browser profile of its own.
var shared struct {
	app     string
	browser context.Context
}

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	program, err := findChromium(os.Getenv, isProgram)
	if err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "xarchive-browser-") // short: sockets lie in it
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	// The browser's profile goes there too.
	if err := os.Setenv("TMPDIR", dir); err != nil {
		return 1, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	shared.app = filepath.Join(dir, "app")
	if err := sandbox.Stage(ctx, root, shared.app); err != nil {
		return 1, err
	}
	var stop func() error
	shared.browser, stop, err = startChromium(program)
	if err != nil {
		return 1, err
	}
	defer func() {
		if stopErr := stop(); stopErr != nil && err == nil {
			code, err = 1, fmt.Errorf("closing Chromium: %w", stopErr)
		}
	}()
	return m.Run(), nil
}

// world starts a sandbox of the test's own.
func world(t *testing.T) *sandbox.Sandbox {
	t.Helper()
	return worldOf(t, nil, nil)
}

// worldWith starts one whose connector has these app settings besides.
func worldWith(t *testing.T, settings map[string]string) *sandbox.Sandbox {
	t.Helper()
	return worldOf(t, nil, settings)
}

// worldOf starts one in which X has these accounts and posts; nil for the built-in ones.
func worldOf(t *testing.T, c *corpus.Corpus, settings map[string]string) *sandbox.Sandbox {
	t.Helper()
	s, err := sandbox.Start(t.Context(), sandbox.Options{Dir: t.TempDir(), App: shared.app, InMemory: true, Corpus: c, Env: settings, Stderr: logOf(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("stopping the sandbox: %v", err)
		}
	})
	return s
}

// logOf is a file for what the handler logs. It is shown if the test fails.
func logOf(t *testing.T) *os.File {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "handler.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		file.Close()
		if text, err := os.ReadFile(file.Name()); t.Failed() && err == nil {
			t.Logf("the handler's log:\n%s", text)
		}
	})
	return file
}

// startChromium starts a browser without a window. stop closes it and waits until
// its processes are gone.
func startChromium(program string) (ctx context.Context, stop func() error, err error) {
	allocator, free := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(program),
		chromedp.Headless, // and --no-sandbox as root, which a container's user is
		chromedp.Flag("no-sandbox", true),
		chromedp.DisableGPU,
		chromedp.NoFirstRun,
		chromedp.NoDefaultBrowserCheck,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true), // small in containers
		chromedp.Flag("password-store", "basic"),     // asks no keyring
		chromedp.Flag("force-color-profile", "srgb"), // the same pictures everywhere
		chromedp.Flag("hide-scrollbars", true),
	)
	// What matters comes back as an error of the call; the rest is Chromium's talk
	// about windows that close.
	ctx, cancel := chromedp.NewContext(allocator, chromedp.WithErrorf(func(string, ...any) {}))
	stop = func() error {
		defer free() // waits
		defer cancel()
		return chromedp.Cancel(ctx)
	}
	if err := chromedp.Do(ctx); err != nil {
		_ = stop()
		return nil, nil, fmt.Errorf("starting %s: %w", program, err)
	}
	return ctx, stop, nil
}
