{{/*
The configuration in force: what the chart decides, overwritten by .Values.config. As JSON, for fromJson.
*/}}
{{- define "countersign.config" -}}
{{- $secrets := "/run/secrets/countersign" -}}
{{- $isSidecar := eq .Values.mode "sidecar" -}}
{{- $check := dict "address" (ternary "unix:/run/countersign/check.sock" "0.0.0.0:9001" $isSidecar) -}}
{{- if include "countersign.tlsSecret" . -}}
{{- $dir := printf "%s/tls" $secrets -}}
{{- $_ := set $check "tls" (dict "certFile" (printf "%s/tls.crt" $dir) "keyFile" (printf "%s/tls.key" $dir) "clientCaFile" (printf "%s/ca.crt" $dir) "allowedSans" .Values.tls.allowedSans) -}}
{{- end -}}
{{- $admin := dict "address" "0.0.0.0:9090" -}}
{{- if .Values.admin.existingSecret -}}
{{- $_ := set $admin "tokenFile" (printf "%s/admin/token" $secrets) -}}
{{- end -}}
{{- /* Clients come through Envoy, which writes their address: without it all of them would share one rate limit. */ -}}
{{- $listeners := dict "check" $check "issuer" (dict "address" (ternary "127.0.0.1:8080" "0.0.0.0:8080" $isSidecar) "trustedHops" 1) "admin" $admin -}}
{{- $base := dict "version" 1 "deployment" .Values.mode "listeners" $listeners -}}
{{- /* Not as many as the node has cores: pods scale out by replicas. */ -}}
{{- if and (not $isSidecar) (ne (dig "store" "type" "" .Values.config) "memory") -}}
{{- $_ := set $base "process" (dict "checkWorkers" 1) -}}
{{- end -}}
{{- if .Values.keys.existingSecret -}}
{{- $_ := set $base "keys" (dict "ringFile" (printf "%s/keys/keyring.json" $secrets)) -}}
{{- else if .Values.keys.generate -}}
{{- $_ := set $base "keys" (dict "ringFile" "/run/countersign-keys/keyring.json") -}}
{{- end -}}
{{- if .Values.redis.existingSecret -}}
{{- $dir := printf "%s/redis" $secrets -}}
{{- $redis := dict -}}
{{- $tls := dict -}}
{{- with .Values.redis.secretKeys -}}
{{- if .username }}{{ $_ := set $redis "usernameFile" (printf "%s/%s" $dir .username) }}{{ end -}}
{{- if .password }}{{ $_ := set $redis "passwordFile" (printf "%s/%s" $dir .password) }}{{ end -}}
{{- if .sentinelUsername }}{{ $_ := set $redis "sentinelUsernameFile" (printf "%s/%s" $dir .sentinelUsername) }}{{ end -}}
{{- if .sentinelPassword }}{{ $_ := set $redis "sentinelPasswordFile" (printf "%s/%s" $dir .sentinelPassword) }}{{ end -}}
{{- if .ca }}{{ $_ := set $tls "caFile" (printf "%s/%s" $dir .ca) }}{{ end -}}
{{- if .clientCert }}{{ $_ := set $tls "certFile" (printf "%s/%s" $dir .clientCert) }}{{ end -}}
{{- if .clientKey }}{{ $_ := set $tls "keyFile" (printf "%s/%s" $dir .clientKey) }}{{ end -}}
{{- end -}}
{{- if $tls }}{{ $_ := set $redis "tls" $tls }}{{ end -}}
{{- $_ := set $base "store" (dict "redis" $redis) -}}
{{- end -}}
{{- mustMergeOverwrite $base (deepCopy .Values.config) | toJson -}}
{{- end }}

{{/*
What of it only a restart can change: the same keys as in the reference's column R. Its hash is a pod annotation, so that a change of
these rolls the pods and a change of the rest is left to the reload.
*/}}
{{- define "countersign.restartConfig" -}}
{{- $config := include "countersign.config" . | fromJson -}}
{{- $listeners := get $config "listeners" -}}
{{- $kept := dict
  "check" (get $listeners "check")
  "issuer" (omit (get $listeners "issuer") "trustedHops" "bodyBytes" "cors")
  "admin" (omit (get $listeners "admin") "tokenFile")
-}}
{{- dict
  "listeners" $kept
  "process" (pick (get $config "process" | default dict) "model" "checkWorkers" "opaqueWorkers" "verify")
  "store" (get $config "store" | default dict)
  "clock" (get $config "clock" | default dict)
  "grpcCompat" (dig "metrics" "grpcCompat" false $config)
  "freshMemoryStore" (dig "insecure" "freshMemoryStore" false $config)
| toJson -}}
{{- end }}

{{/* Port of a listener; give (list $ "check"). */}}
{{- define "countersign.port" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- if $root.Values.existingConfigMap -}}
{{ get (dict "check" 9001 "issuer" 8080 "admin" 9090) $name }}
{{- else -}}
{{- $address := dig "listeners" $name "address" "" (include "countersign.config" $root | fromJson) -}}
{{ regexFind "[0-9]+$" $address }}
{{- end -}}
{{- end }}

{{/* Whole seconds of a duration such as 500ms, 5s, 1m. */}}
{{- define "countersign.seconds" -}}
{{- $number := regexFind "^[0-9]+" . | int -}}
{{- if hasSuffix "ms" . -}}{{ divf $number 1000 | ceil }}{{- else if hasSuffix "m" . -}}{{ mul $number 60 }}{{- else -}}{{ $number }}{{- end -}}
{{- end }}

{{/* At least the drain and 10 s; of a file we don't see, the longest drain there is. */}}
{{- define "countersign.graceSeconds" -}}
{{- if .Values.existingConfigMap -}}
130
{{- else -}}
{{- $process := get (include "countersign.config" . | fromJson) "process" | default dict -}}
{{- $delay := get $process "drainDelay" | default (ternary "0s" "5s" (eq .Values.mode "sidecar")) -}}
{{- $drain := get $process "drainTimeout" | default "8s" -}}
{{ max 30 (add (include "countersign.seconds" $delay) (include "countersign.seconds" $drain) 10) }}
{{- end -}}
{{- end }}
