{{/* The pod: the same in a DaemonSet and a Deployment. */}}
{{- define "redpath.pod" -}}
metadata:
  labels:
    {{- include "redpath.labels" . | nindent 4 }}
    {{- if .Values.workloadIdentity.enabled }}
    azure.workload.identity/use: "true"
    {{- end }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    kubectl.kubernetes.io/default-container: redpath
    {{- if not .Values.configFrom.existing }}
    checksum/config: {{ include "redpath.checksum" . }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "redpath.serviceAccountName" . }}
  automountServiceAccountToken: {{ .Values.automountServiceAccountToken }}
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- with .Values.podSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with concat .Values.global.imagePullSecrets .Values.imagePullSecrets | uniq }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .Values.hostNetwork }}
  hostNetwork: true
  {{- end }}
  {{- with .Values.dnsPolicy }}
  dnsPolicy: {{ . }}
  {{- end }}
  {{- with .Values.dnsConfig }}
  dnsConfig:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.hostAliases }}
  hostAliases:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.runtimeClassName }}
  runtimeClassName: {{ . }}
  {{- end }}
  {{- with .Values.extraInitContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: redpath
      image: {{ include "redpath.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        - agent
        - --config=/etc/redpath/redpath.yaml
        - {{ printf "--listen=%s:%v" .Values.listen.address .Values.listen.port | quote }}
        - --log-format={{ .Values.log.format }}
        - --log-level={{ .Values.log.level }}
        {{- if .Values.web.existingSecret }}
        - {{ printf "--web-config-file=/etc/redpath-web/%s" .Values.web.key | quote }}
        {{- end }}
        {{- if .Values.journal.enabled }}
        - --journal=/var/lib/redpath/journal
        {{- end }}
        {{- range .Values.extraArgs }}
        - {{ . | quote }}
        {{- end }}
      env:
        - {name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
        - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
        {{- with .Values.subnet }}
        - {name: REDPATH_SUBNET, value: {{ . | quote }}}
        {{- end }}
        {{- with .Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .Values.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - {name: http, containerPort: {{ .Values.listen.port }}, protocol: TCP}
      livenessProbe:
        {{- include "redpath.asks" (dict "values" .Values "path" "/-/healthy") | nindent 8 }}
        {{- with .Values.livenessProbe }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      readinessProbe:
        {{- include "redpath.asks" (dict "values" .Values "path" "/-/ready") | nindent 8 }}
        {{- with .Values.readinessProbe }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .Values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.securityContext }}
      securityContext:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts:
        # The folder, not the file: what is mounted by subPath is never renewed.
        - {name: config, mountPath: /etc/redpath, readOnly: true}
        {{- if .Values.web.existingSecret }}
        - {name: web, mountPath: /etc/redpath-web, readOnly: true}
        {{- end }}
        {{- with include "redpath.fileMounts" .Values | trim }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- if .Values.journal.enabled }}
        - {name: journal, mountPath: /var/lib/redpath}
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    - name: config
      {{- if eq .Values.configFrom.kind "Secret" }}
      secret:
        secretName: {{ include "redpath.configName" . }}
        # 0440, written so that every reader of YAML takes it for that: for the pods' fsGroup, and nobody else.
        defaultMode: 288
      {{- else }}
      configMap:
        name: {{ include "redpath.configName" . }}
      {{- end }}
        items: [{key: {{ .Values.configFrom.key | quote }}, path: redpath.yaml}]
    {{- with .Values.web.existingSecret }}
    - name: web
      secret: {secretName: {{ . }}, defaultMode: 288}
    {{- end }}
    {{- with include "redpath.fileVolumes" .Values | trim }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- if .Values.journal.enabled }}
    - name: journal
      {{- toYaml (.Values.journal.volume | default (dict "emptyDir" (dict "sizeLimit" .Values.journal.sizeLimit))) | nindent 6 }}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range . }}
    {{- $own := dict "labelSelector" (dict "matchLabels" (include "redpath.selectorLabels" $ | fromYaml)) }}
    - {{ toYaml (merge (deepCopy .) (ternary dict $own (hasKey . "labelSelector"))) | nindent 6 | trim }}
    {{- end }}
  {{- end }}
{{- end -}}

{{/* How the kubelet asks for a path: by HTTP, or in the container where only the pod itself reaches the agent. */}}
{{- define "redpath.asks" -}}
{{- if has .values.listen.address (list "127.0.0.1" "[::1]") -}}
exec: {command: [/usr/bin/redpath, healthcheck, {{ printf "http://%s:%v%s" .values.listen.address .values.listen.port .path | quote }}]}
{{- else -}}
httpGet: {path: {{ .path }}, port: http, scheme: {{ include "redpath.scheme" (dict "Values" .values) | upper }}}
{{- end -}}
{{- end -}}

{{- define "redpath.scheme" -}}
{{- ternary "https" "http" (and (not (empty .Values.web.existingSecret)) .Values.web.tls) -}}
{{- end -}}
