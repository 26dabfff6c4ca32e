// Where the posts are. What is written here stays: an overwritten message keeps
// its earlier version, so does a deleted one, and, if asked for, no
// version of a message can be changed or deleted before its time is over.
//
// The connector's own state lies beside it in a second container. It is written
// at every tick, so its earlier versions go after a week; they are enough to put
// a damaged state right, and the short-lived addresses of finished tasks do not
// stay in them for good.
import { tagsOfAll } from 'types.bicep'

param name string
param location string
param tags tagsOfAll
param environmentName string
param redundancy string
param archiveContainer string
param stateContainer string

@description('Days without change or deletion, 0 for none.')
param immutabilityDays int
param softDeleteDays int
param appIdentityName string
param appPrincipalId string
param workspaceId string

@description('Reached through a private endpoint only.')
param isPrivate bool
param endpointSubnetId string
param blobZoneId string

var roles = loadJsonContent('roles.json')
var isImmutable = immutabilityDays > 0

resource account 'Microsoft.Storage/storageAccounts@2026-06-01' = {
  name: name
  location: location
  // The tag is how `azd down` finds out that there is an archive to lose.
  tags: union(tags, { 'xarchive-archive': environmentName })
  kind: 'StorageV2'
  sku: { name: redundancy }
  properties: {
    accessTier: 'Hot'
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    networkAcls: {
      defaultAction: isPrivate ? 'Deny' : 'Allow'
      bypass: 'None'
    }
  }

  resource blobs 'blobServices' = {
    name: 'default'
    properties: {
      isVersioningEnabled: true
      changeFeed: { enabled: true, retentionInDays: 365 }
      deleteRetentionPolicy: { enabled: true, days: softDeleteDays, allowPermanentDelete: false }
      containerDeleteRetentionPolicy: { enabled: true, days: softDeleteDays }
    }

    resource archive 'containers' = {
      name: archiveContainer
      properties: {
        publicAccess: 'None'
        immutableStorageWithVersioning: isImmutable ? { enabled: true } : null
      }

      // Not locked: until someone locks it, an owner of the account can still
      // take it away. Locking is for good and therefore a person's decision.
      resource immutability 'immutabilityPolicies' = if (isImmutable) {
        name: 'default'
        properties: { immutabilityPeriodSinceCreationInDays: immutabilityDays }
      }
    }

    resource state 'containers' = {
      name: stateContainer
      properties: { publicAccess: 'None' }
    }
  }

  resource lifecycle 'managementPolicies' = {
    name: 'default'
    properties: {
      policy: {
        rules: [
          {
            name: 'old-versions-of-state'
            enabled: true
            type: 'Lifecycle'
            definition: {
              filters: { blobTypes: ['blockBlob'], prefixMatch: ['${stateContainer}/'] }
              actions: { version: { delete: { daysAfterCreationGreaterThan: 7 } } }
            }
          }
        ]
      }
    }
    dependsOn: [blobs]
  }
}

// What the app may do with messages: read them and write new ones. It may not delete
// any, nor the container, nor change access rules, nor lift a locked immutability policy.
// What it overwrites keeps its earlier version (isVersioningEnabled), which it may not
// delete either. No role of Azure's own is as narrow.
resource archiveWriter 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(account.id, 'archive writer')
  properties: {
    roleName: 'X archive connector: archive writer (${name})'
    description: 'Reads and writes blobs, and deletes none.'
    type: 'CustomRole'
    assignableScopes: [resourceGroup().id]
    permissions: [
      {
        actions: []
        notActions: []
        dataActions: [
          'Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read'
          'Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write'
        ]
        notDataActions: []
      }
    ]
  }
}

// Both roles are given on a container and not on the account: whoever takes the app
// over cannot make a key with which the account opens elsewhere (a user delegation
// key, which only a role on the account allows).
resource writer 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account::blobs::archive.id, appIdentityName, archiveWriter.id)
  scope: account::blobs::archive
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', archiveWriter.name)
  }
}

// State is written, leased and removed as work goes on.
resource contributor 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account::blobs::state.id, appIdentityName, roles['Storage Blob Data Contributor'])
  scope: account::blobs::state
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      roles['Storage Blob Data Contributor']
    )
  }
}

// Who read, wrote or deleted what.
#disable-next-line use-recent-api-versions
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: account::blobs
  properties: {
    workspaceId: workspaceId
    logs: [
      { category: 'StorageRead', enabled: true }
      { category: 'StorageWrite', enabled: true }
      { category: 'StorageDelete', enabled: true }
    ]
    metrics: [
      { category: 'Transaction', enabled: true }
    ]
  }
}

module endpoint 'private-endpoint.bicep' = if (isPrivate) {
  params: {
    name: 'pe-${name}'
    location: location
    tags: tags
    subnetId: endpointSubnetId
    targetId: account.id
    part: 'blob'
    zoneId: blobZoneId
  }
}

output name string = account.name
output blobEndpoint string = account.properties.primaryEndpoints.blob
