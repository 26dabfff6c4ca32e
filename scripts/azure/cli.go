package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// cli is a command on the PATH: az or azd.
type cli string

// errNotFound: az says that the thing asked for does not exist (its exit status 3).
// https://learn.microsoft.com/cli/azure/use-azure-cli-successfully-tips#error-handling
var errNotFound = errors.New("does not exist")

// errForbidden: az says that whoever is signed in may not do this, which also is
// what it says of a role given a moment ago.
var errForbidden = errors.New("not allowed")

// run returns what the command prints. Arguments may show in errors and in lists
// of processes: no secret among them. What the command printed is never in an
// error, for it can hold one; what it complained of is.
func (c cli) run(ctx context.Context, args ...string) (string, error) {
	return c.give(ctx, "", args...)
}

// give is run for a command that reads something from its standard input.
func (c cli) give(ctx context.Context, input string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, string(c), args...)
	cmd.Stdin = strings.NewReader(input)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	err := cmd.Run()
	if err == nil {
		return strings.TrimSpace(out.String()), nil
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return "", fmt.Errorf("%s cannot be run, is it installed? %w", c, err)
	}
	said := strings.TrimSpace(complaint.String())
	switch {
	case exit.ExitCode() == 3:
		err = errNotFound
	case strings.Contains(said, "Forbidden") || strings.Contains(said, "Authorization_RequestDenied") || strings.Contains(said, "AuthorizationFailed"):
		err = errForbidden
	}
	// The command's first words say which one it was; its values are left out.
	return "", fmt.Errorf("`%s %s`: %w\n%s", c, strings.Join(words(args), " "), err, said)
}

// json is run for a command that prints JSON.
func (c cli) json(ctx context.Context, into any, args ...string) error {
	out, err := c.run(ctx, append(args, "--output", "json")...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		return fmt.Errorf("`%s %s` did not answer in JSON: %w", c, strings.Join(words(args), " "), err)
	}
	return nil
}

// words are the arguments before the first option.
func words(args []string) []string {
	for i, a := range args {
		if strings.HasPrefix(a, "-") {
			return args[:i]
		}
	}
	return args
}

// tries is how often something is tried that Azure needs a while for. With 15
// seconds between them: five minutes, the longest that role assignments are said
// to need for most. https://learn.microsoft.com/azure/role-based-access-control/troubleshooting
const tries = 20

// settle tries something again while it fails in the way of something that was
// made a moment ago and is not known everywhere yet.
func (h *hook) settle(ctx context.Context, what string, not error, try func() error) error {
	for n := 1; ; n++ {
		err := try()
		if !errors.Is(err, not) || n == tries {
			return err
		}
		if n == 1 {
			h.say("Waiting until Azure knows %s …", what)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(h.wait):
		}
	}
}
