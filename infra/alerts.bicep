// What somebody must be told of. docs/operations.md says, for each, what it means
// and what to do.
//
// The rules read what the connector reports (its metrics, log lines and requests) and
// what Azure records of the archive. Each rings on something that was seen, the first
// one on what was not. The names and phrases looked for are the handler's own, and what
// the handler says of trouble is looked for: a test compares both ways.
import { tagsOfAll } from 'types.bicep'

param token string
param location string
param tags tagsOfAll
param workspaceId string
param actionGroupId string
param email string
param ingestionLagMinutes int
param unaskedDays int
param archiveStorageName string
param archiveContainer string
param appPrincipalId string

var makeGroup = empty(actionGroupId) && !empty(email)
var groups = makeGroup ? [mailGroup.id] : empty(actionGroupId) ? [] : [actionGroupId]

resource mailGroup 'Microsoft.Insights/actionGroups@2023-01-01' = if (makeGroup) {
  name: 'ag-${token}'
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'xarchive'
    emailReceivers: [
      { name: 'operator', emailAddress: email, useCommonAlertSchema: true }
    ]
  }
}

@description('A rule over the workspace. It rings when what it measures, added up over the window, is above the threshold, where it does not say otherwise.')
type logRule = {
  @description('Of the rule; docs/operations.md explains it under this name.')
  name: string
  @description('0 is critical, 4 is verbose.')
  severity: int
  @description('The mail\'s subject.')
  title: string
  @description('What it means.')
  text: string
  @description('KQL.')
  query: string
  @description('What it measures. Absent: Count.')
  measure: string?
  @description('Absent: Total.')
  aggregation: string?
  @description('Columns for each value of which it rings by itself.')
  split: string[]?
  @description('Absent: a quarter of an hour.')
  window: string?
  @description('Absent: GreaterThan.')
  operator: string?
  @description('Absent: 0.')
  threshold: int?
}

// Azure looks back over these lengths of time and no others.
var windows = [
  { minutes: 15, span: 'PT15M' }
  { minutes: 30, span: 'PT30M' }
  { minutes: 60, span: 'PT1H' }
  { minutes: 120, span: 'PT2H' }
  { minutes: 180, span: 'PT3H' }
  { minutes: 240, span: 'PT4H' }
  { minutes: 300, span: 'PT5H' }
  { minutes: 360, span: 'PT6H' }
  { minutes: 1440, span: 'P1D' }
]
var lagWindow = first(filter(windows, w => w.minutes >= ingestionLagMinutes))!.span

// What fails until a person acts, by its cause (docs/telemetry.md). The monthly cap
// has a rule of its own: X is asked again only once a day.
var personCauses = [
  'x_unauthorized'
  'x_forbidden'
  'x_keys'
  'x_not_enrolled'
  'x_protected'
  'x_suspended'
  'x_gone'
  'x_credits'
  'x_changed'
  'x_refused'
  'x_sign_in'
  'not_signed_in'
  'clock'
  'secret_not_set'
  'secret_read_only'
  'key_vault_access'
  'storage_access'
  'state_damaged'
  'state_newer'
  'set_aside'
  'entra_sign_in'
  'panic'
  'settings'
]
var failures = 'AppMetrics | where Name == "xarchive.failures" | extend cause = tostring(Properties.cause), work = tostring(Properties.work)'

// The rules that count say 0 where nothing was seen: their query always gives one row.
var counted = '| summarize Count = count()'

