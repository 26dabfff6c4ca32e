// What somebody must be told of. docs/operations.md says, for each, what it means
// and what to do.
//
// The rules read the connector's log lines and its own record of requests.
// The phrases looked for are the handler's own; a test compares them.
import { tagsOfAll } from 'types.bicep'

param token string
param location string
param tags tagsOfAll
param workspaceId string
param actionGroupId string
param email string
param ingestionLagMinutes int

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

// Azure looks back over these lengths of time and no others.
var windows = [15, 30, 60, 120, 180, 240, 300, 360, 1440]
var lagWindow = 'PT${first(filter(windows, w => w >= ingestionLagMinutes))}M'

// A rule counts rows of a query that always gives exactly one row, so that
// silence counts as 0 and not as nothing.
var rules = [
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
    name: 'failed-tasks'
    severity: 1
    title: 'X archive: a task of the Compliance Center failed'
    text: 'A task ended with a failure, or the Import service refused its outcome. Something that it asked for is not in the mailbox. The log line says why.'
    query: 'AppTraces | where Message has "task failed" or Message has "the Import service refuses the task" | summarize Count = count()'
    window: 'PT15M'
    operator: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'look-at-it'
    severity: 1
    title: 'X archive: posts may be missing, or something was set aside'
    text: 'X may not have given all posts of a time, did not give all of a post, or something could not be read and was set aside. The log line says what.'
    query: 'AppTraces | where Message has "nothing proves that X" or Message has "for a day X has left posts out" or Message has "X did not give all of a post" or Message has "a post cannot be made into a message" or Message has "a record of the connector cannot be read" or Message has "a record cannot be read" | summarize Count = count()'
    window: 'PT15M'
    operator: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'server-errors'
    severity: 2
    title: 'X archive: the connector answers with errors'
    text: 'Calls of the Compliance Center or of an admin ended with a 5xx answer.'
    // The connector's own rows: anybody can make the host answer 500 by himself, with a
    // malformed request that the connector never sees.
    query: 'AppRequests | where SDKVersion startswith "xarchive:" and ResultCode startswith "5" | summarize Count = count()'
    window: 'PT15M'
    operator: 'GreaterThan'
    threshold: 0
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
      evaluationFrequency: 'PT15M'
      windowSize: r.window
      autoMitigate: true
      // The tables appear with the first telemetry, which comes after deployment.
      skipQueryValidation: true
      criteria: {
        allOf: [
          {
            query: r.query
            metricMeasureColumn: 'Count'
            timeAggregation: 'Total'
            operator: r.operator
            threshold: r.threshold
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: { actionGroups: groups }
    }
  }
]
