// What `azd provision` makes: one resource group with everything the connector
// needs, and nothing else. Each module makes one thing and gives the app's
// identity what it needs there, no more; which roles those are stands beside the
// thing they are for.
//
// The order below is the order of trust: an identity, a place for logs, where
// posts and secrets are kept, and last the app that reaches them.
//
// Parameters come from the azd environment (main.parameters.json). None is a
// secret: secrets go from their makers into Key Vault (scripts/azure).
targetScope = 'subscription'

@minLength(1)
@maxLength(64)
@description('The azd environment. It names the resource group and, hashed, everything in it.')
param environmentName string

@minLength(1)
@metadata({ azd: { type: 'location' } })
@description('Region of everything. It must offer Flex Consumption (az functionapp list-flexconsumption-locations).')
param location string

@description('Tenant of Microsoft 365, which the Compliance Center belongs to. Empty: the subscription\'s own.')
param tenantId string = ''

@description('Who deploys. May write secrets into the vault, for the Entra app made after provisioning. Empty: nobody but the app may.')
param principalId string = ''

@allowed(['User', 'ServicePrincipal'])
@description('What principalId is.')
param principalType string = 'User'

// --- The connector's own settings (README, Settings)

@description('Container of the messages.')
param archiveContainer string = 'archive'
@description('Container of jobs, accounts and tasks.')
param stateContainer string = 'connector-state'
@description('The X API.')
param xApiUrl string = 'https://api.x.com'
@description('Event API of the Office 365 Import service.')
param importEventUrl string = 'https://webhook.ingestion.office.com'

@description('When the timer ticks: NCRONTAB, six fields.')
param ingestSchedule string = '0 */5 * * * *'

@description('Address that archived messages are addressed to. Empty: archive@<tenant>.invalid.')
param archiveMailbox string = ''

@description('X accounts and the people behind them: handle=mailbox,id:<account id>=mailbox.')
param authorMailboxes string = ''

@description('Time-stamping authority (RFC 3161) that states daily that the manifest was there. Empty: none.')
param timestampUrl string = ''

@minValue(1000000)
@description('Bytes that an item for Microsoft 365 may have with its attachments.')
param importItemLimit int = 10000000

@minValue(0)
@maxValue(3650)
@description('Up to which age, in days, archived posts are asked for again on X, to notice those that are gone. 0: not at all. Each look is a read that X bills.')
param xAuditDays int = 30

@allowed(['true', 'false'])
@description('true: what others write that mentions an account is archived, too. X bills each post.')
param ingestMentions string = 'false'

@allowed(['true', 'false'])
@description('true: X sends the connector events of posts that were made or deleted (Activity API).')
param xActivity string = 'false'

@description('Posts that may be read of X in a month; empty is no limit. New posts are read all the same.')
param xReadsPerMonth string = ''

@allowed(['debug', 'info', 'warn', 'error'])
@description('The least level of log lines.')
param logLevel string = 'info'

// --- How the archive is protected

@minValue(0)
@maxValue(146000)
@description('Days in which no version of an archived message can be changed or deleted, by anyone. 0: off. Only a new archive container can be given this; see docs/operations.md.')
param archiveImmutabilityDays int = 0

@minValue(1)
@maxValue(365)
@description('Days in which a deleted version, or a deleted container, can be brought back.')
param archiveSoftDeleteDays int = 30

@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS', 'Standard_RAGRS', 'Standard_RAGZRS'])
@description('Copies of the archive: in one place, in three zones, or in a second region too.')
param archiveRedundancy string = 'Standard_ZRS'

@description('Bring back the vault of an earlier deployment of this environment. A deleted vault keeps its name for 90 days.')
param recoverKeyVault bool = false

// --- Size

@allowed([512, 2048, 4096])
@description('Memory of an instance, in MB. It is what an execution second is billed by.')
param instanceMemoryMB int = 512

@minValue(40)
@maxValue(1000)
@description('Most instances at once. 40 is the least that Azure takes; the connector needs two.')
param maximumInstanceCount int = 40

// --- Network

@description('Reach storage and Key Vault through private endpoints only. The app itself stays public: the Compliance Center calls it.')
param privateNetwork bool = false

@description('With privateNetwork: addresses that may still reach Key Vault from outside, comma separated. Whoever deploys needs one.')
param allowedIpAddresses string = ''

// --- Alerts

@description('Resource id of an action group that alerts go to.')
param alertActionGroupId string = ''

@description('Without alertActionGroupId: mail address for which an action group is made. Neither: alerts show in the portal only.')
param alertEmail string = ''

@minValue(15)
@maxValue(1440)
@description('Minutes without one good reading of X, or that an account is behind, after which an alert fires.')
param ingestionLagMinutes int = 60

@minValue(1)
@maxValue(30)
@description('Days in which the Compliance Center asks for nothing, after which an alert fires.')
param unaskedDays int = 3

@minValue(30)
@maxValue(730)
@description('Days that logs are kept.')
param logRetentionDays int = 90

