package infra

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// builtinRoles are the ids that Azure gives its roles, the same everywhere.
// https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
var builtinRoles = map[string]string{
	"Storage Blob Data Owner":       "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
	"Storage Blob Data Contributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
	"Key Vault Secrets Officer":     "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
	"Monitoring Metrics Publisher":  "3913510d-42f4-4e42-8a64-420c390055eb",
}

func TestRolesAreThoseOfTheirNames(t *testing.T) {
	var roles map[string]string
	if err := json.Unmarshal([]byte(read(t, "infra/roles.json")), &roles); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(roles, builtinRoles) {
		t.Errorf("want %v, got %v", builtinRoles, roles)
	}
}

// One role for each thing the app reaches, given on that thing and not above it.
func TestRolesAreNoWiderThanNeeded(t *testing.T) {
	want := []string{
		"archive-storage.bicep: Storage Blob Data Contributor on Microsoft.Storage/storageAccounts",
		"host-storage.bicep: Storage Blob Data Owner on Microsoft.Storage/storageAccounts",
		"key-vault.bicep: Key Vault Secrets Officer on Microsoft.KeyVault/vaults",
		"logs.bicep: Monitoring Metrics Publisher on Microsoft.Insights/components",
	}
	var got []string
	for name, b := range bicepFiles(t) {
		kinds := map[string]string{}
		for _, r := range b.resources {
			kinds[r.symbol] = r.kind
		}
		for _, r := range b.resources {
			if !strings.Contains(r.kind, "roleAssignments") {
				continue
			}
			scope := r.body.at("scope")
			if scope == nil {
				t.Errorf("%s: %s has no scope, so it is for the whole resource group", name, r.symbol)
				continue
			}
			role := r.body.at("properties", "roleDefinitionId").all("subscript_expression")
			if len(role) != 1 {
				t.Errorf("%s: %s does not take its role from roles.json", name, r.symbol)
				continue
			}
			text, _ := role[0].child("string").literal()
			got = append(got, fmt.Sprintf("%s: %s on %s", name, text, kinds[scope.code()]))
			if !strings.Contains(r.body.at("name").code(), "'"+text+"'") {
				t.Errorf("%s: the name of %s does not depend on its role: a change of role could not be deployed", name, r.symbol)
			}
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("want\n%s\ngot\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
}

// find is the one resource of a kind in a file.
func find(t *testing.T, file, kind string) *tree {
	t.Helper()
	var found []*tree
	for _, r := range bicepFiles(t)[file].resources {
		if r.kind == kind && !r.existing {
			found = append(found, r.body)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%s: want one %s, got %d", file, kind, len(found))
	}
	return found[0]
}

func TestWhatProtectsTheArchive(t *testing.T) {
	type rule struct{ file, kind, path, want string }
	var rules []rule
	for _, file := range []string{"host-storage.bicep", "archive-storage.bicep"} {
		for path, want := range map[string]string{
			"properties.allowSharedKeyAccess":     "false",
			"properties.allowBlobPublicAccess":    "false",
			"properties.minimumTlsVersion":        "'TLS1_2'",
			"properties.supportsHttpsTrafficOnly": "true",
			"properties.networkAcls.bypass":       "'None'",
		} {
			rules = append(rules, rule{file, "Microsoft.Storage/storageAccounts", path, want})
		}
	}
	const blobs = "Microsoft.Storage/storageAccounts/blobServices"
	rules = append(rules,
		rule{"archive-storage.bicep", blobs, "properties.isVersioningEnabled", "true"},
		rule{"archive-storage.bicep", blobs, "properties.deleteRetentionPolicy.enabled", "true"},
		rule{"archive-storage.bicep", blobs, "properties.deleteRetentionPolicy.days", "softDeleteDays"},
		rule{"archive-storage.bicep", blobs, "properties.containerDeleteRetentionPolicy.enabled", "true"},
		rule{"archive-storage.bicep", blobs + "/containers/immutabilityPolicies", "properties.immutabilityPeriodSinceCreationInDays", "immutabilityDays"},
		rule{"key-vault.bicep", "Microsoft.KeyVault/vaults", "properties.enableRbacAuthorization", "true"},
		rule{"key-vault.bicep", "Microsoft.KeyVault/vaults", "properties.enablePurgeProtection", "true"},
		rule{"key-vault.bicep", "Microsoft.KeyVault/vaults", "properties.enableSoftDelete", "true"},
		rule{"logs.bicep", "Microsoft.Insights/components", "properties.DisableLocalAuth", "true"},
		rule{"function-app.bicep", "Microsoft.Web/sites", "properties.httpsOnly", "true"},
		rule{"function-app.bicep", "Microsoft.Web/sites", "identity.type", "'UserAssigned'"},
		rule{"function-app.bicep", "Microsoft.Web/sites", "properties.functionAppConfig.runtime.name", "'custom'"},
		rule{"function-app.bicep", "Microsoft.Web/sites", "properties.functionAppConfig.runtime.version", "'1.0'"},
		rule{"function-app.bicep", "Microsoft.Web/sites", "properties.functionAppConfig.deployment.storage.authentication.type", "'UserAssignedIdentity'"},
		rule{"function-app.bicep", "Microsoft.Web/serverfarms", "sku.name", "'FC1'"},
	)
	for _, r := range rules {
		value := find(t, r.file, r.kind).at(strings.Split(r.path, ".")...)
		switch {
		case value == nil:
			t.Errorf("%s: %s has no %s, want %s", r.file, r.kind, r.path, r.want)
		case value.code() != r.want:
			t.Errorf("%s: %s of %s: want %s, got %s", r.file, r.path, r.kind, r.want, value.code())
		}
	}
}

// The rule that removes old versions must spare the archive.
func TestOnlyStateLosesItsVersions(t *testing.T) {
	policy := find(t, "archive-storage.bicep", "Microsoft.Storage/storageAccounts/managementPolicies")
	var prefixes []string
	for _, p := range policy.all("object_property") {
		if p.Children[0].Text == "prefixMatch" {
			prefixes = append(prefixes, p.Children[len(p.Children)-1].code())
		}
	}
	rules := len(policy.at("properties", "policy", "rules").Children) - 2 // less its brackets
	if rules != 1 || len(prefixes) != 1 || prefixes[0] != "['${stateContainer}/']" {
		t.Errorf("%d rules, prefixes %v: want one rule, for the state container", rules, prefixes)
	}
}

// Who touched what is kept for each thing that holds data.
func TestDiagnosticsGoToTheWorkspace(t *testing.T) {
	for _, file := range []string{"host-storage.bicep", "archive-storage.bicep", "key-vault.bicep", "function-app.bicep"} {
		d := find(t, file, "Microsoft.Insights/diagnosticSettings")
		if w := d.at("properties", "workspaceId"); w == nil || w.code() != "workspaceId" {
			t.Errorf("%s: diagnostics do not go to the workspace", file)
		}
		if d.at("scope") == nil {
			t.Errorf("%s: diagnostics of nothing in particular", file)
		}
	}
}
