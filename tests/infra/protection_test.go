package infra

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
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
	const storage = "Microsoft.Storage/storageAccounts/"
	want := []string{
		"app: Key Vault Secrets Officer on Microsoft.KeyVault/vaults/kv-",
		"app: Monitoring Metrics Publisher on Microsoft.Insights/components/appi-",
		"app: Storage Blob Data Contributor on " + storage + "starch/blobServices/default/containers/connector-state",
		"app: Storage Blob Data Owner on " + storage + "sthost",
		"app: archive writer on " + storage + "starch/blobServices/default/containers/archive",
		"who deploys: Key Vault Secrets Officer on Microsoft.KeyVault/vaults/kv-",
	}
	for _, variant := range variants {
		all := snapshot(t, variant)
		names := map[string]string{}
		for name, id := range builtinRoles {
			names[id] = name
		}
		for _, r := range of(all, "Microsoft.Authorization/roleDefinitions") {
			names[r.text("name")] = "archive writer"
		}
		token := strings.TrimPrefix(one(t, all, "Microsoft.ManagedIdentity/userAssignedIdentities", "").text("name"), "id-")
		var got []string
		for _, r := range of(all, "Microsoft.Authorization/roleAssignments") {
			who := "app"
			if id := r.at("properties", "principalId"); id == "11111111-1111-4111-8111-111111111111" {
				who = "who deploys"
			} else if !strings.Contains(code(id), "/userAssignedIdentities/id-"+token) {
				who = code(id)
			}
			role, _ := r.at("properties", "roleDefinitionId").(string)
			got = append(got, fmt.Sprintf("%s: %s on %s", who, names[path.Base(role)], strings.ReplaceAll(r.scope(), token, "")))
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: want\n%s\ngot\n%s", variant, strings.Join(want, "\n"), strings.Join(got, "\n"))
		}
	}
}

// The role on the archive can be given in this resource group only, and holds nothing
// by which a message, or the container, could be taken away. That the connector gets
// by with it: tests/e2e, TestArchiveRoleIsEnough.
func TestArchiveRoleDeletesNothing(t *testing.T) {
	r := one(t, snapshot(t, "default"), "Microsoft.Authorization/roleDefinitions", "")
	if got := code(r.at("properties", "assignableScopes")); got != `["/subscriptions/22222222-2222-4222-8222-222222222222/resourceGroups/rg-prod"]` {
		t.Errorf("assignable scopes: %s", got)
	}
	const blobs = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/"
	want := code([]map[string]any{{"actions": []string{}, "notActions": []string{}, "dataActions": []string{blobs + "read", blobs + "write"}, "notDataActions": []string{}}})
	if got := code(r.at("properties", "permissions")); got != want {
		t.Errorf("permissions: want %s, got %s", want, got)
	}
}

