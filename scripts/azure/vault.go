package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// vault is the connector's Key Vault.
type vault struct {
	*hook
	name string
}

// list is the names of the secrets there, each with its end, if it has one. No
// secret is read.
func (v vault) list(ctx context.Context) (map[string]time.Time, error) {
	var secrets []struct {
		Name    string
		Expires *time.Time
	}
	err := v.settle(ctx, "your role in Key Vault "+v.name, errForbidden, func() error {
		return v.az.json(ctx, &secrets, "keyvault", "secret", "list", "--vault-name", v.name,
			"--query", "[].{name:name,expires:attributes.expires}")
	})
	if err != nil {
		return nil, fmt.Errorf("looking into Key Vault %s (you need the role Key Vault Secrets Officer there; with PRIVATE_NETWORK your address must be in ALLOWED_IP_ADDRESSES; to change that, %s): %w", v.name, v.choose("ALLOWED_IP_ADDRESSES", "allowedIpAddresses"), err)
	}
	ends := map[string]time.Time{}
	for _, s := range secrets {
		ends[s.Name] = time.Time{}
		if s.Expires != nil {
			ends[s.Name] = *s.Expires
		}
	}
	return ends, nil
}

// plain reads one of the values that are no secret though they are kept here: the
// Entra app's id and URI. "" if it is not there.
func (v vault) plain(ctx context.Context, has map[string]time.Time, name string) (string, error) {
	if _, isThere := has[name]; !isThere {
		return "", nil
	}
	value, err := v.az.run(ctx, "keyvault", "secret", "show", "--vault-name", v.name, "--name", name, "--query", "value", "--output", "tsv")
	if err != nil {
		return "", fmt.Errorf("reading %s from Key Vault %s: %w", name, v.name, err)
	}
	return value, nil
}

// set saves a secret. az reads it from a pipe, so that it is written nowhere. Where
// there are no pipes with a name (Windows) it goes through a file that only the user may
// read, removed when az has ended, and when this program is told to end.
func (v vault) set(ctx context.Context, name, value string, ends time.Time) (err error) {
	file, input := "/dev/stdin", value
	if runtime.GOOS == "windows" {
		dir, err := os.MkdirTemp("", "xarchive-")
		if err != nil {
			return fmt.Errorf("saving %s: %w", name, err)
		}
		defer func() {
			if removeErr := os.RemoveAll(dir); removeErr != nil {
				err = errors.Join(err, fmt.Errorf("%s is left in %s, delete it: %w", name, dir, removeErr))
			}
		}()
		file, input = filepath.Join(dir, "value"), ""
		if err := os.WriteFile(file, []byte(value), 0o600); err != nil {
			return fmt.Errorf("saving %s: %w", name, err)
		}
	}
	args := []string{"keyvault", "secret", "set", "--vault-name", v.name, "--name", name, "--file", file, "--encoding", "utf-8", "--output", "none"}
	if !ends.IsZero() {
		args = append(args, "--expires", ends.Format(time.RFC3339))
	}
	if _, err := v.az.give(ctx, input, args...); err != nil {
		return fmt.Errorf("saving %s in Key Vault %s (if it was deleted there: `az keyvault secret recover --vault-name %s --name %s`, then again): %w", name, v.name, v.name, name, err)
	}
	v.say("Saved %s in Key Vault %s", name, v.name)
	return nil
}
