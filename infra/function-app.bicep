// The connector itself: one function app on Flex Consumption, running the Go
// binary as a custom handler on Linux.
//
// Its settings are those of README, Settings. What holds a secret is not among
// them: the app reads secrets from Key Vault under its own identity. The one
// setting that is left out, STORAGE_CONNECTION_STRING, is for a developer's machine.
import { tagsOfAll } from 'types.bicep'

param name string
param planName string
param location string
param tags tagsOfAll
param identityId string
param identityClientId string
param hostStorageName string
param packageContainerUrl string
param applicationInsightsName string
param workspaceId string

@description('Empty: no network of its own.')
param appSubnetId string
param instanceMemoryMB int
param maximumInstanceCount int

param tenantId string
param keyVaultUrl string
param storageAccountUrl string
param archiveContainer string
param stateContainer string
param xApiUrl string
param importEventUrl string
param ingestSchedule string
param archiveMailbox string
param authorMailboxes string
param timestampUrl string
param importItemLimit int
param xAuditDays int
param ingestMentions string
param xActivity string
param xReadsPerMonth string
param logLevel string

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: applicationInsightsName
}

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true } // Linux
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: name
  location: location
  tags: tags
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    virtualNetworkSubnetId: empty(appSubnetId) ? null : appSubnetId
    functionAppConfig: {
      runtime: { name: 'custom', version: '1.0' }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
      }
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packageContainerUrl
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
    }
  }

  resource settings 'config' = {
    name: 'appsettings'
    properties: {
      // The host
      AzureWebJobsStorage__accountName: hostStorageName
      AzureWebJobsStorage__credential: 'managedidentity'
      AzureWebJobsStorage__clientId: identityClientId
      AzureWebJobsDisableHomepage: 'true'
      APPLICATIONINSIGHTS_CONNECTION_STRING: insights.properties.ConnectionString
      APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'

      // The connector
      AZURE_CLIENT_ID: identityClientId
      TENANT_ID: tenantId
      KEY_VAULT_URL: keyVaultUrl
      STORAGE_ACCOUNT_URL: storageAccountUrl
      ARCHIVE_CONTAINER: archiveContainer
      STATE_CONTAINER: stateContainer
      X_API_URL: xApiUrl
      IMPORT_EVENT_URL: importEventUrl
      AAD_AUTHORITY_URL: environment().authentication.loginEndpoint
      INGEST_SCHEDULE: ingestSchedule
      ARCHIVE_MAILBOX: archiveMailbox
      AUTHOR_MAILBOXES: authorMailboxes
      IMPORT_ITEM_LIMIT: string(importItemLimit)
      TIMESTAMP_URL: timestampUrl
      X_AUDIT_DAYS: string(xAuditDays)
      INGEST_MENTIONS: ingestMentions
      X_ACTIVITY: xActivity
      X_READS_PER_MONTH: xReadsPerMonth
      LOG_LEVEL: logLevel
    }
  }

  // Publishing with a user name and password is off; azd and `az functionapp
  // deployment` sign in with Entra.
  resource noFtpPassword 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: { allow: false }
  }

  resource noPublishPassword 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
  }
}

#disable-next-line use-recent-api-versions
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: app
  properties: {
    workspaceId: workspaceId
    logs: [
      { category: 'FunctionAppLogs', enabled: true }
    ]
    metrics: [
      { category: 'AllMetrics', enabled: true }
    ]
  }
}

output name string = app.name
output url string = 'https://${app.properties.defaultHostName}'
