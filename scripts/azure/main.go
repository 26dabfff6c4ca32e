// Command azure is what azd runs around provisioning, packaging, deploying and taking
// down (azure.yaml, hooks). One program, so that it does the same from sh and from
// PowerShell, and so that it can be tested.
//
//	azure preprovision    is everything there that the rest needs?
//	azure postprovision   Entra app registration, secrets into Key Vault, and the
//	                      values that the Compliance Center and X ask for
//	azure prepackage      stages build/app and packs it: build/app.zip
//	azure postdeploy      the same, and deploys it with az
//	azure predown         says which archive would be deleted, and refuses
//
// A release has it as a program of its own, xarchive-setup, for those who have neither
// azd nor Go: with -deployment it takes what azd would hand over from a deployment of
// main.json, and postdeploy deploys the zip that -zip names.
//
// Run again, each changes nothing that is right. Settings come from the azd
// environment, which azd hands over as environment variables.
//
// No secret is ever an argument of a command, printed, or kept in the azd
// environment. It goes from the command that makes it through this program's memory
// and a pipe into Key Vault (vault.set).
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// hook is one run of this program.
type hook struct {
	az     cli
	azd    cli
	getenv func(string) string
	out    io.Writer

	// wait is the time between two tries of what Azure needs a while for: a role
	// or a directory object that was made a moment ago.
	wait time.Duration

	deployment string // made without azd; "" with azd
	zip        string // to deploy; "" for what prepackage makes
}

func main() {
	wait := flag.Duration("wait", 15*time.Second, "time between two tries of what Azure needs a while for")
	deployment := flag.String("deployment", "", "take the settings from this deployment of main.json instead of from azd")
	zip := flag.String("zip", "", "what postdeploy deploys, xarchive-connector-<version>.zip; without it the sources are packaged")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: [-deployment NAME] [-zip FILE] [-wait 15s] preprovision|postprovision|prepackage|postdeploy|predown")
	}
	flag.Parse()
	h := &hook{az: "az", azd: "azd", getenv: os.Getenv, out: os.Stdout, wait: *wait, zip: *zip}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP) // the terminal is closed, too
	defer stop()
	var err error
	if *deployment != "" {
		err = h.useDeployment(ctx, *deployment)
	}
	if err == nil {
		err = h.run(ctx, flag.Arg(0))
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "\n%s: %v\n", flag.Arg(0), err)
		os.Exit(1)
	}
}

func (h *hook) run(ctx context.Context, name string) error {
	switch name {
	case "preprovision":
		return h.preprovision(ctx)
	case "postprovision":
		return h.postprovision(ctx)
	case "prepackage":
		return h.prepackage(ctx)
	case "postdeploy":
		return h.postdeploy(ctx)
	case "predown":
		return h.predown(ctx)
	}
	flag.Usage()
	return fmt.Errorf("%q is none of these", name)
}

func (h *hook) say(format string, args ...any) { fmt.Fprintf(h.out, format+"\n", args...) }

// setting is a value of the azd environment that provisioning leaves there.
func (h *hook) setting(name string) (string, error) {
	if value := h.getenv(name); value != "" {
		return value, nil
	}
	if h.deployment != "" {
		return "", fmt.Errorf("%s is not among the outputs of the deployment %s: has it succeeded?", name, h.deployment)
	}
	return "", fmt.Errorf("%s is not in the azd environment: run `azd provision` first (after it, `azd hooks run postprovision` runs this alone)", name)
}
