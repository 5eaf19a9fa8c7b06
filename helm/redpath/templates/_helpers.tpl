{{/* Names. */}}
{{- define "redpath.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "redpath.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "redpath.namespace" -}}
{{- .Values.namespaceOverride | default .Release.Namespace -}}
{{- end -}}

{{- define "redpath.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (include "redpath.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{/* What a selector selects by: never changed, since selectors cannot be. */}}
{{- define "redpath.selectorLabels" -}}
app.kubernetes.io/name: {{ include "redpath.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "redpath.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "redpath.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* `metadata` of an object. Takes a dict: root, and where wanted kind (a suffix of the name), namespace, labels, annotations. */}}
{{- define "redpath.metadata" -}}
metadata:
  name: {{ include "redpath.fullname" .root }}{{ with .suffix }}-{{ . }}{{ end }}
  namespace: {{ .namespace | default (include "redpath.namespace" .root) }}
  labels:
    {{- include "redpath.labels" .root | nindent 4 }}
    {{- with .labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "redpath.image" -}}
{{- $image := .Values.image -}}
{{- with .Values.global.imageRegistry | default $image.registry }}{{ . }}/{{ end }}{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default .Chart.AppVersion }}{{ end -}}
{{- end -}}

{{/* What cannot be, said in a sentence. */}}
{{- define "redpath.validate" -}}
{{- $given := not (empty .Values.config) -}}
{{- if and $given .Values.configFrom.existing -}}
{{- fail "both config and configFrom.existing are given: one of them is expected" -}}
{{- else if and (not .Values.configFrom.existing) (not (dig "targets" list (.Values.config | default dict))) -}}
{{- fail "there is nothing to probe: config.targets with at least one host, or configFrom.existing, is expected" -}}
{{- end -}}
{{- if and .Values.configFrom.existing (or .Values.ca.existingSecret .Values.ca.existingConfigMap .Values.credential.existingSecret) -}}
{{- fail "ca and credential go into config, and configFrom.existing is given: secretMounts mounts a Secret for it" -}}
{{- end -}}
{{- if and (has .Values.listen.address (list "127.0.0.1" "[::1]")) .Values.web.existingSecret .Values.web.tls -}}
{{- fail "listen.address is a loopback address and web.tls is set: what asks there is in the pod, and redpath healthcheck asks without TLS" -}}
{{- end -}}
{{- if and .Values.ca.existingSecret .Values.ca.existingConfigMap -}}
{{- fail "both ca.existingSecret and ca.existingConfigMap are given: one of them is expected" -}}
{{- end -}}
{{- if and .Values.journal.enabled .Values.journal.volume.persistentVolumeClaim (or (eq .Values.kind "DaemonSet") (gt (int .Values.replicaCount) 1)) -}}
{{- fail "journal.volume is one persistentVolumeClaim for several pods, and a journal has one writer: kind: Deployment with replicaCount: 1, or another volume, is expected" -}}
{{- end -}}
{{- if and .Values.podDisruptionBudget.enabled (ne .Values.kind "Deployment") -}}
{{- fail "podDisruptionBudget is for kind: Deployment: a drain leaves the pods of a DaemonSet" -}}
{{- end -}}
{{- if and .Values.podDisruptionBudget.minAvailable .Values.podDisruptionBudget.maxUnavailable -}}
{{- fail "both podDisruptionBudget.minAvailable and maxUnavailable are given: one of them is expected" -}}
{{- end -}}
{{- if and (eq .Values.dnsPolicy "None") (not .Values.dnsConfig.nameservers) -}}
{{- fail "dnsPolicy: None has no name server: dnsConfig.nameservers with their addresses is expected" -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.service.enabled) -}}
{{- fail "ingress needs service.enabled: true" -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) -}}
{{- fail "ingress.host is empty: the host name by which browsers ask is expected" -}}
{{- end -}}
{{- $names := list -}}
{{- $defaults := dig "defaults" dict (.Values.config | default dict) | default dict -}}
{{- range dig "targets" list (.Values.config | default dict) -}}
{{- $name := .name | default .host -}}
{{- if has $name $names -}}
{{- fail (printf "two targets are called %q: a name of its own is expected for each" $name) -}}
{{- end -}}
{{- $names = append $names $name -}}
{{- if regexMatch "^[0-9.]+$|:" (.host | default "") -}}
{{- fail (printf "the host of %q is an address or has a port: a host name is expected, and the port as a key of its own" $name) -}}
{{- end -}}
{{- $timeout := .timeout | default $defaults.timeout | default "" -}}
{{- $interval := .interval | default $defaults.interval | default "15s" -}}
{{- if and (regexMatch "^[0-9]+s$" $timeout) (regexMatch "^[0-9]+s$" $interval) (gt (trimSuffix "s" $timeout | atoi) (trimSuffix "s" $interval | atoi)) -}}
{{- fail (printf "the timeout of %q, %s, is longer than its interval of %s: at most the interval is expected" $name $timeout $interval) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled (not .Values.service.enabled) -}}
{{- fail "serviceMonitor needs service.enabled: true; podMonitor needs no Service" -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled -}}
{{- fail "both podMonitor and serviceMonitor are enabled: each pod would be scraped twice" -}}
{{- end -}}
{{- end -}}

