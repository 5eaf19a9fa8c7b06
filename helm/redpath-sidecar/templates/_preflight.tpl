{{/*
Objects of their own, each a file of the application's chart:

  redpath-sidecar.preflight    a Job: `redpath check` of the configuration. It fails unless every target passes; as a
                               hook (`preflight.hook`) it ends an installation before the application is deployed
  redpath-sidecar.podmonitor   a PodMonitor of the pods with the labels `podMonitor.selector`
  redpath-sidecar.networkpolicy  a NetworkPolicy for the pods with the labels `networkPolicy.selector`: ingress to the
                               agent's port, and egress to the DNS servers that redpath asks itself. Policies add up, but
                               the first one of a direction closes it for the pods: egress only where servers are named
*/}}
{{- define "redpath-sidecar.preflight" -}}
{{- $values := index .Values "redpath-sidecar" -}}
{{- $config := include "redpath-sidecar.configName" . -}}
{{- $hook := dict -}}
{{- if $values.preflight.hook -}}
{{- $hook = dict "helm.sh/hook" "pre-install,pre-upgrade" "helm.sh/hook-delete-policy" "before-hook-creation,hook-succeeded" -}}
{{- if not $values.configFrom.existing -}}
{{- /* Before an installation, there is no object of the release. */ -}}
{{- $config = printf "%s-preflight" ($config | trunc 53 | trimSuffix "-") -}}
apiVersion: v1
kind: {{ $values.configFrom.kind }}
metadata:
  name: {{ $config }}
  namespace: {{ .Release.Namespace }}
  annotations:
    {{- merge (dict "helm.sh/hook-weight" "-1") $hook | toYaml | nindent 4 }}
{{ ternary "stringData" "data" (eq $values.configFrom.kind "Secret") }}:
  {{ $values.configFrom.key }}: |
    {{- include "redpath-sidecar.config" (dict "values" $values "application" "auto") | nindent 4 }}
---
{{ end -}}
{{- end -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ printf "%s-%s-preflight" .Release.Name $values.name | trunc 63 | trimSuffix "-" }}
  namespace: {{ .Release.Namespace }}
  labels:
    app.kubernetes.io/name: redpath-preflight
    app.kubernetes.io/instance: {{ .Release.Name }}
    app.kubernetes.io/managed-by: {{ .Release.Service }}
  {{- with $hook }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  backoffLimit: {{ $values.preflight.backoffLimit }}
  activeDeadlineSeconds: 300
  template:
    metadata:
      labels:
        app.kubernetes.io/name: redpath-preflight
        app.kubernetes.io/instance: {{ .Release.Name }}
    spec:
      restartPolicy: Never
      automountServiceAccountToken: false
      enableServiceLinks: false
      nodeSelector: {kubernetes.io/os: linux}
      containers:
        - name: {{ $values.name }}
          image: {{ include "redpath-sidecar.image" . | quote }}
          imagePullPolicy: {{ $values.image.pullPolicy }}
          args: [check, --config=/etc/redpath/redpath.yaml]
          env:
            - {name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
            {{- with $values.subnet }}
            - {name: REDPATH_SUBNET, value: {{ . | quote }}}
            {{- end }}
            {{- with $values.extraEnv }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          {{- with $values.extraEnvFrom }}
          envFrom:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          {{- with $values.resources }}
          resources:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          {{- with $values.securityContext }}
          securityContext:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          volumeMounts:
            - {name: config, mountPath: /etc/redpath, readOnly: true}
            {{- with include "redpath-sidecar.fileMounts" (dict "values" $values "prefix" "secret") | trim }}
            {{- . | nindent 12 }}
            {{- end }}
      volumes:
        - name: config
          {{- if eq $values.configFrom.kind "Secret" }}
          secret:
            secretName: {{ $config }}
            defaultMode: {{ $values.secretMode }}
          {{- else }}
          configMap:
            name: {{ $config }}
          {{- end }}
            items: [{key: {{ $values.configFrom.key | quote }}, path: redpath.yaml}]
        {{- with include "redpath-sidecar.fileVolumes" (dict "values" $values "prefix" "secret") | trim }}
        {{- . | nindent 8 }}
        {{- end }}
{{- end -}}

{{- define "redpath-sidecar.podmonitor" -}}
{{- $values := index .Values "redpath-sidecar" -}}
{{- if not $values.podMonitor.selector -}}
{{- fail "redpath-sidecar.podMonitor.selector is empty: the labels of the application's pods are expected" -}}
{{- end -}}
apiVersion: {{ $values.podMonitor.apiVersion }}
kind: PodMonitor
metadata:
  name: {{ printf "%s-%s" .Release.Name $values.name | trunc 63 | trimSuffix "-" }}
  namespace: {{ .Release.Namespace }}
  labels:
    app.kubernetes.io/name: redpath
    app.kubernetes.io/instance: {{ .Release.Name }}
    app.kubernetes.io/managed-by: {{ .Release.Service }}
    {{- with $values.podMonitor.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- if hasPrefix "azmonitoring.coreos.com/" $values.podMonitor.apiVersion }}
  labelLimit: 63
  labelNameLengthLimit: 511
  labelValueLengthLimit: 1023
  {{- end }}
  selector:
    matchLabels:
      {{- toYaml $values.podMonitor.selector | nindent 6 }}
  podMetricsEndpoints:
    - port: {{ $values.name }}
      path: /metrics
      scheme: {{ ternary "https" "http" (and (ne $values.web.existingSecret "") $values.web.tls) }}
{{- end -}}

{{- define "redpath-sidecar.networkpolicy" -}}
{{- $values := index .Values "redpath-sidecar" -}}
{{- $policy := $values.networkPolicy -}}
{{- if not $policy.selector -}}
{{- fail "redpath-sidecar.networkPolicy.selector is empty: the labels of the application's pods are expected" -}}
{{- end -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ printf "%s-%s" .Release.Name $values.name | trunc 63 | trimSuffix "-" }}
  namespace: {{ .Release.Namespace }}
  labels:
    app.kubernetes.io/name: redpath
    app.kubernetes.io/instance: {{ .Release.Name }}
    app.kubernetes.io/managed-by: {{ .Release.Service }}
spec:
  podSelector:
    matchLabels:
      {{- toYaml $policy.selector | nindent 6 }}
  policyTypes: [Ingress{{ if $policy.dnsServers }}, Egress{{ end }}]
  ingress:
    - ports: [{port: {{ $values.name }}, protocol: TCP}]
      {{- with $policy.ingressFrom }}
      from:
        {{- toYaml . | nindent 8 }}
      {{- end }}
  {{- with $policy.dnsServers }}
  egress:
    - to:
        {{- range . }}
        - ipBlock: {cidr: {{ printf "%s/%d" . (ternary 128 32 (contains ":" .)) }}}
        {{- end }}
      ports:
        - {port: 53, protocol: UDP}
        - {port: 53, protocol: TCP}
  {{- end }}
{{- end -}}