var rules logRule[] = [
  {
    name: 'ingestion-lag'
    severity: 1
    title: 'X archive: posts are not being read'
    text: 'No tick in the last ${ingestionLagMinutes} minutes ended without a failure of capture. New posts may be missing from the archive until one does.'
    query: 'AppTraces | where TimeGenerated > ago(${ingestionLagMinutes}m) and Message has "tick done" | summarize Count = countif(Message has "captureFailed=false" or tostring(Properties.captureFailed) =~ "false")'
    window: lagWindow
    operator: 'LessThan'
    threshold: 1
  }
  {
    // Also of an account that waits, whose turn never comes or never ends.
    name: 'account-lag'
    severity: 1
    title: 'X archive: an account is behind'
    text: 'An account of X is not archived up to now, and has been more than ${ingestionLagMinutes} minutes behind for a quarter of an hour. Its number is the dimension account.'
    query: 'AppMetrics | where Name == "xarchive.lag" | project TimeGenerated, account = tostring(Properties.account), Lag = Max'
    measure: 'Lag'
    aggregation: 'Minimum'
    split: ['account']
    threshold: ingestionLagMinutes * 60
  }
  {
    name: 'needs-person'
    severity: 1
    title: 'X archive: something waits for you'
    text: 'Reading from X or delivery fails until a person acts: credits used up, a sign-in withdrawn, a role taken away … The cause is the dimension cause; docs/telemetry.md explains each.'
    query: '${failures} | where cause in ("${join(personCauses, '", "')}") | project TimeGenerated, cause, work, Sum'
    measure: 'Sum'
    split: ['cause', 'work']
    window: 'PT2H' // X is asked again an hour after its credits were found used up
  }
  {
    name: 'usage-cap'
    severity: 1
    title: 'X archive: the month\'s cap on reads at X is reached'
    text: 'X answers nothing until the cap is raised in its developer console, or its month begins again. X is asked once a day.'
    query: '${failures} | where cause == "x_usage_cap" ${counted}'
    window: 'P2D'
  }
  {
    // The line is written once a month.
    name: 'reads-limit'
    severity: 2
    title: 'X archive: the month\'s limit on reads is near'
    text: '80 % of X_READS_PER_MONTH is read. New posts are read whatever it says; audits and histories stop. The status page says what reads so much, and where the month will end.'
    query: 'AppTraces | where Message has "the month\'s limit on reads (X_READS_PER_MONTH) is near" ${counted}'
  }
  {
    name: 'gap'
    severity: 1
    title: 'X archive: posts are missing'
    text: 'A time was recorded of which posts may be missing for good. The account\'s page says which.'
    query: 'AppMetrics | where Name == "xarchive.gaps" | project TimeGenerated, account = tostring(Properties.account), Sum'
    measure: 'Sum'
    split: ['account']
  }
  {
    name: 'altered-message'
    severity: 0
    title: 'X archive: an archived message is not what was archived'
    text: 'A message that was to be delivered was altered, is not the archive\'s own, or could not be read; or the daily verification found messages, raw answers of X or the manifest altered, missing or added. Treat it as tampering until it is explained.'
    query: 'AppTraces | where Message has "a message cannot be delivered; the others are" or Message has "an archived message cannot be read" or Message has "the archive is not as it was written" ${counted}'
  }
  {
    // The connector may not delete a message, and writes as nobody else does.
    name: 'archive-touched'
    severity: 0
    title: 'X archive: somebody deleted or wrote in the archive'
    text: 'A blob of the archive, or the container, was deleted, or somebody else than the connector wrote there. If it was you who restored something, this is it; else treat it as tampering.'
    query: 'StorageBlobLogs | where AccountName == "${archiveStorageName}" and (ObjectKey == "/${archiveStorageName}/${archiveContainer}" or ObjectKey startswith "/${archiveStorageName}/${archiveContainer}/") and toint(StatusCode) < 400 | where Category == "StorageDelete" or OperationName startswith "Delete" or Category == "StorageWrite" and RequesterObjectId != "${appPrincipalId}" ${counted}'
  }
  {
    name: 'failed-tasks'
    severity: 1
    title: 'X archive: a task of the Compliance Center failed'
    text: 'A task ended with a failure, or the Import service refused its outcome. Something that it asked for is not in the mailbox. The log line says why.'
    query: 'AppTraces | where Message has "task failed" or Message has "the Import service refuses" ${counted}'
  }
  {
    name: 'no-task'
    severity: 2
    title: 'X archive: the Compliance Center asks for nothing'
    text: 'For a job the Compliance Center has asked for nothing for ${unaskedDays} days. Posts are archived, but none comes into Microsoft 365. The dimension is job.'
    query: 'AppMetrics | where Name == "xarchive.unasked" | project TimeGenerated, job = tostring(Properties.job), Since = Max'
    measure: 'Since'
    aggregation: 'Minimum'
    split: ['job']
    threshold: unaskedDays * 24 * 60 * 60
  }
  {
    name: 'look-at-it'
    severity: 1
    title: 'X archive: something was set aside, or a post is not whole'
    text: 'X did not give all of a post, X states more posts than are archived, something could not be read and was set aside, or the log of changes lacks a sign-in. The log line says what.'
    query: 'AppTraces | where Message has "X did not give all of a post" or Message has "X states more posts than are archived" or Message has "a post cannot be made into a message" or Message has "a record of the connector cannot be read" or Message has "a record cannot be read" or Message has "the record of what was read of X cannot be read" or Message has "a retained page of X" or Message has "a session\'s beginning or end is not in the log of changes" ${counted}'
  }
  {
    name: 'secret-ends'
    severity: 2
    title: 'X archive: the client secret ends within 30 days'
    text: 'When it has ended nothing can be delivered any more. docs/operations.md says how to renew it: Rotate a secret.'
    query: 'AppMetrics | where Name == "xarchive.secret.left" | project TimeGenerated, secret = tostring(Properties.secret), Left = Min'
    measure: 'Left'
    aggregation: 'Minimum'
    split: ['secret']
    window: 'PT6H' // it is reported once an hour
    operator: 'LessThan'
    threshold: 30 * 24 * 60 * 60
  }
  {
    name: 'log-cap'
    severity: 1
    title: 'X archive: the day\'s logs are full'
    text: 'The workspace takes no more logs today (LOG_DAILY_CAP_GB). Until tomorrow no other alert can be relied on.'
    query: '_LogOperation | where Category =~ "Ingestion" and Detail contains "OverQuota" ${counted}'
    window: 'PT1H'
  }
  {
    name: 'server-errors'
    severity: 2
    title: 'X archive: the connector answers with errors'
    text: 'Calls of the Compliance Center or of an admin ended with a 5xx answer.'
    // The connector's own rows: anybody can make the host answer 500 by himself, with a
    // malformed request that the connector never sees.
    query: 'AppRequests | where SDKVersion startswith "xarchive:" and ResultCode startswith "5" ${counted}'
  }
]