func TestWhatProtectsTheArchive(t *testing.T) {
	type rule struct{ kind, id, path, want string }
	const (
		accounts = "Microsoft.Storage/storageAccounts"
		blobs    = accounts + "/blobServices"
		worm     = blobs + "/containers/immutabilityPolicies"
	)
	var always []rule
	for _, account := range []string{"sthost", "starch"} {
		for path, want := range map[string]string{
			"allowSharedKeyAccess":     "false",
			"allowBlobPublicAccess":    "false",
			"minimumTlsVersion":        `"TLS1_2"`,
			"supportsHttpsTrafficOnly": "true",
			"networkAcls.bypass":       `"None"`,
		} {
			always = append(always, rule{accounts, account, "properties." + path, want})
		}
	}
	always = append(always,
		rule{accounts, "starch", "properties.allowCrossTenantReplication", "false"},
		rule{accounts, "starch", "tags.xarchive-archive", `"prod"`},
		rule{blobs, "starch", "properties.isVersioningEnabled", "true"},
		rule{blobs, "starch", "properties.deleteRetentionPolicy", `{"allowPermanentDelete":false,"days":30,"enabled":true}`},
		rule{blobs, "starch", "properties.containerDeleteRetentionPolicy", `{"days":30,"enabled":true}`},
		rule{"Microsoft.KeyVault/vaults", "", "properties.enableRbacAuthorization", "true"},
		rule{"Microsoft.KeyVault/vaults", "", "properties.enablePurgeProtection", "true"},
		rule{"Microsoft.KeyVault/vaults", "", "properties.enableSoftDelete", "true"},
		rule{"Microsoft.KeyVault/vaults", "", "properties.softDeleteRetentionInDays", "90"},
		rule{"Microsoft.Insights/components", "", "properties.DisableLocalAuth", "true"},
		rule{"Microsoft.Web/sites", "", "properties.httpsOnly", "true"},
		rule{"Microsoft.Web/sites", "", "properties.siteConfig.ftpsState", `"Disabled"`},
		rule{"Microsoft.Web/sites", "", "properties.siteConfig.minTlsVersion", `"1.2"`},
		rule{"Microsoft.Web/sites", "", "identity.type", `"UserAssigned"`},
		rule{"Microsoft.Web/sites", "", "properties.functionAppConfig.runtime", `{"name":"custom","version":"1.0"}`},
		rule{"Microsoft.Web/sites", "", "properties.functionAppConfig.deployment.storage.authentication.type", `"UserAssignedIdentity"`},
		rule{"Microsoft.Web/serverfarms", "", "sku.name", `"FC1"`},
		rule{"Microsoft.Web/sites/basicPublishingCredentialsPolicies", "/ftp", "properties.allow", "false"},
		rule{"Microsoft.Web/sites/basicPublishingCredentialsPolicies", "/scm", "properties.allow", "false"},
	)
	open := []rule{
		{accounts, "starch", "properties.networkAcls.defaultAction", `"Allow"`},
		{accounts, "starch", "properties.publicNetworkAccess", `"Enabled"`},
		{"Microsoft.Web/sites", "", "properties.virtualNetworkSubnetId", "null"},
	}
	some := map[string][]rule{
		"default": append(open,
			rule{accounts, "starch", "sku.name", `"Standard_ZRS"`},
			rule{blobs + "/containers", "/archive", "properties.immutableStorageWithVersioning", "null"}),
		"immutable": append(open,
			rule{accounts, "starch", "sku.name", `"Standard_GZRS"`},
			rule{blobs + "/containers", "/archive", "properties.immutableStorageWithVersioning", `{"enabled":true}`},
			rule{worm, "/containers/archive/", "properties.immutabilityPeriodSinceCreationInDays", "2557"}),
		"private": {
			{accounts, "starch", "properties.networkAcls.defaultAction", `"Deny"`},
			{accounts, "starch", "properties.publicNetworkAccess", `"Disabled"`},
			{accounts, "sthost", "properties.networkAcls.defaultAction", `"Deny"`},
			{accounts, "sthost", "properties.publicNetworkAccess", `"Disabled"`},
			{"Microsoft.KeyVault/vaults", "", "properties.networkAcls.defaultAction", `"Deny"`},
			{"Microsoft.KeyVault/vaults", "", "properties.networkAcls.ipRules", `[{"value":"203.0.113.7"},{"value":"203.0.113.8"}]`},
		},
	}
	for _, variant := range variants {
		all := snapshot(t, variant)
		for _, r := range slices.Concat(always, some[variant]) {
			if got := code(one(t, all, r.kind, r.id).at(strings.Split(r.path, ".")...)); got != r.want {
				t.Errorf("%s: %s of %s %s: want %s, got %s", variant, r.path, r.kind, r.id, r.want, got)
			}
		}
		if n := len(of(all, worm)); n != map[string]int{"immutable": 1}[variant] {
			t.Errorf("%s: %d immutability policies", variant, n)
		}
	}
}

