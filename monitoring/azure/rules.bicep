// Generated from monitoring/rules/redpath.rules.yaml; a change belongs there.

@description('Where the rule groups live: the location of the workspace.')
param location string = resourceGroup().location

@description('Resource ID of the Azure Monitor workspace that has the metrics.')
param azureMonitorWorkspaceId string

@description('Name of the AKS cluster whose metrics alone are looked at; all of the workspace where empty.')
param clusterName string = ''

@description('Resource ID of the action group that is told; nobody where empty.')
param actionGroupId string = ''

var actions = empty(actionGroupId) ? [] : [
  {
    actionGroupId: actionGroupId
  }
]

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
        expression: '(((redpath_path_private == 0 and redpath_address_expected == 0 and ignoring (phase, outcome) redpath_phase_outcome{phase="connect",outcome="not_reached"} == 0) + redpath_usable) or ((redpath_path_private == 0 and redpath_address_expected == 0 and ignoring (phase, outcome) redpath_phase_outcome{phase="connect",outcome="not_reached"} == 0) - 1)) * on (cluster, job, instance) group_left (vnet, subnet, hostname) topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance, target) (((redpath_path_private == 0 and redpath_address_expected == 0 and ignoring (phase, outcome) redpath_phase_outcome{phase="connect",outcome="not_reached"} == 0) + redpath_usable) or ((redpath_path_private == 0 and redpath_address_expected == 0 and ignoring (phase, outcome) redpath_phase_outcome{phase="connect",outcome="not_reached"} == 0) - 1))'
        severity: 0
        enabled: true
        labels: {
          severity: 'critical'
        }
        annotations: {
          summary: '{{ $labels.target }} is not on the private path (subnet {{ $labels.subnet }}, vantage {{ $labels.instance }})'
          description: 'The name of {{ $labels.target }} leads there to an address that is not private and not the expected one. {{ if eq $value 1.0 }}Redis answers at that address: traffic takes this path now, and stops when public access is closed.{{ else if eq $value 0.0 }}Redis does not answer at that address: clients that are led there are down now.{{ else }}Whether Redis answers at that address is unknown.{{ end }} redpath_finding_active names the cause by its code.'
          runbook: 'docs/monitoring.md#redpathpathnotprivate'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
      {
        alert: 'RedpathUnusable'
        expression: '(((redpath_usable == 0) + last_over_time((redpath_path_private and redpath_usable == 1)[1d:5m])) or ((redpath_usable == 0) - 1)) * on (cluster, job, instance) group_left (vnet, subnet, hostname) topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance, target) (((redpath_usable == 0) + last_over_time((redpath_path_private and redpath_usable == 1)[1d:5m])) or ((redpath_usable == 0) - 1))'
        for: 'PT1M'
        severity: 0
        enabled: true
        labels: {
          severity: 'critical'
        }
        annotations: {
          summary: '{{ $labels.target }} {{ if eq $value 0.0 }}was working over the public path and has stopped{{ else if eq $value 1.0 }}was working over the private path and has stopped{{ else }}does not work and did not in the last day{{ end }} (subnet {{ $labels.subnet }}, vantage {{ $labels.instance }})'
          description: 'For a minute no probe from {{ $labels.instance }} has got a reply of Redis from {{ $labels.target }}, by whatever path. {{ if eq $value 0.0 }}It worked before over an address that is not private: public access was probably closed while this vantage still depended on it.{{ else if eq $value 1.0 }}It worked before over the private path, so something on that path or the server itself has changed.{{ else }}It has not worked from there in the last day: a rule, a route or an approval may be missing from the beginning.{{ end }} redpath_finding_active names the cause by its code.'
          runbook: 'docs/monitoring.md#redpathunusable'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
      {
        alert: 'RedpathProbeFailing'
        expression: '(redpath_probe_success == 0 unless (redpath_path_private == 0 and redpath_address_expected == 0 and ignoring (phase, outcome) redpath_phase_outcome{phase="connect",outcome="not_reached"} == 0)) * on (cluster, job, instance) group_left (vnet, subnet, hostname) topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance, target) (redpath_probe_success == 0 unless (redpath_path_private == 0 and redpath_address_expected == 0 and ignoring (phase, outcome) redpath_phase_outcome{phase="connect",outcome="not_reached"} == 0))'
        for: 'PT2M'
        severity: 0
        enabled: true
        labels: {
          severity: 'critical'
        }
        annotations: {
          summary: '{{ $labels.target }} fails (subnet {{ $labels.subnet }}, vantage {{ $labels.instance }})'
          description: 'For two minutes no probe of {{ $labels.target }} has passed: no address, or trouble with the connection, TLS or Redis at an address that is not public. redpath_finding_active names the cause by its code.'
          runbook: 'docs/monitoring.md#redpathprobefailing'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
      {
        alert: 'RedpathViewDisagreement'
        expression: '(redpath_resolver_agreement == 0) * on (cluster, job, instance) group_left (vnet, subnet, hostname) topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance, target) (redpath_resolver_agreement == 0)'
        for: 'PT5M'
        severity: 2
        enabled: true
        labels: {
          severity: 'warning'
        }
        annotations: {
          summary: 'Resolvers disagree about {{ $labels.target }} (subnet {{ $labels.subnet }}, vantage {{ $labels.instance }})'
          description: 'For five minutes, name servers that should give the same addresses for {{ $labels.target }} have not. Programs get the one or the other: a stale forwarder, a zone that only one of them sees, or a local override.'
          runbook: 'docs/monitoring.md#redpathviewdisagreement'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
      {
        alert: 'RedpathVantageSilent'
        expression: 'up == 0 and on (cluster, job, instance) last_over_time(redpath_build_info[1d])'
        for: 'PT2M'
        severity: 2
        enabled: true
        labels: {
          severity: 'warning'
        }
        annotations: {
          summary: 'The vantage {{ $labels.instance }} cannot be scraped'
          description: 'Prometheus has not reached the agent at {{ $labels.instance }} (job {{ $labels.job }}) for two minutes. The state of the path from there is unknown.'
          runbook: 'docs/monitoring.md#redpathvantagesilent'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
      {
        alert: 'RedpathSubnetSilent'
        expression: 'group by (cluster, vnet, subnet) (last_over_time(redpath_vantage_info{subnet!=""}[6h])) unless group by (cluster, vnet, subnet) (redpath_vantage_info{subnet!=""})'
        for: 'PT5M'
        severity: 0
        enabled: true
        labels: {
          severity: 'critical'
        }
        annotations: {
          summary: 'No vantage of the subnet {{ $labels.subnet }} reports'
          description: 'At least one agent of the subnet {{ $labels.subnet }} (vnet {{ $labels.vnet }}) reported within the last six hours, and for five minutes none has.'
          runbook: 'docs/monitoring.md#redpathsubnetsilent'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
      {
        alert: 'RedpathProbesStopped'
        expression: 'time() - redpath_last_probe_timestamp_seconds > 300'
        for: 'PT1M'
        severity: 2
        enabled: true
        labels: {
          severity: 'warning'
        }
        annotations: {
          summary: '{{ $labels.target }} is no longer probed (vantage {{ $labels.instance }})'
          description: 'The last probe of {{ $labels.target }} at {{ $labels.instance }} began {{ $value | humanizeDuration }} ago. Its metrics are as old.'
          runbook: 'docs/monitoring.md#redpathprobesstopped'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
      {
        alert: 'RedpathVerdictFlapping'
        expression: 'changes(redpath_verdict_since_timestamp_seconds[30m]) >= 4'
        severity: 2
        enabled: true
        labels: {
          severity: 'warning'
        }
        annotations: {
          summary: 'The verdict of {{ $labels.target }} flaps (vantage {{ $labels.instance }})'
          description: 'The verdict of {{ $labels.target }} at {{ $labels.instance }} changed {{ $value }} times within 30 minutes: a server whose answers change, a path that fails at times, or a latency close to a timeout.'
          runbook: 'docs/monitoring.md#redpathverdictflapping'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
      {
        alert: 'RedpathCertificateExpiring'
        expression: 'redpath_tls_certificate_not_after_timestamp_seconds - time() < 14 * 86400'
        for: 'PT10M'
        severity: 2
        enabled: true
        labels: {
          severity: 'warning'
        }
        annotations: {
          summary: 'The certificate of {{ $labels.target }} expires soon (vantage {{ $labels.instance }})'
          description: 'The certificate that the server of {{ $labels.target }} shows at {{ $labels.instance }} expires {{ $value | humanizeDuration }} from now; clients refuse it from then on.'
          runbook: 'docs/monitoring.md#redpathcertificateexpiring'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
      {
        alert: 'RedpathLatencyOverBudget'
        expression: 'count_over_time(redpath_finding_active{code="latency_over_budget"}[10m]) / ignoring (code, severity) count_over_time(redpath_probe_success[10m]) > 0.5'
        for: 'PT5M'
        severity: 2
        enabled: true
        labels: {
          severity: 'warning'
        }
        annotations: {
          summary: '{{ $labels.target }} is slower than its budget (vantage {{ $labels.instance }})'
          description: '{{ $value | humanizePercentage }} of the probes of {{ $labels.target }} in the last ten minutes at {{ $labels.instance }} were over the latency that its configuration allows.'
          runbook: 'docs/monitoring.md#redpathlatencyoverbudget'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
      {
        alert: 'RedpathPublicAccessOpen'
        expression: 'redpath_finding_active{code="public_access_open",severity="error"} * on (cluster, job, instance) group_left (vnet, subnet, hostname) topk by (cluster, job, instance) (1, redpath_vantage_info) or on (cluster, job, instance, target) redpath_finding_active{code="public_access_open",severity="error"}'
        severity: 0
        enabled: true
        labels: {
          severity: 'critical'
        }
        annotations: {
          summary: 'The public address of {{ $labels.target }} is open (subnet {{ $labels.subnet }}, vantage {{ $labels.instance }})'
          description: 'TLS and Redis answered {{ $labels.instance }} at the public address of {{ $labels.target }}, which its configuration expects to be closed.'
          runbook: 'docs/monitoring.md#redpathpublicaccessopen'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
      {
        alert: 'RedpathScheduleLag'
        expression: 'redpath_schedule_lag_seconds > 5'
        for: 'PT5M'
        severity: 2
        enabled: true
        labels: {
          severity: 'warning'
        }
        annotations: {
          summary: 'The agent {{ $labels.instance }} probes late'
          description: 'For five minutes probes at {{ $labels.instance }} have begun up to {{ $value | humanizeDuration }} after they were due. The agent lacks CPU time or has too many targets for max_concurrent_probes: its durations and failures may be its own.'
          runbook: 'docs/monitoring.md#redpathschedulelag'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT2M'
        }
        actions: actions
      }
      {
        alert: 'RedpathAgentNotReloading'
        expression: 'redpath_config_last_reload_successful == 0'
        for: 'PT5M'
        severity: 2
        enabled: true
        labels: {
          severity: 'warning'
        }
        annotations: {
          summary: 'The agent {{ $labels.instance }} refuses its configuration'
          description: 'The configuration that the agent at {{ $labels.instance }} last read is wrong; the one before is still in force. Its log says what is wrong, and so does redpath config check.'
          runbook: 'docs/monitoring.md#redpathagentnotreloading'
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
        expression: 'max by (cluster, vnet, subnet, target) ( ( redpath_verdict{status="pass"} + ignoring (status) 2 * redpath_verdict{status="warn"} + ignoring (status) 3 * redpath_verdict{status="unknown"} + ignoring (status) 4 * redpath_verdict{status="fail"} ) * on (cluster, job, instance) group_left (vnet, subnet) topk by (cluster, job, instance) (1, redpath_vantage_info) )'
        enabled: true
      }
      {
        record: 'subnet_target:redpath_path_private:min'
        expression: 'min by (cluster, vnet, subnet, target) ( redpath_path_private * on (cluster, job, instance) group_left (vnet, subnet) topk by (cluster, job, instance) (1, redpath_vantage_info) )'
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
        expression: 'histogram_quantile(0.5, sum by (cluster, job, instance, target, phase, le) (rate(redpath_phase_duration_seconds_bucket[5m]))) >= 0'
        enabled: true
      }
      {
        record: 'instance_target_phase:redpath_phase_duration_seconds:p95_rate5m'
        expression: 'histogram_quantile(0.95, sum by (cluster, job, instance, target, phase, le) (rate(redpath_phase_duration_seconds_bucket[5m]))) >= 0'
        enabled: true
      }
      {
        record: 'instance_target_phase:redpath_phase_duration_seconds:p99_rate5m'
        expression: 'histogram_quantile(0.99, sum by (cluster, job, instance, target, phase, le) (rate(redpath_phase_duration_seconds_bucket[5m]))) >= 0'
        enabled: true
      }
    ]
  }
}
