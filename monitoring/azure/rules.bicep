// Generated from monitoring/rules/redpath.rules.yaml; a change belongs there.

@description('Where the rule groups live: the location of the workspace.')
param location string = resourceGroup().location

@description('Resource ID of the Azure Monitor workspace that has the metrics.')
param azureMonitorWorkspaceId string

@description('Name of the AKS cluster whose metrics alone are looked at; all of the workspace where empty.')
param clusterName string = ''

@description('Resource ID of the action group that is told; nobody where empty.')
param actionGroupId string = ''

@description('Put in front of docs/monitoring.md#... in the runbook_url of each alert, with its slash at the end.')
param runbookBaseUrl string = ''

@description('Labels of every alert, such as {team: \'payments\'}.')
param alertLabels object = {}

@description('Numbers that end the expressions of alerts, as texts, such as {RedpathScheduleLag: \'2\'}.')
param alertThresholds object = {}

@description('The for of alerts that have one, such as {RedpathProbeFailing: \'PT10M\'}.')
param alertWaits object = {}

@description('Rules of your own, as prometheusRuleGroups has them, in a group of their own.')
param additionalRules array = []

@description('Names of the alerts that are switched off.')
param disabledAlerts array = []

@description('Severity in Azure of the critical alerts, 0 to 4.')
@minValue(0)
@maxValue(4)
param criticalSeverity int = 0

@description('Severity in Azure of the warnings, 0 to 4.')
@minValue(0)
@maxValue(4)
param warningSeverity int = 2

var actions = empty(actionGroupId) ? [] : [
  {
    actionGroupId: actionGroupId
  }
]

var thresholds = union({
  RedpathProbesStopped: '3'
  RedpathVerdictFlapping: '4'
  RedpathCertificateExpiring: '14'
  RedpathLatencyOverBudget: '0.5'
  RedpathScheduleLag: '5'
  RedpathJournalWriteFailures: '0'
}, alertThresholds)

var waits = union({
  RedpathApplicationOnPublicPath: 'PT5M'
  RedpathSubnetSilent: 'PT5M'
  RedpathAbsent: 'PT5M'
  RedpathPosture: 'PT5M'
  RedpathViewDisagreement: 'PT5M'
  RedpathServerSeesOtherPath: 'PT5M'
  RedpathVantageSilent: 'PT2M'
  RedpathProbesStopped: 'PT1M'
  RedpathCertificateExpiring: 'PT10M'
  RedpathLatencyOverBudget: 'PT5M'
  RedpathScheduleLag: 'PT5M'
  RedpathAgentNotReloading: 'PT5M'
}, alertWaits)

