// The vault for the keys of the X app and the Entra app, the Compliance Center's
// shared secret, and one X token for each job. Access by role only. What is
// deleted can be brought back for 90 days and nobody can shorten that.
import { tagsOfAll } from 'types.bicep'

param name string
param location string
param tags tagsOfAll
param recover bool
param appIdentityName string
param appPrincipalId string

@description('May write secrets too. Empty: nobody else.')
param deployerPrincipalId string
param deployerPrincipalType string
param workspaceId string

@description('Reached through a private endpoint only.')
param isPrivate bool
param endpointSubnetId string
param vaultZoneId string
param allowedIpAddresses string

var roles = loadJsonContent('roles.json')
var allowed = filter(map(split(allowedIpAddresses, ','), a => trim(a)), a => !empty(a))

// The app may write, because the Configure page saves keys and a sign-in with X
// saves its token.
var officers = concat(
  [{ name: appIdentityName, id: appPrincipalId, type: 'ServicePrincipal' }],
  empty(deployerPrincipalId)
    ? []
    : [{ name: deployerPrincipalId, id: deployerPrincipalId, type: deployerPrincipalType }]
)

resource vault 'Microsoft.KeyVault/vaults@2026-05-15' = {
  name: name
  location: location
  tags: tags
  properties: {
    createMode: recover ? 'recover' : 'default'
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    enablePurgeProtection: true
    publicNetworkAccess: isPrivate && empty(allowed) ? 'Disabled' : 'Enabled'
    networkAcls: {
      defaultAction: isPrivate ? 'Deny' : 'Allow'
      bypass: 'None'
      ipRules: isPrivate ? map(allowed, a => { value: a }) : []
    }
  }
}

resource officer 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for who in officers: {
    name: guid(vault.id, who.name, roles['Key Vault Secrets Officer'])
    scope: vault
    properties: {
      principalId: who.id
      principalType: who.type
      roleDefinitionId: subscriptionResourceId(
        'Microsoft.Authorization/roleDefinitions',
        roles['Key Vault Secrets Officer']
      )
    }
  }
]

// Who asked for which secret.
#disable-next-line use-recent-api-versions
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: vault
  properties: {
    workspaceId: workspaceId
    logs: [
      { category: 'AuditEvent', enabled: true }
    ]
  }
}

module endpoint 'private-endpoint.bicep' = if (isPrivate) {
  params: {
    name: 'pe-${name}'
    location: location
    tags: tags
    subnetId: endpointSubnetId
    targetId: vault.id
    part: 'vault'
    zoneId: vaultZoneId
  }
}

output name string = vault.name
output url string = vault.properties.vaultUri
