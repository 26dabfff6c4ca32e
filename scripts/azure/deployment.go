package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
)

// Whoever has a release alone deploys its main.json with az or in the portal. Then there
// is no azd: what it would hand over comes from the deployment itself.

// fromDeployment are the names that azd has for parameters of main.bicep which the hooks
// ask for.
var fromDeployment = map[string]string{
	"environmentName": "AZURE_ENV_NAME", "tenantId": "TENANT_ID", "alertEmail": "ALERT_EMAIL",
	"alertActionGroupId": "ALERT_ACTION_GROUP_ID", "archiveImmutabilityDays": "ARCHIVE_IMMUTABILITY_DAYS",
}

// useDeployment takes settings from a deployment: its outputs and parameters. What the
// environment has comes before them.
func (h *hook) useDeployment(ctx context.Context, name string) error {
	type value struct{ Value any }
	var deployment struct{ Outputs, Parameters map[string]value }
	err := h.az.json(ctx, &deployment, "deployment", "sub", "show", "--name", name, "--query", "properties.{outputs:outputs,parameters:parameters}")
	if err != nil {
		return fmt.Errorf("reading the deployment %s of the subscription (`az deployment sub list --query [].name --output tsv` lists them): %w", name, err)
	}
	subscription, err := h.az.run(ctx, "account", "show", "--query", "id", "--output", "tsv")
	if err != nil {
		return fmt.Errorf("asking az for the subscription: %w", err)
	}
	settings := map[string]string{"AZURE_SUBSCRIPTION_ID": subscription}
	for key, v := range deployment.Parameters {
		if setting := fromDeployment[key]; setting != "" && v.Value != nil {
			settings[setting] = fmt.Sprint(v.Value)
		}
	}
	for key, v := range deployment.Outputs {
		settings[strings.ToUpper(key)] = fmt.Sprint(v.Value) // Azure changes the case of some letters
	}
	environment := h.getenv
	h.getenv = func(setting string) string { return cmp.Or(environment(setting), settings[setting]) }
	h.deployment = name
	return nil
}

// again is the command that runs a hook again.
func (h *hook) again(hook string) string {
	if h.deployment != "" {
		return "xarchive-setup -deployment " + h.deployment + " " + hook
	}
	return "azd hooks run " + hook
}

// remember keeps a value in azd's environment. Without azd it is found anew each time.
func (h *hook) remember(ctx context.Context, name, value string) error {
	if h.deployment != "" {
		return nil
	}
	_, err := h.azd.run(ctx, "env", "set", name, value)
	return err
}

// choose says how to choose something for a deployment that is made again.
func (h *hook) choose(setting, parameter string) string {
	if h.deployment != "" {
		return "give " + parameter + "=<value> among the parameters of main.json, and deploy it again"
	}
	return "azd env set " + setting + " <value>     then: azd provision"
}

// withApp says how to name the Entra app that is the connector's.
func (h *hook) withApp(id string) string {
	if h.deployment != "" {
		return "AAD_APPLICATION_ID=" + id + " " + h.again("postprovision")
	}
	return "azd env set AAD_APPLICATION_ID " + id
}