resource rule 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [
  for r in rules: {
    name: '${r.name}-${token}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: r.title
      description: r.text
      severity: r.severity
      enabled: true
      scopes: [workspaceId]
      evaluationFrequency: r.?window == 'P2D' ? 'PT1H' : 'PT15M' // the least and the cheapest; over days it need not look as often
      windowSize: r.?window ?? 'PT15M'
      autoMitigate: true
      // The tables appear with the first telemetry, which comes after deployment.
      skipQueryValidation: true
      criteria: {
        allOf: [
          {
            query: r.query
            metricMeasureColumn: r.?measure ?? 'Count'
            timeAggregation: r.?aggregation ?? 'Total'
            dimensions: map(r.?split ?? [], d => { name: d, operator: 'Include', values: ['*'] })
            operator: r.?operator ?? 'GreaterThan'
            threshold: r.?threshold ?? 0
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: { actionGroups: groups }
    }
  }
]

// What Azure itself records of changes to this resource group. Deploying changes roles
// and protection, too, so that the first deployment may ring these.
var changes = [
  {
    name: 'role-assignments'
    text: 'Somebody was given a role, or a role was changed, on the archive or on what is around it. If it was not you, take it away.'
    operations: ['Microsoft.Authorization/roleAssignments/write', 'Microsoft.Authorization/roleDefinitions/write']
  }
  {
    name: 'protection'
    text: 'What protects the archive was changed or taken away: versions, soft delete, lifecycle, immutability, diagnostics, an alert, or the account itself.'
    operations: [
      'Microsoft.Storage/storageAccounts/delete'
      'Microsoft.Storage/storageAccounts/write'
      'Microsoft.Storage/storageAccounts/blobServices/write'
      'Microsoft.Storage/storageAccounts/blobServices/containers/delete'
      'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies/write'
      'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies/delete'
      'Microsoft.Storage/storageAccounts/managementPolicies/write'
      'Microsoft.Insights/diagnosticSettings/write'
      'Microsoft.Insights/diagnosticSettings/delete'
      'Microsoft.Insights/scheduledQueryRules/delete'
    ]
  }
]

resource changeRule 'Microsoft.Insights/activityLogAlerts@2026-01-01' = [
  for c in changes: {
    name: '${c.name}-${token}'
    location: 'global'
    tags: tags
    properties: {
      description: 'X archive: ${c.text}'
      enabled: true
      scopes: [resourceGroup().id]
      condition: {
        allOf: [
          { field: 'category', equals: 'Administrative' }
          { field: 'status', equals: 'Succeeded' }
          { anyOf: map(c.operations, o => { field: 'operationName', equals: o }) }
        ]
      }
      actions: { actionGroups: map(groups, g => { actionGroupId: g }) }
    }
  }
]
