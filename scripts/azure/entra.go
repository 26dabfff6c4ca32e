package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// mayRegister is what to do when the directory refuses.
func (h *hook) mayRegister() string {
	return "someone who may register applications in Entra (role Application Developer or above) has to run `" + h.again("postprovision") + "` in this environment, once"
}

// application is the client id of the connector's Entra app: the one remembered in
// the azd environment, else the one of this environment's name, else a new one.
// It has a service principal, without which it cannot ask for tokens.
func (h *hook) application(ctx context.Context) (string, error) {
	id, err := h.findApplication(ctx)
	if err != nil {
		return "", err
	}
	if id == "" {
		name, err := h.applicationName()
		if err != nil {
			return "", err
		}
		id, err = h.az.run(ctx, "ad", "app", "create", "--display-name", name, "--sign-in-audience", "AzureADMyOrg",
			"--query", "appId", "--output", "tsv")
		if err != nil {
			return "", fmt.Errorf("registering the Entra app: %w\n%s", err, h.mayRegister())
		}
		h.say("Registered the Entra app %q: %s", name, id)
	}
	if h.getenv("AAD_APPLICATION_ID") != id {
		if err := h.remember(ctx, "AAD_APPLICATION_ID", id); err != nil {
			return "", fmt.Errorf("remembering the Entra app: %w", err)
		}
	}
	there, err := h.exists(ctx, "ad", "sp", "show", "--id", id)
	if err != nil || there {
		return id, err
	}
	err = h.settle(ctx, "the Entra app", errNotFound, func() error {
		_, err := h.az.run(ctx, "ad", "sp", "create", "--id", id, "--output", "none")
		return err
	})
	if err != nil {
		return "", fmt.Errorf("making the Entra app's service principal: %w\n%s", err, h.mayRegister())
	}
	return id, nil
}

func (h *hook) applicationName() (string, error) {
	env, err := h.setting("AZURE_ENV_NAME")
	return "X archive connector " + env, err
}

func (h *hook) findApplication(ctx context.Context) (string, error) {
	if id := h.getenv("AAD_APPLICATION_ID"); id != "" {
		there, err := h.exists(ctx, "ad", "app", "show", "--id", id)
		if err == nil && !there {
			err = fmt.Errorf("the Entra app %s (AAD_APPLICATION_ID) does not exist in this tenant: if it was deleted for good, run `%s` to have another made; the Compliance Center must then be told the new id", id, h.withApp(`""`))
		}
		return id, err
	}
	name, err := h.applicationName()
	if err != nil {
		return "", err
	}
	var ids []string
	filter := "displayName eq '" + strings.ReplaceAll(name, "'", "''") + "'"
	if err := h.az.json(ctx, &ids, "ad", "app", "list", "--filter", filter, "--query", "[].appId"); err != nil {
		return "", fmt.Errorf("looking for the Entra app: %w", err)
	}
	switch len(ids) {
	case 0:
		return "", nil
	case 1:
		return ids[0], nil
	}
	return "", fmt.Errorf("%d Entra apps are called %q: say which is the connector's with `%s`: %s", len(ids), name, h.withApp("<id>"), strings.Join(ids, ", "))
}

// applicationURI is the app's application ID URI, which the Import service asks for
// tokens for. One that is there is kept.
func (h *hook) applicationURI(ctx context.Context, id string) (string, error) {
	var uris []string
	err := h.settle(ctx, "the Entra app", errNotFound, func() error {
		return h.az.json(ctx, &uris, "ad", "app", "show", "--id", id, "--query", "identifierUris")
	})
	if err != nil {
		return "", fmt.Errorf("reading the Entra app's application ID URI: %w", err)
	}
	standard := "api://" + id
	if slices.Contains(uris, standard) {
		return standard, nil
	}
	if len(uris) > 0 {
		return uris[0], nil
	}
	if _, err := h.az.run(ctx, "ad", "app", "update", "--id", id, "--identifier-uris", standard, "--output", "none"); err != nil {
		return "", fmt.Errorf("setting the Entra app's application ID URI: %w", err)
	}
	return standard, nil
}

// exists runs a command that shows one thing. A refusal is an error, not a no.
func (h *hook) exists(ctx context.Context, args ...string) (bool, error) {
	_, err := h.az.run(ctx, append(args, "--output", "none")...)
	if errors.Is(err, errNotFound) {
		return false, nil
	}
	return err == nil, err
}