// What is behind a private network is reached from the app's own subnet: an endpoint
// for each thing, and a zone in which its usual name leads there.
func TestPrivateNetwork(t *testing.T) {
	for _, variant := range []string{"default", "immutable"} {
		for _, r := range snapshot(t, variant) {
			if strings.HasPrefix(r.text("type"), "Microsoft.Network/") {
				t.Errorf("%s makes a %s", variant, r.text("type"))
			}
		}
	}
	all := snapshot(t, "private")
	network := one(t, all, "Microsoft.Network/virtualNetworks", "")
	subnet := one(t, all, "Microsoft.Web/sites", "").at("properties", "virtualNetworkSubnetId")
	if subnet != network.text("id")+"/subnets/app" {
		t.Errorf("the app's subnet: %v", subnet)
	}
	parts := map[string]string{}
	for _, e := range of(all, "Microsoft.Network/privateEndpoints") {
		if s := e.at("properties", "subnet", "id"); s != network.text("id")+"/subnets/endpoints" {
			t.Errorf("%s is in subnet %v", e.text("name"), s)
		}
		for _, c := range list(e.at("properties", "privateLinkServiceConnections")) {
			target, _ := c.at("properties", "privateLinkServiceId").(string)
			parts[path.Base(target)] = code(c.at("properties", "groupIds"))
		}
		group := one(t, all, "Microsoft.Network/privateEndpoints/privateDnsZoneGroups", e.text("name")+"/")
		if len(list(group.at("properties", "privateDnsZoneConfigs"))) != 1 {
			t.Errorf("%s has no name in DNS", e.text("name"))
		}
	}
	for _, want := range []struct{ kind, id, part string }{
		{"Microsoft.Storage/storageAccounts", "starch", `["blob"]`},
		{"Microsoft.Storage/storageAccounts", "sthost", `["blob"]`},
		{"Microsoft.KeyVault/vaults", "", `["vault"]`},
	} {
		if r := one(t, all, want.kind, want.id); parts[r.text("name")] != want.part {
			t.Errorf("%s: endpoint for %s, want %s", r.text("name"), parts[r.text("name")], want.part)
		}
	}
	if zones := of(all, "Microsoft.Network/privateDnsZones"); len(zones) != 2 || len(of(all, "Microsoft.Network/privateDnsZones/virtualNetworkLinks")) != 2 {
		t.Errorf("%d zones, each of which must be linked to the network", len(zones))
	}
}

// The rule that removes old versions must spare the archive.
func TestOnlyStateLosesItsVersions(t *testing.T) {
	for _, variant := range variants {
		policy := one(t, snapshot(t, variant), "Microsoft.Storage/storageAccounts/managementPolicies", "")
		rules := list(policy.at("properties", "policy", "rules"))
		if len(rules) != 1 {
			t.Fatalf("%s: %d rules, want one", variant, len(rules))
		}
		if got := code(rules[0].at("definition", "filters", "prefixMatch")); got != `["connector-state/"]` {
			t.Errorf("%s: the rule is for %s, want the state container", variant, got)
		}
		if got := code(rules[0].at("definition", "actions")); got != `{"version":{"delete":{"daysAfterCreationGreaterThan":7}}}` {
			t.Errorf("%s: the rule does %s", variant, got)
		}
	}
}

// Who touched what is kept for each thing that holds data.
func TestDiagnosticsGoToTheWorkspace(t *testing.T) {
	for _, variant := range variants {
		all := snapshot(t, variant)
		workspace := one(t, all, "Microsoft.OperationalInsights/workspaces", "").text("id")
		for _, on := range []string{"/storageAccounts/sthost", "/storageAccounts/starch", "/vaults/kv-", "/sites/func-"} {
			if d := one(t, all, "Microsoft.Insights/diagnosticSettings", on); d.at("properties", "workspaceId") != workspace {
				t.Errorf("%s: %s does not go to the workspace", variant, d.text("id"))
			}
		}
	}
}