resource alerts 'Microsoft.AlertsManagement/prometheusRuleGroups@2023-03-01' = {
  name: 'redpath.alerts'
  location: location
  properties: {
    description: 'redpath: the group redpath.alerts of its rules'
    scopes: [
      azureMonitorWorkspaceId
    ]
    clusterName: empty(clusterName) ? null : clusterName
    enabled: true
    interval: 'PT1M'
    rules: [
      {
        alert: 'RedpathPathNotPrivate'
        expression: 'count by (cluster, vnet, subnet, target) ( (redpath_path_private == 0 and redpath_address_expected == 0 and ignoring (phase, outcome) redpath_phase_outcome{phase="connect",outcome="not_reached"} == 0) * on (cluster, job, instance, target) group_left (code) label_replace(topk by (cluster, job, instance, target) (1, redpath_verdict_info), "code", "$1", "cause", "(.*)") * on (cluster, job, instance) group_left (vnet, subnet) (topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance) group by (cluster, job, instance) (redpath_target_info)) ) / on (cluster, vnet, subnet, target) count by (cluster, vnet, subnet, target) ( redpath_verdict_info * on (cluster, job, instance) group_left (vnet, subnet) (topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance) group by (cluster, job, instance) (redpath_target_info)) ) * on (cluster, vnet, subnet, target) group_left (code, expected, address) topk by (cluster, vnet, subnet, target) (1, count by (cluster, vnet, subnet, target, code, expected, address) ( (redpath_path_private == 0 and redpath_address_expected == 0 and ignoring (phase, outcome) redpath_phase_outcome{phase="connect",outcome="not_reached"} == 0) * on (cluster, job, instance, target) group_left (code) label_replace(topk by (cluster, job, instance, target) (1, redpath_verdict_info), "code", "$1", "cause", "(.*)") * on (cluster, job, instance, target) group_left (expected) topk by (cluster, job, instance, target) (1, redpath_target_info) * on (cluster, job, instance, target) group_left (address) topk by (cluster, job, instance, target) (1, redpath_connection_info or on (cluster, job, instance, target) redpath_verdict_info) * on (cluster, job, instance) group_left (vnet, subnet) (topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance) group by (cluster, job, instance) (redpath_target_info)) )) ^ 0'
        severity: criticalSeverity
        enabled: !contains(disabledAlerts, 'RedpathPathNotPrivate')
        labels: union({
          severity: 'critical'
        }, alertLabels)
        annotations: {
          summary: '{{ $labels.target }} is not on the private path{{ with $labels.subnet }} in the subnet {{ . }}{{ end }}: {{ $labels.code }}'
          description: 'At {{ $value | humanizePercentage }} of the vantages{{ with $labels.subnet }} in the subnet {{ . }}{{ end }}, the name of {{ $labels.target }} leads to an address that is neither private nor expected. Most connect to {{ $labels.address }}; expected is {{ $labels.expected }}. redpath explain {{ $labels.code }}, or /codes/{{ $labels.code }} at the agent, says what to do. RedpathVantagePathNotPrivate says for each vantage whether Redis answers there.'
          runbook_url: '${runbookBaseUrl}docs/monitoring.md#redpathpathnotprivate'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
      {
        alert: 'RedpathUnusable'
        expression: 'count by (cluster, vnet, subnet, target) ( (max_over_time(redpath_usable[1m]) == 0 and redpath_usable == 0 and redpath_usable offset 1m >= 0) * on (cluster, job, instance, target) group_left (code) label_replace(topk by (cluster, job, instance, target) (1, redpath_verdict_info), "code", "$1", "cause", "(.*)") * on (cluster, job, instance) group_left (vnet, subnet) (topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance) group by (cluster, job, instance) (redpath_target_info)) ) / on (cluster, vnet, subnet, target) count by (cluster, vnet, subnet, target) ( redpath_verdict_info * on (cluster, job, instance) group_left (vnet, subnet) (topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance) group by (cluster, job, instance) (redpath_target_info)) ) * on (cluster, vnet, subnet, target) group_left (code) topk by (cluster, vnet, subnet, target) (1, count by (cluster, vnet, subnet, target, code) ( (max_over_time(redpath_usable[1m]) == 0 and redpath_usable == 0 and redpath_usable offset 1m >= 0) * on (cluster, job, instance, target) group_left (code) label_replace(topk by (cluster, job, instance, target) (1, redpath_verdict_info), "code", "$1", "cause", "(.*)") * on (cluster, job, instance) group_left (vnet, subnet) (topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance) group by (cluster, job, instance) (redpath_target_info)) )) ^ 0'
        severity: criticalSeverity
        enabled: !contains(disabledAlerts, 'RedpathUnusable')
        labels: union({
          severity: 'critical'
        }, alertLabels)
        annotations: {
          summary: '{{ $labels.target }} does not work{{ with $labels.subnet }} in the subnet {{ . }}{{ end }}: {{ $labels.code }}'
          description: 'For a minute, no probe from {{ $value | humanizePercentage }} of the vantages{{ with $labels.subnet }} in the subnet {{ . }}{{ end }} has got a reply of Redis from {{ $labels.target }}, by whatever path. redpath explain {{ $labels.code }}, or /codes/{{ $labels.code }} at the agent, says what to do. RedpathVantageUnusable says for each vantage which path worked before.'
          runbook_url: '${runbookBaseUrl}docs/monitoring.md#redpathunusable'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
      {
        alert: 'RedpathProbeFailing'
        expression: 'count by (cluster, vnet, subnet, target) ( (max_over_time(redpath_probe_success[2m]) == 0 and redpath_probe_success == 0 and redpath_probe_success offset 2m >= 0 unless (redpath_path_private == 0 and redpath_address_expected == 0 and ignoring (phase, outcome) redpath_phase_outcome{phase="connect",outcome="not_reached"} == 0)) * on (cluster, job, instance, target) group_left (code) label_replace( topk by (cluster, job, instance, target) (1, redpath_verdict_info{cause!~"public_access_open|plaintext_port_open|public_network_access_enabled|auth_not_enforced|application_on_public_path|not_checked"}), "code", "$1", "cause", "(.*)" ) * on (cluster, job, instance) group_left (vnet, subnet) (topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance) group by (cluster, job, instance) (redpath_target_info)) ) / on (cluster, vnet, subnet, target) count by (cluster, vnet, subnet, target) ( redpath_verdict_info * on (cluster, job, instance) group_left (vnet, subnet) (topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance) group by (cluster, job, instance) (redpath_target_info)) ) * on (cluster, vnet, subnet, target) group_left (code, expected, address) topk by (cluster, vnet, subnet, target) (1, count by (cluster, vnet, subnet, target, code, expected, address) ( (max_over_time(redpath_probe_success[2m]) == 0 and redpath_probe_success == 0 and redpath_probe_success offset 2m >= 0 unless (redpath_path_private == 0 and redpath_address_expected == 0 and ignoring (phase, outcome) redpath_phase_outcome{phase="connect",outcome="not_reached"} == 0)) * on (cluster, job, instance, target) group_left (code) label_replace( topk by (cluster, job, instance, target) (1, redpath_verdict_info{cause!~"public_access_open|plaintext_port_open|public_network_access_enabled|auth_not_enforced|application_on_public_path|not_checked"}), "code", "$1", "cause", "(.*)" ) * on (cluster, job, instance, target) group_left (expected) topk by (cluster, job, instance, target) (1, redpath_target_info) * on (cluster, job, instance, target) group_left (address) topk by (cluster, job, instance, target) (1, redpath_connection_info or on (cluster, job, instance, target) redpath_verdict_info) * on (cluster, job, instance) group_left (vnet, subnet) (topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance) group by (cluster, job, instance) (redpath_target_info)) )) ^ 0'
        severity: criticalSeverity
        enabled: !contains(disabledAlerts, 'RedpathProbeFailing')
        labels: union({
          severity: 'critical'
        }, alertLabels)
        annotations: {
          summary: '{{ $labels.target }} fails{{ with $labels.subnet }} in the subnet {{ . }}{{ end }}: {{ $labels.code }}'
          description: 'For two minutes, no probe of {{ $labels.target }} from {{ $value | humanizePercentage }} of the vantages{{ with $labels.subnet }} in the subnet {{ . }}{{ end }} has passed. The cause at most of them is {{ $labels.code }}. {{ with $labels.address }}They connect to {{ . }}{{ else }}They have no address{{ end }}; expected is {{ $labels.expected }}. redpath explain {{ $labels.code }}, or /codes/{{ $labels.code }} at the agent, says what to do.'
          runbook_url: '${runbookBaseUrl}docs/monitoring.md#redpathprobefailing'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
      {
        alert: 'RedpathPublicAccessOpen'
        expression: 'count by (cluster, vnet, subnet, target, code) ( redpath_finding_active{code="public_access_open",severity="error"} * on (cluster, job, instance) group_left (vnet, subnet) (topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance) group by (cluster, job, instance) (redpath_target_info)) ) / on (cluster, vnet, subnet, target) group_left () count by (cluster, vnet, subnet, target) ( redpath_verdict_info * on (cluster, job, instance) group_left (vnet, subnet) (topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance) group by (cluster, job, instance) (redpath_target_info)) )'
        severity: criticalSeverity
        enabled: !contains(disabledAlerts, 'RedpathPublicAccessOpen')
        labels: union({
          severity: 'critical'
        }, alertLabels)
        annotations: {
          summary: 'The public address of {{ $labels.target }} is open{{ with $labels.subnet }}, as seen from the subnet {{ . }}{{ end }}'
          description: 'TLS and Redis answered {{ $value | humanizePercentage }} of the vantages{{ with $labels.subnet }} in the subnet {{ . }}{{ end }} at the public address of {{ $labels.target }}, which its configuration expects to be closed.'
          runbook_url: '${runbookBaseUrl}docs/monitoring.md#redpathpublicaccessopen'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
      {
        alert: 'RedpathApplicationOnPublicPath'
        expression: 'count by (cluster, vnet, subnet, target, code) ( redpath_finding_active{code="application_on_public_path",severity="error"} * on (cluster, job, instance) group_left (vnet, subnet) (topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance) group by (cluster, job, instance) (redpath_target_info)) ) / on (cluster, vnet, subnet, target) group_left () count by (cluster, vnet, subnet, target) ( redpath_verdict_info * on (cluster, job, instance) group_left (vnet, subnet) (topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance) group by (cluster, job, instance) (redpath_target_info)) )'
        for: waits.RedpathApplicationOnPublicPath
        severity: criticalSeverity
        enabled: !contains(disabledAlerts, 'RedpathApplicationOnPublicPath')
        labels: union({
          severity: 'critical'
        }, alertLabels)
        annotations: {
          summary: 'Applications use the public path to {{ $labels.target }}{{ with $labels.subnet }} in the subnet {{ . }}{{ end }}'
          description: 'For five minutes, {{ $value | humanizePercentage }} of the vantages{{ with $labels.subnet }} in the subnet {{ . }}{{ end }} have had connections of applications to a public address of {{ $labels.target }}. They end when public access is disabled. redpath connections at the vantage names the programs.'
          runbook_url: '${runbookBaseUrl}docs/monitoring.md#redpathapplicationonpublicpath'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
      {
        alert: 'RedpathSubnetSilent'
        expression: 'group without (job, instance, hostname, node, pod_name, pod_namespace, pod, namespace, container, endpoint, service) (last_over_time(redpath_vantage_info[6h])) unless group without (job, instance, hostname, node, pod_name, pod_namespace, pod, namespace, container, endpoint, service) (redpath_vantage_info)'
        for: waits.RedpathSubnetSilent
        severity: criticalSeverity
        enabled: !contains(disabledAlerts, 'RedpathSubnetSilent')
        labels: union({
          severity: 'critical'
        }, alertLabels)
        annotations: {
          summary: 'No vantage reports{{ with $labels.subnet }} from the subnet {{ . }}{{ end }}'
          description: 'At least one agent with these labels reported within the last six hours, and for five minutes none has{{ with $labels.vnet }} (vnet {{ . }}){{ end }}. The state of the path from there is unknown.'
          runbook_url: '${runbookBaseUrl}docs/monitoring.md#redpathsubnetsilent'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
      {
        alert: 'RedpathAbsent'
        expression: 'group by (cluster, job) (last_over_time(redpath_build_info[6h])) unless group by (cluster, job) (redpath_build_info)'
        for: waits.RedpathAbsent
        severity: criticalSeverity
        enabled: !contains(disabledAlerts, 'RedpathAbsent')
        labels: union({
          severity: 'critical'
        }, alertLabels)
        annotations: {
          summary: 'No agent of the job {{ $labels.job }} reports'
          description: 'At least one redpath agent of the job {{ $labels.job }}{{ with $labels.cluster }} in the cluster {{ . }}{{ end }} reported within the last six hours, and for five minutes none has: the release was removed, its pods are down, or Prometheus no longer scrapes them.'
          runbook_url: '${runbookBaseUrl}docs/monitoring.md#redpathabsent'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
      {
        alert: 'RedpathVantagePathNotPrivate'
        expression: '(((redpath_path_private == 0 and redpath_address_expected == 0 and ignoring (phase, outcome) redpath_phase_outcome{phase="connect",outcome="not_reached"} == 0) + redpath_usable) or ((redpath_path_private == 0 and redpath_address_expected == 0 and ignoring (phase, outcome) redpath_phase_outcome{phase="connect",outcome="not_reached"} == 0) - 1)) * on (cluster, job, instance, target) group_left (code) label_replace(topk by (cluster, job, instance, target) (1, redpath_verdict_info), "code", "$1", "cause", "(.*)") * on (cluster, job, instance, target) group_left (expected) topk by (cluster, job, instance, target) (1, redpath_target_info) * on (cluster, job, instance, target) group_left (address) topk by (cluster, job, instance, target) (1, redpath_connection_info or on (cluster, job, instance, target) redpath_verdict_info) * on (cluster, job, instance) group_left (vnet, subnet, node, hostname) (topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance) group by (cluster, job, instance) (redpath_target_info))'
        severity: warningSeverity
        enabled: !contains(disabledAlerts, 'RedpathVantagePathNotPrivate')
        labels: union({
          severity: 'warning'
        }, alertLabels)
        annotations: {
          summary: '{{ $labels.target }} is not on the private path: {{ $labels.code }} ({{ with $labels.subnet }}subnet {{ . }}, {{ end }}{{ with $labels.node }}node {{ . }}, {{ end }}vantage {{ $labels.instance }})'
          description: 'The name of {{ $labels.target }} leads there to {{ $labels.address }}, which is neither private nor expected ({{ $labels.expected }}). {{ if eq $value 1.0 }}Redis answers at that address: traffic takes this path now, and stops when public access is closed.{{ else if eq $value 0.0 }}Redis does not answer at that address: clients that are led there are down now.{{ else }}Whether Redis answers at that address is unknown.{{ end }} redpath explain {{ $labels.code }}, or /codes/{{ $labels.code }} at the agent, says what to do.'
          runbook_url: '${runbookBaseUrl}docs/monitoring.md#redpathvantagepathnotprivate'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
      {
        alert: 'RedpathVantageUnusable'
        expression: '(((max_over_time(redpath_usable[1m]) == 0 and redpath_usable == 0 and redpath_usable offset 1m >= 0) + last_over_time((redpath_path_private and redpath_usable == 1)[1d:5m])) or ((max_over_time(redpath_usable[1m]) == 0 and redpath_usable == 0 and redpath_usable offset 1m >= 0) - 1)) * on (cluster, job, instance, target) group_left (code) label_replace(topk by (cluster, job, instance, target) (1, redpath_verdict_info), "code", "$1", "cause", "(.*)") * on (cluster, job, instance) group_left (vnet, subnet, node, hostname) (topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance) group by (cluster, job, instance) (redpath_target_info))'
        severity: warningSeverity
        enabled: !contains(disabledAlerts, 'RedpathVantageUnusable')
        labels: union({
          severity: 'warning'
        }, alertLabels)
        annotations: {
          summary: '{{ $labels.target }} {{ if eq $value 0.0 }}was working over the public path and has stopped{{ else if eq $value 1.0 }}was working over the private path and has stopped{{ else }}does not work and did not in the last day{{ end }}: {{ $labels.code }} ({{ with $labels.subnet }}subnet {{ . }}, {{ end }}{{ with $labels.node }}node {{ . }}, {{ end }}vantage {{ $labels.instance }})'
          description: 'For a minute no probe from {{ $labels.instance }} has got a reply of Redis from {{ $labels.target }}, by whatever path. {{ if eq $value 0.0 }}It worked before over an address that is not private: public access was probably closed while this vantage still depended on it.{{ else if eq $value 1.0 }}It worked before over the private path, so something on that path or the server itself has changed.{{ else }}It has not worked from there in the last day: a rule, a route or an approval may be missing from the beginning.{{ end }} redpath explain {{ $labels.code }}, or /codes/{{ $labels.code }} at the agent, says what to do.'
          runbook_url: '${runbookBaseUrl}docs/monitoring.md#redpathvantageunusable'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
      {
        alert: 'RedpathVantageProbeFailing'
        expression: '(max_over_time(redpath_probe_success[2m]) == 0 and redpath_probe_success == 0 and redpath_probe_success offset 2m >= 0 unless (redpath_path_private == 0 and redpath_address_expected == 0 and ignoring (phase, outcome) redpath_phase_outcome{phase="connect",outcome="not_reached"} == 0)) * on (cluster, job, instance, target) group_left (code) label_replace( topk by (cluster, job, instance, target) (1, redpath_verdict_info{cause!~"public_access_open|plaintext_port_open|public_network_access_enabled|auth_not_enforced|application_on_public_path|not_checked"}), "code", "$1", "cause", "(.*)" ) * on (cluster, job, instance, target) group_left (expected) topk by (cluster, job, instance, target) (1, redpath_target_info) * on (cluster, job, instance, target) group_left (address) topk by (cluster, job, instance, target) (1, redpath_connection_info or on (cluster, job, instance, target) redpath_verdict_info) * on (cluster, job, instance) group_left (vnet, subnet, node, hostname) (topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance) group by (cluster, job, instance) (redpath_target_info))'
        severity: warningSeverity
        enabled: !contains(disabledAlerts, 'RedpathVantageProbeFailing')
        labels: union({
          severity: 'warning'
        }, alertLabels)
        annotations: {
          summary: '{{ $labels.target }} fails: {{ $labels.code }} ({{ with $labels.subnet }}subnet {{ . }}, {{ end }}{{ with $labels.node }}node {{ . }}, {{ end }}vantage {{ $labels.instance }})'
          description: 'For two minutes no probe of {{ $labels.target }} from {{ $labels.instance }} has passed. {{ with $labels.address }}It connects to {{ . }}{{ else }}It has no address{{ end }}; expected is {{ $labels.expected }}. redpath explain {{ $labels.code }}, or /codes/{{ $labels.code }} at the agent, says what to do.'
          runbook_url: '${runbookBaseUrl}docs/monitoring.md#redpathvantageprobefailing'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
      {
        alert: 'RedpathPosture'
        expression: 'group by (cluster, vnet, subnet, target, code) ( redpath_finding_active{code=~"plaintext_port_open|public_network_access_enabled|auth_not_enforced",severity="error"} * on (cluster, job, instance) group_left (vnet, subnet) (topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance) group by (cluster, job, instance) (redpath_target_info)) or redpath_finding_active{code="not_checked"} * on (cluster, job, instance) group_left (vnet, subnet) (topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance) group by (cluster, job, instance) (redpath_target_info)) )'
        for: waits.RedpathPosture
        severity: warningSeverity
        enabled: !contains(disabledAlerts, 'RedpathPosture')
        labels: union({
          severity: 'warning'
        }, alertLabels)
        annotations: {
          summary: '{{ $labels.target }}: {{ $labels.code }}{{ with $labels.subnet }}, as seen from the subnet {{ . }}{{ end }}'
          description: 'For five minutes a check of {{ $labels.target }} beside its path has had the finding {{ $labels.code }}. redpath explain {{ $labels.code }}, or /codes/{{ $labels.code }} at the agent, says what to do.'
          runbook_url: '${runbookBaseUrl}docs/monitoring.md#redpathposture'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
      {
        alert: 'RedpathViewDisagreement'
        expression: 'redpath_resolver_agreement * on (cluster, job, instance) group_left (vnet, subnet, node, hostname) (topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance) group by (cluster, job, instance) (redpath_target_info)) == 0'
        for: waits.RedpathViewDisagreement
        severity: warningSeverity
        enabled: !contains(disabledAlerts, 'RedpathViewDisagreement')
        labels: union({
          severity: 'warning'
        }, alertLabels)
        annotations: {
          summary: 'Resolvers disagree about {{ $labels.target }} ({{ with $labels.subnet }}subnet {{ . }}, {{ end }}{{ with $labels.node }}node {{ . }}, {{ end }}vantage {{ $labels.instance }})'
          description: 'For five minutes, name servers that should give the same addresses for {{ $labels.target }} have not. Programs get the one or the other: a stale forwarder, a zone that only one of them sees, or a local override.'
          runbook_url: '${runbookBaseUrl}docs/monitoring.md#redpathviewdisagreement'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
      {
        alert: 'RedpathServerSeesOtherPath'
        expression: 'redpath_finding_active{code="server_sees_other_path",severity="warning"} * on (cluster, job, instance) group_left (vnet, subnet, node, hostname) (topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance) group by (cluster, job, instance) (redpath_target_info))'
        for: waits.RedpathServerSeesOtherPath
        severity: warningSeverity
        enabled: !contains(disabledAlerts, 'RedpathServerSeesOtherPath')
        labels: union({
          severity: 'warning'
        }, alertLabels)
        annotations: {
          summary: 'The server of {{ $labels.target }} sees another path ({{ with $labels.subnet }}subnet {{ . }}, {{ end }}{{ with $labels.node }}node {{ . }}, {{ end }}vantage {{ $labels.instance }})'
          description: 'For five minutes, the address under which the server of {{ $labels.target }} sees the probes of {{ $labels.instance }} has contradicted the address connected to. Something between, such as a proxy, may forward to the public endpoint. redpath explain server_sees_other_path, or /codes/server_sees_other_path at the agent, says what to do.'
          runbook_url: '${runbookBaseUrl}docs/monitoring.md#redpathserverseesotherpath'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
      {
        alert: 'RedpathVantageSilent'
        expression: '(up == 0) + on (cluster, job, instance) group_left (vnet, subnet, node, hostname) (topk by (cluster, job, instance) (1, last_over_time(redpath_vantage_info[1d])) or on (cluster, job, instance) group by (cluster, job, instance) (last_over_time(redpath_build_info[1d])))'
        for: waits.RedpathVantageSilent
        severity: warningSeverity
        enabled: !contains(disabledAlerts, 'RedpathVantageSilent')
        labels: union({
          severity: 'warning'
        }, alertLabels)
        annotations: {
          summary: 'The vantage {{ $labels.instance }} cannot be scraped{{ with $labels.node }} (node {{ . }}){{ end }}'
          description: 'Prometheus has not reached the agent at {{ $labels.instance }} (job {{ $labels.job }}) for two minutes. The state of the path from there is unknown.'
          runbook_url: '${runbookBaseUrl}docs/monitoring.md#redpathvantagesilent'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
      {
        alert: 'RedpathProbesStopped'
        expression: '(time() - redpath_last_probe_timestamp_seconds) / on (cluster, job, instance, target) group_left () clamp_min( redpath_probe_interval_seconds or on (cluster, job, instance, target) redpath_last_probe_timestamp_seconds * 0 + 100, 60 ) * on (cluster, job, instance) group_left (vnet, subnet, node, hostname) (topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance) group by (cluster, job, instance) (redpath_target_info)) > ${thresholds.RedpathProbesStopped}'
        for: waits.RedpathProbesStopped
        severity: warningSeverity
        enabled: !contains(disabledAlerts, 'RedpathProbesStopped')
        labels: union({
          severity: 'warning'
        }, alertLabels)
        annotations: {
          summary: '{{ $labels.target }} is no longer probed ({{ with $labels.subnet }}subnet {{ . }}, {{ end }}{{ with $labels.node }}node {{ . }}, {{ end }}vantage {{ $labels.instance }})'
          description: 'The last probe of {{ $labels.target }} at {{ $labels.instance }} began {{ printf "%.1f" $value }} of its intervals ago (of a minute at least). Its metrics are as old.'
          runbook_url: '${runbookBaseUrl}docs/monitoring.md#redpathprobesstopped'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
      {
        alert: 'RedpathVerdictFlapping'
        expression: 'changes(redpath_verdict_since_timestamp_seconds[30m]) * on (cluster, job, instance, target) group_left (code) label_replace(topk by (cluster, job, instance, target) (1, redpath_verdict_info), "code", "$1", "cause", "(.*)") * on (cluster, job, instance) group_left (vnet, subnet, node, hostname) (topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance) group by (cluster, job, instance) (redpath_target_info)) >= ${thresholds.RedpathVerdictFlapping}'
        severity: warningSeverity
        enabled: !contains(disabledAlerts, 'RedpathVerdictFlapping')
        labels: union({
          severity: 'warning'
        }, alertLabels)
        annotations: {
          summary: 'The verdict of {{ $labels.target }} flaps ({{ with $labels.subnet }}subnet {{ . }}, {{ end }}{{ with $labels.node }}node {{ . }}, {{ end }}vantage {{ $labels.instance }})'
          description: 'The verdict of {{ $labels.target }} at {{ $labels.instance }} changed {{ $value }} times within 30 minutes, and has the cause {{ $labels.code }} now: a server whose answers change, a path that fails at times, or a latency close to a timeout.'
          runbook_url: '${runbookBaseUrl}docs/monitoring.md#redpathverdictflapping'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
      {
        alert: 'RedpathCertificateExpiring'
        expression: '(redpath_tls_certificate_not_after_timestamp_seconds - time()) / 86400 * on (cluster, job, instance) group_left (vnet, subnet, node, hostname) (topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance) group by (cluster, job, instance) (redpath_target_info)) < ${thresholds.RedpathCertificateExpiring}'
        for: waits.RedpathCertificateExpiring
        severity: warningSeverity
        enabled: !contains(disabledAlerts, 'RedpathCertificateExpiring')
        labels: union({
          severity: 'warning'
          code: 'tls_certificate_expiring'
        }, alertLabels)
        annotations: {
          summary: 'The certificate of {{ $labels.target }} expires soon ({{ with $labels.subnet }}subnet {{ . }}, {{ end }}{{ with $labels.node }}node {{ . }}, {{ end }}vantage {{ $labels.instance }})'
          description: 'The certificate that the server of {{ $labels.target }} shows at {{ $labels.instance }} expires {{ printf "%.1f" $value }} days from now; clients refuse it from then on.'
          runbook_url: '${runbookBaseUrl}docs/monitoring.md#redpathcertificateexpiring'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
      {
        alert: 'RedpathLatencyOverBudget'
        expression: 'count_over_time(redpath_finding_active{code="latency_over_budget"}[10m]) / ignoring (code, severity) count_over_time(redpath_probe_success[10m]) * on (cluster, job, instance) group_left (vnet, subnet, node, hostname) (topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance) group by (cluster, job, instance) (redpath_target_info)) > ${thresholds.RedpathLatencyOverBudget}'
        for: waits.RedpathLatencyOverBudget
        severity: warningSeverity
        enabled: !contains(disabledAlerts, 'RedpathLatencyOverBudget')
        labels: union({
          severity: 'warning'
          code: 'latency_over_budget'
        }, alertLabels)
        annotations: {
          summary: '{{ $labels.target }} is slower than its budget ({{ with $labels.subnet }}subnet {{ . }}, {{ end }}{{ with $labels.node }}node {{ . }}, {{ end }}vantage {{ $labels.instance }})'
          description: '{{ $value | humanizePercentage }} of the probes of {{ $labels.target }} in the last ten minutes at {{ $labels.instance }} were over the latency that its configuration allows.'
          runbook_url: '${runbookBaseUrl}docs/monitoring.md#redpathlatencyoverbudget'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
    ]
  }
}

resource agent 'Microsoft.AlertsManagement/prometheusRuleGroups@2023-03-01' = {
  name: 'redpath.agent'
  location: location
  properties: {
    description: 'redpath: the group redpath.agent of its rules'
    scopes: [
      azureMonitorWorkspaceId
    ]
    clusterName: empty(clusterName) ? null : clusterName
    enabled: true
    interval: 'PT1M'
    rules: [
      {
        alert: 'RedpathScheduleLag'
        expression: 'redpath_schedule_lag_seconds * on (cluster, job, instance) group_left (vnet, subnet, node, hostname) (topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance) group by (cluster, job, instance) (redpath_target_info)) > ${thresholds.RedpathScheduleLag}'
        for: waits.RedpathScheduleLag
        severity: warningSeverity
        enabled: !contains(disabledAlerts, 'RedpathScheduleLag')
        labels: union({
          severity: 'warning'
        }, alertLabels)
        annotations: {
          summary: 'The agent {{ $labels.instance }} probes late{{ with $labels.node }} (node {{ . }}){{ end }}'
          description: 'For five minutes probes at {{ $labels.instance }} have begun up to {{ $value | humanizeDuration }} after they were due. The agent lacks CPU time or has too many targets for max_concurrent_probes: its durations and failures may be its own.'
          runbook_url: '${runbookBaseUrl}docs/monitoring.md#redpathschedulelag'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
      {
        alert: 'RedpathAgentNotReloading'
        expression: 'redpath_config_last_reload_successful * on (cluster, job, instance) group_left (vnet, subnet, node, hostname) (topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance) group by (cluster, job, instance) (redpath_target_info)) == 0'
        for: waits.RedpathAgentNotReloading
        severity: warningSeverity
        enabled: !contains(disabledAlerts, 'RedpathAgentNotReloading')
        labels: union({
          severity: 'warning'
        }, alertLabels)
        annotations: {
          summary: 'The agent {{ $labels.instance }} refuses its configuration{{ with $labels.node }} (node {{ . }}){{ end }}'
          description: 'The configuration that the agent at {{ $labels.instance }} last read is wrong; the one before is still in force. Its log says what is wrong, and so does redpath config check.'
          runbook_url: '${runbookBaseUrl}docs/monitoring.md#redpathagentnotreloading'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
      {
        alert: 'RedpathJournalWriteFailures'
        expression: 'increase(redpath_journal_write_failures_total[15m]) * on (cluster, job, instance) group_left (vnet, subnet, node, hostname) (topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance) group by (cluster, job, instance) (redpath_target_info)) > ${thresholds.RedpathJournalWriteFailures}'
        severity: warningSeverity
        enabled: !contains(disabledAlerts, 'RedpathJournalWriteFailures')
        labels: union({
          severity: 'warning'
        }, alertLabels)
        annotations: {
          summary: 'The agent {{ $labels.instance }} cannot write its journal{{ with $labels.node }} (node {{ . }}){{ end }}'
          description: 'Within 15 minutes the agent at {{ $labels.instance }} could not write about {{ printf "%.0f" $value }} entries or records to its journal, such as with a full disk. What it did not write is missing from the evidence. Its log has the error.'
          runbook_url: '${runbookBaseUrl}docs/monitoring.md#redpathjournalwritefailures'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
    ]
  }
}

resource recording 'Microsoft.AlertsManagement/prometheusRuleGroups@2023-03-01' = {
  name: 'redpath.recording'
  location: location
  properties: {
    description: 'redpath: the group redpath.recording of its rules'
    scopes: [
      azureMonitorWorkspaceId
    ]
    clusterName: empty(clusterName) ? null : clusterName
    enabled: true
    interval: 'PT1M'
    rules: [
      {
        record: 'subnet_target:redpath_verdict:max'
        expression: 'max by (cluster, vnet, subnet, target) ( ( redpath_verdict{status="pass"} + ignoring (status) 2 * redpath_verdict{status="warn"} + ignoring (status) 3 * redpath_verdict{status="unknown"} + ignoring (status) 4 * redpath_verdict{status="fail"} ) * on (cluster, job, instance) group_left (vnet, subnet) (topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance) group by (cluster, job, instance) (redpath_target_info)) )'
        enabled: true
      }
      {
        record: 'subnet_target:redpath_path_private:min'
        expression: 'min by (cluster, vnet, subnet, target) ( redpath_path_private * on (cluster, job, instance) group_left (vnet, subnet) (topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance) group by (cluster, job, instance) (redpath_target_info)) )'
        enabled: true
      }
      {
        record: 'instance_target:redpath_probe_success:ratio_rate5m'
        expression: '1 - sum by (cluster, job, instance, target) (rate(redpath_probe_failures_total[5m])) / (sum by (cluster, job, instance, target) (rate(redpath_probes_total[5m])) > 0)'
        enabled: true
      }
      {
        record: 'instance_target_view:redpath_resolution_changes:increase1h'
        expression: 'sum by (cluster, job, instance, target, view) (increase(redpath_resolution_changes_total[1h]))'
        enabled: true
      }
      {
        record: 'instance_target_phase:redpath_phase_duration_seconds:p50_rate5m'
        expression: 'histogram_quantile(0.5, sum by (cluster, job, instance, target, phase, le) (rate(redpath_phase_duration_seconds_bucket[5m]))) >= 0 or histogram_quantile(0.5, sum by (cluster, job, instance, target, phase) (rate(redpath_phase_duration_seconds[5m]))) >= 0'
        enabled: true
      }
      {
        record: 'instance_target_phase:redpath_phase_duration_seconds:p95_rate5m'
        expression: 'histogram_quantile(0.95, sum by (cluster, job, instance, target, phase, le) (rate(redpath_phase_duration_seconds_bucket[5m]))) >= 0 or histogram_quantile(0.95, sum by (cluster, job, instance, target, phase) (rate(redpath_phase_duration_seconds[5m]))) >= 0'
        enabled: true
      }
      {
        record: 'instance_target_phase:redpath_phase_duration_seconds:p99_rate5m'
        expression: 'histogram_quantile(0.99, sum by (cluster, job, instance, target, phase, le) (rate(redpath_phase_duration_seconds_bucket[5m]))) >= 0 or histogram_quantile(0.99, sum by (cluster, job, instance, target, phase) (rate(redpath_phase_duration_seconds[5m]))) >= 0'
        enabled: true
      }
      {
        record: 'instance_target_phase:redpath_phase_duration_seconds:mean_rate5m'
        expression: 'sum by (cluster, job, instance, target, phase) (rate(redpath_phase_duration_seconds_sum[5m])) / (sum by (cluster, job, instance, target, phase) (rate(redpath_phase_duration_seconds_count[5m])) > 0)'
        enabled: true
      }
    ]
  }
}

resource recording_30d 'Microsoft.AlertsManagement/prometheusRuleGroups@2023-03-01' = {
  name: 'redpath.recording_30d'
  location: location
  properties: {
    description: 'redpath: the group redpath.recording_30d of its rules'
    scopes: [
      azureMonitorWorkspaceId
    ]
    clusterName: empty(clusterName) ? null : clusterName
    enabled: true
    interval: 'PT5M'
    rules: [
      {
        record: 'subnet_target:redpath_path_private:ratio_30d'
        expression: 'avg_over_time(subnet_target:redpath_path_private:min[30d])'
        enabled: true
      }
      {
        record: 'subnet_target:redpath_path_private:coverage_30d'
        expression: 'count_over_time(subnet_target:redpath_path_private:min[30d:5m]) / (30 * 24 * 12)'
        enabled: true
      }
    ]
  }
}

resource additional 'Microsoft.AlertsManagement/prometheusRuleGroups@2023-03-01' = if (!empty(additionalRules)) {
  name: 'redpath.additional'
  location: location
  properties: {
    description: 'rules of your own beside those of redpath'
    scopes: [
      azureMonitorWorkspaceId
    ]
    clusterName: empty(clusterName) ? null : clusterName
    enabled: true
    interval: 'PT1M'
    rules: additionalRules
  }
}
