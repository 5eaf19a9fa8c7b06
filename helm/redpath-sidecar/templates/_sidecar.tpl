{{/*
What an application's chart includes, each with its own context, `.`:

  redpath-sidecar.container       an entry of `containers`: the classic form
  redpath-sidecar.initContainer   an entry of `initContainers`: the native form (Kubernetes 1.29), up before the
                                  application and gone after it, and no hindrance to the end of a Job
  redpath-sidecar.volumes         entries of `volumes`
  redpath-sidecar.annotations     annotations of the pod
  redpath-sidecar.configmap       the object with the configuration, a file of its own

_preflight.tpl has objects of their own: a Job before a deployment, a PodMonitor.
*/}}
{{- define "redpath-sidecar.container" -}}
{{- $values := index .Values "redpath-sidecar" -}}
- name: {{ $values.name }}
  {{- include "redpath-sidecar.body" . | nindent 2 }}
{{- end -}}

{{- define "redpath-sidecar.initContainer" -}}
{{- if semverCompare "<1.29.0-0" .Capabilities.KubeVersion.Version -}}
{{- fail (printf "native sidecars need Kubernetes 1.29, and this is %s: include redpath-sidecar.container under containers" .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- $values := index .Values "redpath-sidecar" -}}
- name: {{ $values.name }}
  restartPolicy: Always
  {{- include "redpath-sidecar.body" . | nindent 2 }}
{{- end -}}

{{- define "redpath-sidecar.volumes" -}}
{{- $values := index .Values "redpath-sidecar" -}}
- name: {{ $values.name }}-config
  {{- if eq $values.configFrom.kind "Secret" }}
  secret:
    secretName: {{ include "redpath-sidecar.configName" . }}
    defaultMode: {{ $values.secretMode }}
  {{- else }}
  configMap:
    name: {{ include "redpath-sidecar.configName" . }}
  {{- end }}
    items: [{key: {{ $values.configFrom.key | quote }}, path: redpath.yaml}]
{{- with $values.web.existingSecret }}
- name: {{ $values.name }}-web
  secret: {secretName: {{ . }}, defaultMode: {{ $values.secretMode }}}
{{- end }}
{{- with include "redpath-sidecar.fileVolumes" (dict "values" $values "prefix" $values.name) | trim }}
{{ . }}
{{- end }}
{{- if $values.journal.enabled }}
- name: {{ $values.name }}-journal
  {{- toYaml ($values.journal.volume | default (dict "emptyDir" (dict "sizeLimit" $values.journal.sizeLimit))) | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "redpath-sidecar.annotations" -}}
{{- $values := index .Values "redpath-sidecar" -}}
{{- if and $values.rolloutOnConfigChange $values.config -}}
checksum/{{ $values.name }}: {{ include "redpath-sidecar.config" (dict "values" $values "application" "on") | sha256sum }}
{{- end -}}
{{- end -}}

{{- define "redpath-sidecar.configmap" -}}
{{- $values := index .Values "redpath-sidecar" -}}
{{- if not $values.configFrom.existing -}}
apiVersion: v1
kind: {{ $values.configFrom.kind }}
metadata:
  name: {{ include "redpath-sidecar.configName" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    app.kubernetes.io/name: redpath
    app.kubernetes.io/instance: {{ .Release.Name }}
    app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ ternary "stringData" "data" (eq $values.configFrom.kind "Secret") }}:
  {{ $values.configFrom.key }}: |
    {{- include "redpath-sidecar.config" (dict "values" $values "application" "on") | nindent 4 }}
{{- end -}}
{{- end -}}

{{- define "redpath-sidecar.configName" -}}
{{- $values := index .Values "redpath-sidecar" -}}
{{- $targets := dig "targets" list ($values.config | default dict) -}}
{{- if and $values.config $values.configFrom.existing -}}
{{- fail "both redpath-sidecar.config and redpath-sidecar.configFrom.existing are given: one of them is expected" -}}
{{- else if not (or $targets $values.configFrom.existing) -}}
{{- fail "there is nothing to probe: redpath-sidecar.config.targets with at least one host, or redpath-sidecar.configFrom.existing, is expected" -}}
{{- end -}}
{{- if and (has $values.listen.address (list "127.0.0.1" "[::1]")) $values.web.existingSecret $values.web.tls -}}
{{- fail "redpath-sidecar.listen.address is a loopback address and web.tls is set: what asks there is in the pod, and redpath healthcheck asks without TLS" -}}
{{- end -}}
{{- if and $values.configFrom.existing (or $values.ca.existingSecret $values.ca.existingConfigMap $values.credential.existingSecret) -}}
{{- fail "redpath-sidecar.ca and credential go into config, and redpath-sidecar.configFrom.existing is given: secretMounts mounts a Secret for it" -}}
{{- else if and $values.ca.existingSecret $values.ca.existingConfigMap -}}
{{- fail "both redpath-sidecar.ca.existingSecret and existingConfigMap are given: one of them is expected" -}}
{{- end -}}
{{- $values.configFrom.existing | default (printf "%s-%s" .Release.Name $values.name | trunc 63 | trimSuffix "-") -}}
{{- end -}}

{{- define "redpath-sidecar.image" -}}
{{- $image := (index .Values "redpath-sidecar").image -}}
{{- $version := (index .Subcharts "redpath-sidecar").Chart.AppVersion -}}
{{- with dig "imageRegistry" "" (.Values.global | default dict) | default $image.registry }}{{ . }}/{{ end }}{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default $version }}{{ end -}}
{{- end -}}

