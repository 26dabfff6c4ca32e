package main

import (
	"context"
	"errors"
	"fmt"

	"xarchive/scripts/appfolder"
)

// What is deployed, and the folder that it is packed from.
const (
	staged  = "build/app"
	zipFile = "build/app.zip"
)

// prepackage makes what is deployed. The zip is packed here and not by azd or az,
// which on Windows would leave out that the handler is executable.
func (h *hook) prepackage(ctx context.Context) error {
	if err := appfolder.Stage(ctx, ".", staged, appfolder.Azure); err != nil {
		return err
	}
	return appfolder.Pack(staged, zipFile)
}

// postdeploy packages the sources as they are now and deploys them. Why this is not
// azd's own work: azure.yaml says so.
func (h *hook) postdeploy(ctx context.Context) error {
	app, err := h.setting("CONNECTOR_APP_NAME")
	if err != nil {
		return err
	}
	group, err := h.setting("AZURE_RESOURCE_GROUP")
	if err != nil {
		return err
	}
	subscription, err := h.setting("AZURE_SUBSCRIPTION_ID")
	if err != nil {
		return err
	}
	zip := h.zip
	switch {
	case zip != "":
	case h.deployment != "":
		return errors.New("say what is to be deployed: -zip xarchive-connector-<version>.zip")
	default:
		zip = zipFile
		if err := h.prepackage(ctx); err != nil {
			return err
		}
	}
	h.say("Deploying the connector to %s; this takes a minute or two …", app)
	err = h.settle(ctx, "your role in the function app", errForbidden, func() error {
		_, err := h.az.run(ctx, "functionapp", "deployment", "source", "config-zip",
			"--subscription", subscription, "--resource-group", group, "--name", app, "--src", zip, "--build-remote", "false", "--output", "none")
		return err
	})
	if err != nil {
		again := "azd deploy"
		if h.deployment != "" {
			again = h.again("postdeploy")
		}
		return fmt.Errorf("deploying the connector (`%s` tries this alone again): %w", again, err)
	}
	h.say("The connector is deployed.")
	return nil
}
