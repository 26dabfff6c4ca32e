// Command demo runs the connector's main job with no account anywhere: two accounts
// of X sign in, the Compliance Center asks for everything they posted, the timer
// captures and delivers it. It ends by itself and shows what was archived.
//
//	demo -app build/native                  with the built-in corpus
//	demo -app build/native -corpus FOLDER   with posts of your own
//	demo -app build/native -keep            stays up and prints the addresses
//	demo -app build/native -host func       runs the app by Azure Functions Core Tools
//	demo -app build/native -host ADDRESS    waits for a Functions host that you start there
//	demo -serve [-ports 7500]               only the stand-ins, for `make start`
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/corpus"
)

func main() {
	var (
		app    = flag.String("app", "", "folder of the staged app")
		folder = flag.String("corpus", "", "folder with posts.json, media/ and accounts.json; the built-in one if empty")
		keep   = flag.Bool("keep", false, "stay up when the job is done")
		host   = flag.String("host", "", "what runs the app: 'func' for Azure Functions Core Tools, an address for a host that you start; the stand-in if empty")
		serve  = flag.Bool("serve", false, "run only the stand-ins, on the ports of local.settings.json.sample")
	)
	ports := flag.Int("ports", 0, "with -serve: the first of eight ports to use instead")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	posts, err := load(*folder)
	switch {
	case err != nil:
	case *serve:
		err = serveSandbox(ctx, posts, "build", *ports, os.Stdout)
	case *app == "":
		err = errors.New("-app is missing: run `make demo`")
	default:
		err = (&demo{app: *app, host: *host, posts: posts, dir: filepath.Join("build", "demo"), keep: *keep, out: os.Stdout}).run(ctx)
	}
	switch {
	case err == nil:
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		// Somebody ended it; that is no fault of its own.
		fmt.Println("\nStopped.")
	default:
		fmt.Fprintln(os.Stderr, "demo:", err)
		stop()
		os.Exit(1)
	}
}

func load(folder string) (*corpus.Corpus, error) {
	if folder == "" {
		return corpus.BuiltinUntil(time.Now())
	}
	c, err := corpus.Load(folder)
	if err != nil {
		return nil, err
	}
	for _, problem := range c.Problems() {
		fmt.Fprintln(os.Stderr, "corpus:", problem)
	}
	return c, nil
}

// serveSandbox runs the stand-ins until it is told to end: on the ports of
// local.settings.json.sample, or on others from first on, for which it writes settings.
func serveSandbox(ctx context.Context, posts *corpus.Corpus, root string, first int, out io.Writer) (err error) {
	o := sandbox.Options{Dir: filepath.Join(root, "sandbox"), Corpus: posts, Ports: sandbox.FixedPorts, KeepCA: true, Schedule: "*/30 * * * * *"}
	settings := "local.settings.json.sample"
	if first != 0 {
		o.Dir, o.Ports = filepath.Join(root, "sandbox-"+strconv.Itoa(first)), sandbox.PortsFrom(first)
		settings = filepath.Join(o.Dir, "local.settings.json")
	}
	s, err := sandbox.Start(ctx, o)
	if errors.Is(err, sandbox.ErrTaken) {
		return fmt.Errorf("%w\nPerhaps another 'make sandbox' runs, which serves you as well; else choose other ports: make sandbox PORTS=7500 takes 7500 to 7507", err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	if first != 0 {
		values := s.Settings(o)
		values["AzureWebJobsStorage"] = hostStorage(values["STORAGE_CONNECTION_STRING"], s.Blobs.URL(""))
		if err := writeLocalSettings(settings, values, o.Ports.Host); err != nil {
			return fmt.Errorf("writing settings for these ports: %w", err)
		}
	}
	fmt.Fprintf(out, `The stand-ins are up, as %s wants them.
  X                %s
  Import service   %s
  Entra            %s
  Key Vault        %s (%s)
  Blob storage     %s

In another terminal:  cp %[1]s local.settings.json && make start
Then open             http://localhost:%[8]d/Configure
  tenant id          %s
  APISecretKey       %s
Ctrl-C ends.
`, settings, s.XURL, s.ImportURL, s.Entra.URL(), s.Vault.URL(), s.Vault.Kind(), s.Blobs.URL(""), o.Ports.Host, sandbox.TenantID, sandbox.APISecretKey)
	<-ctx.Done()
	return nil
}
