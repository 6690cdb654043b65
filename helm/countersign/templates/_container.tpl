{{/* The container, its volumes and what must hold for every pod of ours: shared by Deployment, sidecar and test. */}}

{{- define "countersign.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "countersign.securityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
privileged: false
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/*
By processes, unless given: one, or a parent, the check workers and the issuer. 256Mi each, of which V8's heap takes 160 MB, and as much
again for the thread of OPAQUE.
*/}}
{{- define "countersign.resources" -}}
{{- $config := ternary dict (include "countersign.config" . | fromJson) (ne .Values.existingConfigMap "") -}}
{{- $opaque := ternary 1 0 (hasKey (get $config "schemes" | default dict) "opaque-pop") -}}
{{- $isSingle := or (eq .Values.mode "sidecar") (eq (dig "store" "type" "" $config) "memory") -}}
{{- if .Values.resources -}}
{{ toYaml .Values.resources }}
{{- else if eq (dig "process" "model" (ternary "single" "multi" $isSingle) $config) "single" -}}
requests:
  cpu: {{ add (ternary 50 1000 (eq .Values.mode "sidecar")) (mul $opaque 250) }}m
  memory: {{ add 128 (mul $opaque 128) }}Mi
limits:
  memory: {{ mul 256 (add 1 $opaque) }}Mi
{{- else -}}
{{- $workers := dig "process" "checkWorkers" 1 $config -}}
{{- if eq ($workers | toString) "auto" }}{{ fail "resources: expected resources beside process.checkWorkers: auto, which takes all cores of the node" }}{{ end -}}
requests:
  cpu: {{ add (mul $workers 1000) 250 }}m
  memory: {{ add (mul $workers 160) 224 (mul $opaque 128) }}Mi
limits:
  memory: {{ mul 256 (add $workers 2 $opaque) }}Mi
{{- end -}}
{{- end }}

{{- define "countersign.env" -}}
{{- with .Values.extraEnv }}
env:
{{ toYaml . }}
{{- end -}}
{{- end }}

{{/* In a pod of somebody else's the name must not be one that he has. */}}
{{- define "countersign.adminPortName" -}}
{{ ternary "countersign" "admin" (eq .Values.mode "sidecar") }}
{{- end }}

{{- define "countersign.probes" -}}
{{- $port := include "countersign.adminPortName" . -}}
startupProbe:
  httpGet: {path: /readyz, port: {{ $port }}}
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: {{ $port }}}
  periodSeconds: 10
  timeoutSeconds: 2
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /readyz, port: {{ $port }}}
  periodSeconds: 5
  timeoutSeconds: 2
  failureThreshold: 2
{{- end }}

{{- define "countersign.ports" -}}
{{- if ne .Values.mode "sidecar" }}
- {name: check, containerPort: {{ include "countersign.port" (list . "check") }}, protocol: TCP}
- {name: issuer, containerPort: {{ include "countersign.port" (list . "issuer") }}, protocol: TCP}
{{- end }}
- {name: {{ include "countersign.adminPortName" . }}, containerPort: {{ include "countersign.port" (list . "admin") }}, protocol: TCP}
{{- end }}

{{- define "countersign.volumeMounts" -}}
- {name: countersign-config, mountPath: /etc/countersign, readOnly: true}
- {name: countersign-run, mountPath: /run/countersign}
- {name: countersign-tmp, mountPath: /tmp}
{{- if .Values.keys.existingSecret }}
- {name: countersign-keys, mountPath: /run/secrets/countersign/keys, readOnly: true}
{{- else if .Values.keys.generate }}
- {name: countersign-keys, mountPath: /run/countersign-keys}
{{- end }}
{{- if .Values.admin.existingSecret }}
- {name: countersign-admin, mountPath: /run/secrets/countersign/admin, readOnly: true}
{{- end }}
{{- if .Values.redis.existingSecret }}
- {name: countersign-redis, mountPath: /run/secrets/countersign/redis, readOnly: true}
{{- end }}
{{- if include "countersign.tlsSecret" . }}
- {name: countersign-tls, mountPath: /run/secrets/countersign/tls, readOnly: true}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Secrets are readable by the group that fsGroup names, and by nobody else. */}}
{{- define "countersign.volumes" -}}
- name: countersign-config
  configMap: {name: {{ include "countersign.configMap" . }}, defaultMode: 292} # 0444
- name: countersign-run
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
- name: countersign-tmp
  emptyDir: {medium: Memory, sizeLimit: 16Mi}
{{- if .Values.keys.existingSecret }}
- name: countersign-keys
  secret: {secretName: {{ .Values.keys.existingSecret }}, defaultMode: 288} # 0440
{{- else if .Values.keys.generate }}
- name: countersign-keys
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
{{- end }}
{{- with .Values.admin.existingSecret }}
- name: countersign-admin
  secret: {secretName: {{ . }}, defaultMode: 288} # 0440
{{- end }}
{{- with .Values.redis.existingSecret }}
- name: countersign-redis
  secret: {secretName: {{ . }}, defaultMode: 288} # 0440
{{- end }}
{{- with (include "countersign.tlsSecret" .) }}
- name: countersign-tls
  secret: {secretName: {{ . }}, defaultMode: 288} # 0440
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Steps before the start: a ring for development, and the configuration checked with the very files that it names. */}}
{{- define "countersign.initContainers" -}}
{{- if .Values.keys.generate }}
{{- range .Values.keys.generateUses }}
- name: countersign-key-{{ . }}
  args: [keys, generate, --use, {{ . }}, {{ if eq . "token-signing" }}--alg, Ed25519, {{ end }}--ring, /run/countersign-keys/keyring.json]
{{- include "countersign.step" $ | nindent 2 }}
{{- end }}
{{- end }}
- name: countersign-validate
  args: [validate, --config, /etc/countersign/config.yaml]
{{- include "countersign.step" . | nindent 2 }}
{{- end }}

{{- define "countersign.step" -}}
image: {{ include "countersign.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
{{- include "countersign.securityContext" . | nindent 2 }}
resources:
  requests: {cpu: 50m, memory: 128Mi}
  limits: {memory: 256Mi}
{{- include "countersign.env" . }}
volumeMounts:
{{ include "countersign.volumeMounts" . | trim }}
{{- end }}

{{- define "countersign.container" -}}
name: countersign
image: {{ include "countersign.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [serve, --config, /etc/countersign/config.yaml]
securityContext:
{{- include "countersign.securityContext" . | nindent 2 }}
ports:
{{ include "countersign.ports" . | trim }}
{{- include "countersign.env" . }}
{{ include "countersign.probes" . }}
resources:
{{- include "countersign.resources" . | nindent 2 }}
volumeMounts:
{{ include "countersign.volumeMounts" . | trim }}
{{- end }}
