// Command demo runs the connector's main job with no account anywhere: two accounts
// of X sign in, the Compliance Center asks for everything they posted, the timer
// captures and delivers it. It ends by itself and shows what was archived.
//
//	demo -app build/native                  with the built-in corpus
//	demo -app build/native -corpus FOLDER   with posts of your own
//	demo -app build/native -keep            stays up and prints the addresses
//	demo -serve                             only the stand-ins, for `make start`
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/corpus"
)

func main() {
	var (
		app    = flag.String("app", "", "folder of the staged app")
		folder = flag.String("corpus", "", "folder with posts.json, media/ and accounts.json; the built-in one if empty")
		keep   = flag.Bool("keep", false, "stay up when the job is done")
		serve  = flag.Bool("serve", false, "run only the stand-ins, on the ports of local.settings.json.sample")
	)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	posts, err := load(*folder)
	switch {
	case err != nil:
	case *serve:
		err = serveSandbox(ctx, posts)
	case *app == "":
		err = errors.New("-app is missing: run `make demo`")
	default:
		err = run(ctx, *app, posts, *keep)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		stop()
		os.Exit(1)
	}
}

func load(folder string) (*corpus.Corpus, error) {
	if folder == "" {
		return corpus.Builtin()
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

// serveSandbox runs the stand-ins until it is told to end.
func serveSandbox(ctx context.Context, posts *corpus.Corpus) (err error) {
	s, err := sandbox.Start(ctx, sandbox.Options{Dir: filepath.Join("build", "sandbox"), Corpus: posts, Ports: sandbox.FixedPorts})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	fmt.Printf(`The stand-ins are up, as local.settings.json.sample wants them.
  X                %s
  Import service   %s
  Entra            %s
  Key Vault        %s (%s)
  Blob storage     %s

In another terminal:  cp local.settings.json.sample local.settings.json && make start
Then open             http://localhost:%d/Configure
  tenant id          %s
  APISecretKey       %s
Ctrl-C ends.
`, s.XURL, s.ImportURL, s.Entra.URL(), s.Vault.URL(), s.Vault.Kind(), s.Blobs.URL(""), sandbox.FixedPorts.Host, sandbox.TenantID, sandbox.APISecretKey)
	<-ctx.Done()
	return nil
}
