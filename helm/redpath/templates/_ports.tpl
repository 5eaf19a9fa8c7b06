{{/* The ports of Redis that a configuration leads to, each as "FROM-TO", as a JSON list in a dict: src/azure.rs has the services' own. */}}
{{- define "redpath.redisPorts" -}}
{{- $config := .Values.config | default dict -}}
{{- $defaults := $config.defaults | default dict -}}
{{- $ports := list -}}
{{- range $target := $config.targets -}}
  {{- $plain := dig "tls" "plaintext" (dig "tls" "plaintext" false $defaults) $target -}}
  {{- $service := include "redpath.serviceOf" $target.host -}}
  {{- $port := include "redpath.portOf" (dict "service" $service "plain" $plain) -}}
  {{- $ports = append $ports (printf "%v-%v" (int ($target.port | default $port)) (int ($target.port | default $port))) -}}
  {{- if ne "off" ($target.cluster | default $defaults.cluster | default "auto") -}}
    {{- if eq $service "managed" -}}
      {{- $ports = append $ports "8500-8599" -}}
    {{- else if eq $service "cache" -}}
      {{- $ports = append $ports (ternary "13000-13999" "15000-15999" $plain) -}}
    {{- end -}}
  {{- end -}}
  {{- /* The old name of a migration, HOST or HOST:PORT, is probed with the target. */ -}}
  {{- with dig "migration" "old" "" $target -}}
    {{- $oldService := include "redpath.serviceOf" (regexReplaceAll ":[0-9]+$" . "") -}}
    {{- $oldPort := regexFind "[0-9]+$" (regexFind ":[0-9]+$" .) | default (include "redpath.portOf" (dict "service" $oldService "plain" $plain)) -}}
    {{- $ports = append $ports (printf "%v-%v" (int $oldPort) (int $oldPort)) -}}
    {{- if ne "off" ($target.cluster | default $defaults.cluster | default "auto") -}}
      {{- if eq $oldService "managed" -}}
        {{- $ports = append $ports "8500-8599" -}}
      {{- else if eq $oldService "cache" -}}
        {{- $ports = append $ports (ternary "13000-13999" "15000-15999" $plain) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- $knock := dig "posture" "plaintext_port" (dig "posture" "plaintext_port" "off" $defaults) $target -}}
  {{- if and (not $plain) (ne "off" (toString $knock)) -}}
    {{- $ports = append $ports (printf "%v-%v" (int $knock) (int $knock)) -}}
  {{- end -}}
{{- end -}}
{{- /* Hosts that /probe may be asked for. */ -}}
{{- range dig "web" "probe" "allowed_suffixes" list $config -}}
  {{- $port := include "redpath.portOf" (dict "service" (include "redpath.serviceOf" (printf "any.%s" (. | trimPrefix "*" | trimPrefix "."))) "plain" (dig "tls" "plaintext" false $defaults)) -}}
  {{- $ports = append $ports (printf "%v-%v" (int $port) (int $port)) -}}
{{- end -}}
{{- range .Values.networkPolicy.redisPorts -}}
  {{- $range := kindIs "map" . | ternary . (dict "from" . "to" .) -}}
  {{- $ports = append $ports (printf "%v-%v" (int $range.from) (int $range.to)) -}}
{{- end -}}
{{- dict "ports" ($ports | uniq | sortAlpha) | toJson -}}
{{- end -}}

{{- define "redpath.serviceOf" -}}
{{- $host := . | lower | trimSuffix "." -}}
{{- if regexMatch "\\.(redisenterprise\\.cache\\.azure\\.net|redis\\.(azure\\.net|chinacloudapi\\.cn|usgovcloudapi\\.net|sovcloud-api\\.(de|fr)))$" $host -}}
managed
{{- else if regexMatch "\\.redis\\.cache\\.(windows\\.net|usgovcloudapi\\.net|chinacloudapi\\.cn|sovcloud-api\\.(de|fr))$" $host -}}
cache
{{- else -}}
other
{{- end -}}
{{- end -}}

{{- define "redpath.portOf" -}}
{{- if eq .service "managed" }}10000{{ else if .plain }}6379{{ else }}6380{{ end -}}
{{- end -}}

{{/* The sources of Entra tokens in use, in a dict. */}}
{{- define "redpath.tokenSources" -}}
{{- $sources := list -}}
{{- if eq .Values.networkPolicy.token "auto" -}}
  {{- $defaults := .Values.config.defaults | default dict -}}
  {{- range $layer := append (.Values.config.targets | default list) $defaults -}}
    {{- if eq "entra" (dig "auth" "method" "none" $layer) -}}
      {{- $source := dig "auth" "source" "" $layer -}}
      {{- $sources = concat $sources (ternary (list $source) (list "workload_identity" "managed_identity") (ne $source "")) -}}
    {{- end -}}
  {{- end -}}
{{- else -}}
  {{- $sources = list .Values.networkPolicy.token -}}
{{- end -}}
{{- dict "sources" ($sources | uniq) | toJson -}}
{{- end -}}

{{/* Name servers beside the cluster's, each as "ADDRESS PORT", in a dict. */}}
{{- define "redpath.dnsServers" -}}
{{- $servers := list "168.63.129.16 53" "169.254.20.10 53" "169.254.10.10 53" "169.254.10.11 53" -}}
{{- range .Values.dnsConfig.nameservers }}{{ $servers = append $servers (printf "%s 53" .) }}{{ end -}}
{{- range $server := concat (.Values.config.resolvers | default list) .Values.networkPolicy.dnsServers -}}
  {{- if and (kindIs "string" $server) (ne $server "azure") -}}
    {{- $servers = append $servers (printf "%s 53" $server) -}}
  {{- else if kindIs "map" $server -}}
    {{- $address := $server.address -}}
    {{- $port := $server.port | default 53 -}}
    {{- if regexMatch "^\\[.*\\]:[0-9]+$|^[0-9.]+:[0-9]+$" $address -}}
      {{- $port = regexFind "[0-9]+$" $address -}}
      {{- $address = regexReplaceAll ":[0-9]+$" $address "" -}}
    {{- end -}}
    {{- $servers = append $servers (printf "%s %v" (trimAll "[]" $address) $port) -}}
  {{- end -}}
{{- end -}}
{{- dict "servers" ($servers | uniq) | toJson -}}
{{- end -}}