{{/* The configuration file. */}}
{{- define "redpath.config" -}}
{{- include "redpath.withFiles" (dict "values" .Values "config" .Values.config) -}}
{{- end -}}

{{/* The configuration with the paths of the files that the chart mounts; what the configuration itself says outranks them. */}}
{{- define "redpath.withFiles" -}}
{{- $defaults := dict -}}
{{- if or .values.ca.existingSecret .values.ca.existingConfigMap -}}
{{- $_ := set $defaults "tls" (dict "ca_file" (printf "/run/secrets/redpath-ca/%s" .values.ca.key)) -}}
{{- end -}}
{{- if .values.credential.existingSecret -}}
{{- $auth := dict "method" "password" "password_file" (printf "/run/secrets/redpath-credential/%s" .values.credential.key) -}}
{{- with .values.credential.username }}{{ $_ := set $auth "username" . }}{{ end -}}
{{- $own := dig "defaults" "auth" dict (.config | default dict) -}}
{{- if not $own }}{{ $_ := set $defaults "auth" $auth }}{{ end -}}
{{- end -}}
{{- if $defaults -}}
{{- toYaml (merge (deepCopy .config) (dict "defaults" $defaults)) -}}
{{- else -}}
{{- toYaml .config -}}
{{- end -}}
{{- end -}}

{{/* The mounts of `ca`, `credential`, `secretMounts` and `journal`, and their volumes. Each takes the values. */}}
{{- define "redpath.fileMounts" -}}
{{- if or .ca.existingSecret .ca.existingConfigMap }}
- {name: redpath-ca, mountPath: /run/secrets/redpath-ca, readOnly: true}
{{- end }}
{{- if .credential.existingSecret }}
- {name: redpath-credential, mountPath: /run/secrets/redpath-credential, readOnly: true}
{{- end }}
{{- range .secretMounts }}
- {name: {{ printf "secret-%s" .name | quote }}, mountPath: {{ .mountPath | quote }}, readOnly: true}
{{- end }}
{{- end -}}

{{- define "redpath.fileVolumes" -}}
{{- if .ca.existingConfigMap }}
- name: redpath-ca
  configMap: {name: {{ .ca.existingConfigMap }}, items: [{key: {{ .ca.key | quote }}, path: {{ .ca.key | quote }}}]}
{{- else if .ca.existingSecret }}
- name: redpath-ca
  secret: {secretName: {{ .ca.existingSecret }}, defaultMode: 288, items: [{key: {{ .ca.key | quote }}, path: {{ .ca.key | quote }}}]}
{{- end }}
{{- with .credential.existingSecret }}
- name: redpath-credential
  secret: {secretName: {{ . }}, defaultMode: 288, items: [{key: {{ $.credential.key | quote }}, path: {{ $.credential.key | quote }}}]}
{{- end }}
{{- range .secretMounts }}
- name: {{ printf "secret-%s" .name | quote }}
  secret:
    secretName: {{ .name }}
    defaultMode: 288
    {{- with .items }}
    items:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- if .optional }}
    optional: true
    {{- end }}
{{- end }}
{{- end -}}

{{/* The name of the ConfigMap or Secret that holds it. */}}
{{- define "redpath.configName" -}}
{{- .Values.configFrom.existing | default (include "redpath.fullname" .) -}}
{{- end -}}

{{/* What is hashed into the pods' annotation: a change of it replaces them. */}}
{{- define "redpath.checksum" -}}
{{- if .Values.rolloutOnConfigChange -}}
{{- include "redpath.config" . | sha256sum -}}
{{- else -}}
{{- pick (.Values.config | default dict) "vantage" "metrics" | toYaml | sha256sum -}}
{{- end -}}
{{- end -}}
