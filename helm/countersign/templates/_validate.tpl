{{/* What would start and then not work, or work and not be safe, ends the rendering with one line. */}}
{{- define "countersign.validate" -}}
{{- if not .Values.existingConfigMap -}}
{{- $config := include "countersign.config" . | fromJson -}}
{{- range $key := list "store" "schemes" "routes" -}}
{{- if not (get $.Values.config $key) -}}
{{- fail (printf "config.%s: expected the configuration of countersign, got nothing (or set existingConfigMap); helm/countersign/ci has examples" $key) -}}
{{- end -}}
{{- end -}}
{{- if eq (dig "store" "type" "" $config) "memory" -}}
{{- if and (eq .Values.mode "standalone") (or (gt (int .Values.replicaCount) 1) .Values.autoscaling.enabled) -}}
{{- fail "config.store.type: expected redis with replicaCount above 1 or autoscaling: each process has a memory of its own and would accept the same proof once" -}}
{{- end -}}
{{- end -}}
{{- $check := get (get $config "listeners") "check" -}}
{{- if contains "{worker}" (get $check "address") -}}
{{- fail "config.listeners.check.address: expected one address: a Service has one port, and Envoy balances over pods" -}}
{{- end -}}
{{- $insecure := get $config "insecure" | default dict -}}
{{- if and (eq .Values.mode "standalone") (not (hasKey $check "tls")) (not (get $check "meshTls")) (not (get $insecure "plaintextCheck")) -}}
{{- fail "the check listener is reached over the network: expected tls.existingSecret or certManager.enabled, or config.listeners.check.meshTls where a mesh does mutual TLS (config.insecure.plaintextCheck waives it)" -}}
{{- end -}}
{{- if and .Values.admin.existingSecret (not (get $insecure "wideAdmin")) -}}
{{- fail "admin.existingSecret: the admin API would be served in plaintext on the pod's address: expected config.insecure.wideAdmin: true beside it" -}}
{{- end -}}
{{- end -}}
{{- if and (include "countersign.tlsSecret" .) (not .Values.tls.allowedSans) -}}
{{- fail "tls.allowedSans: expected at least one subject alternative name of Envoy's certificate" -}}
{{- end -}}
{{- if and .Values.certManager.enabled (or (not .Values.certManager.issuerRef.name) .Values.tls.existingSecret) -}}
{{- fail "certManager.enabled: expected certManager.issuerRef.name, and no tls.existingSecret" -}}
{{- end -}}
{{- if .Values.keys.generate -}}
{{- if .Values.keys.existingSecret -}}
{{- fail "keys.generate: expected either keys.existingSecret or keys.generate" -}}
{{- end -}}
{{- if and (eq .Values.mode "standalone") (or (gt (int .Values.replicaCount) 1) .Values.autoscaling.enabled) -}}
{{- fail "keys.generate: expected replicaCount 1 without autoscaling: each pod makes a ring of its own" -}}
{{- end -}}
{{- end -}}
{{- if and (eq .Values.mode "standalone") (ne .Values.sidecar.injection "none") -}}
{{- fail "sidecar.injection: expected none with mode standalone" -}}
{{- end -}}
{{- end }}
