package main

import (
	"context"
	"fmt"
	"strings"
)

// preprovision looks before anything is made whether the rest can work: az is
// there, signed in, and to the tenant that the connector is for. The Entra app is
// made with az, which has a sign-in of its own beside azd's.
func (h *hook) preprovision(ctx context.Context) error {
	_, err := h.tenant(ctx)
	return err
}

// tenant is the Microsoft 365 tenant that the connector is for: TENANT_ID, or the
// one that az is signed in to.
func (h *hook) tenant(ctx context.Context) (string, error) {
	signedIn, err := h.az.run(ctx, "account", "show", "--query", "tenantId", "--output", "tsv")
	if err != nil {
		return "", fmt.Errorf("the Azure CLI (az) must be installed and signed in, the Entra app is made with it: https://aka.ms/azure-cli, then `az login`: %w", err)
	}
	wanted := h.getenv("TENANT_ID")
	if wanted == "" || strings.EqualFold(wanted, signedIn) {
		return signedIn, nil
	}
	return "", fmt.Errorf("az is signed in to tenant %s, the connector is for tenant %s (TENANT_ID in the azd environment): run `az login --tenant %s`", signedIn, wanted, wanted)
}