@minValue(1)
@maxValue(100)
@description('GB of logs that a day may cost. What comes after is dropped, and an alert fires.')
param logDailyCapGb int = 1

var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = { 'azd-env-name': environmentName }

// Names are known before anything is made, so that `azd provision --preview` can say
// of everything whether it changes. What Azure gives only afterwards (ids of the
// identity, addresses) names nothing.
var identityName = 'id-${token}'
var insightsName = 'appi-${token}'
var archiveStorageName = 'starch${token}'

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module identity 'identity.bicep' = {
  scope: group
  params: {
    name: identityName
    location: location
    tags: tags
  }
}

module logs 'logs.bicep' = {
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    insightsName: insightsName
    retentionDays: logRetentionDays
    dailyCapGb: logDailyCapGb
    appIdentityName: identityName
    appPrincipalId: identity.outputs.principalId
  }
}

module network 'network.bicep' = if (privateNetwork) {
  scope: group
  params: {
    name: 'vnet-${token}'
    location: location
    tags: tags
  }
}

module hostStorage 'host-storage.bicep' = {
  scope: group
  params: {
    name: 'sthost${token}'
    location: location
    tags: tags
    appIdentityName: identityName
    appPrincipalId: identity.outputs.principalId
    workspaceId: logs.outputs.workspaceId
    isPrivate: privateNetwork
    endpointSubnetId: privateNetwork ? network!.outputs.endpointSubnetId : ''
    blobZoneId: privateNetwork ? network!.outputs.blobZoneId : ''
  }
}

module archiveStorage 'archive-storage.bicep' = {
  scope: group
  params: {
    name: archiveStorageName
    location: location
    tags: tags
    environmentName: environmentName
    redundancy: archiveRedundancy
    archiveContainer: archiveContainer
    stateContainer: stateContainer
    immutabilityDays: archiveImmutabilityDays
    softDeleteDays: archiveSoftDeleteDays
    appIdentityName: identityName
    appPrincipalId: identity.outputs.principalId
    workspaceId: logs.outputs.workspaceId
    isPrivate: privateNetwork
    endpointSubnetId: privateNetwork ? network!.outputs.endpointSubnetId : ''
    blobZoneId: privateNetwork ? network!.outputs.blobZoneId : ''
  }
}

module keyVault 'key-vault.bicep' = {
  scope: group
  params: {
    name: 'kv-${token}'
    location: location
    tags: tags
    recover: recoverKeyVault
    appIdentityName: identityName
    appPrincipalId: identity.outputs.principalId
    deployerPrincipalId: principalId
    deployerPrincipalType: principalType
    workspaceId: logs.outputs.workspaceId
    isPrivate: privateNetwork
    endpointSubnetId: privateNetwork ? network!.outputs.endpointSubnetId : ''
    vaultZoneId: privateNetwork ? network!.outputs.vaultZoneId : ''
    allowedIpAddresses: allowedIpAddresses
  }
}

module connector 'function-app.bicep' = {
  scope: group
  params: {
    name: 'func-${token}'
    planName: 'plan-${token}'
    location: location
    tags: tags
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    hostStorageName: hostStorage.outputs.name
    packageContainerUrl: hostStorage.outputs.packageContainerUrl
    applicationInsightsName: insightsName
    workspaceId: logs.outputs.workspaceId
    appSubnetId: privateNetwork ? network!.outputs.appSubnetId : ''
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    tenantId: empty(tenantId) ? tenant().tenantId : tenantId
    keyVaultUrl: keyVault.outputs.url
    storageAccountUrl: archiveStorage.outputs.blobEndpoint
    archiveContainer: archiveContainer
    stateContainer: stateContainer
    xApiUrl: xApiUrl
    importEventUrl: importEventUrl
    ingestSchedule: ingestSchedule
    archiveMailbox: archiveMailbox
    authorMailboxes: authorMailboxes
    timestampUrl: timestampUrl
    importItemLimit: importItemLimit
    xAuditDays: xAuditDays
    ingestMentions: ingestMentions
    xActivity: xActivity
    xReadsPerMonth: xReadsPerMonth
    logLevel: logLevel
  }
}

module alerts 'alerts.bicep' = {
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    workspaceId: logs.outputs.workspaceId
    actionGroupId: alertActionGroupId
    email: alertEmail
    ingestionLagMinutes: ingestionLagMinutes
    unaskedDays: unaskedDays
    archiveStorageName: archiveStorageName
    archiveContainer: archiveContainer
    appPrincipalId: identity.outputs.principalId
  }
}

// azd keeps these in its environment, in clear. Names and addresses only.
output AZURE_RESOURCE_GROUP string = group.name
output CONNECTOR_URL string = connector.outputs.url
output CONNECTOR_APP_NAME string = connector.outputs.name
output KEY_VAULT_NAME string = keyVault.outputs.name
output ARCHIVE_STORAGE_ACCOUNT string = archiveStorage.outputs.name