{{/* How the kubelet asks for a path: by HTTP, or in the container where only the pod itself reaches the agent. */}}
{{- define "redpath-sidecar.asks" -}}
{{- if has .values.listen.address (list "127.0.0.1" "[::1]") -}}
exec: {command: [/usr/bin/redpath, healthcheck, {{ printf "http://%s:%v%s" .values.listen.address .values.listen.port .path | quote }}]}
{{- else -}}
httpGet: {path: {{ .path }}, port: {{ .values.listen.port }}, scheme: {{ .scheme }}}
{{- end -}}
{{- end -}}

{{/* The container without its name: the same in both forms. */}}
{{- define "redpath-sidecar.body" -}}
{{- $values := index .Values "redpath-sidecar" -}}
{{- $image := $values.image -}}
image: {{ include "redpath-sidecar.image" . | quote }}
imagePullPolicy: {{ $image.pullPolicy }}
args:
  - agent
  - --config=/etc/redpath/redpath.yaml
  - {{ printf "--listen=%s:%v" $values.listen.address $values.listen.port | quote }}
  - --log-format={{ $values.log.format }}
  - --log-level={{ $values.log.level }}
  {{- if $values.web.existingSecret }}
  - {{ printf "--web-config-file=/etc/redpath-web/%s" $values.web.key | quote }}
  {{- end }}
  {{- if $values.journal.enabled }}
  - --journal=/var/lib/redpath/journal
  {{- end }}
  {{- range $values.extraArgs }}
  - {{ . | quote }}
  {{- end }}
env:
  - {name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
  - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
  - {name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
  {{- with $values.subnet }}
  - {name: REDPATH_SUBNET, value: {{ . | quote }}}
  {{- end }}
  {{- with $values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
ports:
  - {name: {{ $values.name }}, containerPort: {{ $values.listen.port }}, protocol: TCP}
{{- $scheme := ternary "HTTPS" "HTTP" (and (ne $values.web.existingSecret "") $values.web.tls) }}
livenessProbe:
  {{- include "redpath-sidecar.asks" (dict "values" $values "path" "/-/healthy" "scheme" $scheme) | nindent 2 }}
  {{- with $values.livenessProbe }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $values.readinessProbe }}
readinessProbe:
  {{- include "redpath-sidecar.asks" (dict "values" $values "path" "/-/ready" "scheme" $scheme) | nindent 2 }}
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  # The folder, not the file: what is mounted by subPath is never renewed.
  - {name: {{ $values.name }}-config, mountPath: /etc/redpath, readOnly: true}
  {{- if $values.web.existingSecret }}
  - {name: {{ $values.name }}-web, mountPath: /etc/redpath-web, readOnly: true}
  {{- end }}
  {{- with include "redpath-sidecar.fileMounts" (dict "values" $values "prefix" $values.name) | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- if $values.journal.enabled }}
  - {name: {{ $values.name }}-journal, mountPath: /var/lib/redpath}
  {{- end }}
  {{- with $values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}
