{{/*
The configuration with the paths of the files that the library mounts, and the mounts and volumes of `ca`, `credential`
and `secretMounts`. What the configuration itself says outranks them. `application` is `on` beside the application, and
`auto` in the Job before a deployment, where there is none.
*/}}
{{- define "redpath-sidecar.config" -}}
{{- $defaults := dict -}}
{{- if or .values.ca.existingSecret .values.ca.existingConfigMap -}}
{{- $_ := set $defaults "tls" (dict "ca_file" (printf "/run/secrets/redpath-ca/%s" .values.ca.key)) -}}
{{- end -}}
{{- if .values.credential.existingSecret -}}
{{- $auth := dict "method" "password" "password_file" (printf "/run/secrets/redpath-credential/%s" .values.credential.key) -}}
{{- with .values.credential.username }}{{ $_ := set $auth "username" . }}{{ end -}}
{{- $own := dig "defaults" "auth" dict (.values.config | default dict) -}}
{{- if not $own }}{{ $_ := set $defaults "auth" $auth }}{{ end -}}
{{- end -}}
{{- if ne .application "auto" }}{{ $_ := set $defaults "application" .application }}{{ end -}}
{{- toYaml (merge (deepCopy .values.config) (dict "defaults" $defaults)) -}}
{{- end -}}

{{- define "redpath-sidecar.fileMounts" -}}
{{- if or .values.ca.existingSecret .values.ca.existingConfigMap }}
- {name: {{ .prefix }}-ca, mountPath: /run/secrets/redpath-ca, readOnly: true}
{{- end }}
{{- if .values.credential.existingSecret }}
- {name: {{ .prefix }}-credential, mountPath: /run/secrets/redpath-credential, readOnly: true}
{{- end }}
{{- range .values.secretMounts }}
- {name: {{ printf "%s-%s" $.prefix .name | quote }}, mountPath: {{ .mountPath | quote }}, readOnly: true}
{{- end }}
{{- end -}}

{{- define "redpath-sidecar.fileVolumes" -}}
{{- if .values.ca.existingConfigMap }}
- name: {{ .prefix }}-ca
  configMap: {name: {{ .values.ca.existingConfigMap }}, items: [{key: {{ .values.ca.key | quote }}, path: {{ .values.ca.key | quote }}}]}
{{- else if .values.ca.existingSecret }}
- name: {{ .prefix }}-ca
  secret: {secretName: {{ .values.ca.existingSecret }}, defaultMode: {{ $.values.secretMode }}, items: [{key: {{ .values.ca.key | quote }}, path: {{ .values.ca.key | quote }}}]}
{{- end }}
{{- with .values.credential.existingSecret }}
- name: {{ $.prefix }}-credential
  secret: {secretName: {{ . }}, defaultMode: {{ $.values.secretMode }}, items: [{key: {{ $.values.credential.key | quote }}, path: {{ $.values.credential.key | quote }}}]}
{{- end }}
{{- range .values.secretMounts }}
- name: {{ printf "%s-%s" $.prefix .name | quote }}
  secret:
    secretName: {{ .name }}
    defaultMode: {{ $.values.secretMode }}
    {{- with .items }}
    items:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- if .optional }}
    optional: true
    {{- end }}
{{- end }}
{{- end -}}
