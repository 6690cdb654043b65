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

{{/* By mode and workers, unless given. Memory: 256Mi a process, of which V8's heap takes 160 MB. */}}
{{- define "countersign.resources" -}}
{{- if .Values.resources -}}
{{ toYaml .Values.resources }}
{{- else if eq .Values.mode "sidecar" -}}
requests: {cpu: 50m, memory: 128Mi}
limits: {memory: 256Mi}
{{- else -}}
{{- $config := ternary dict (include "countersign.config" . | fromJson) (ne .Values.existingConfigMap "") -}}
{{- $workers := dig "process" "checkWorkers" 1 $config -}}
{{- $workers = ternary 2 ($workers | int) (eq ($workers | toString) "auto") -}}
{{- $hasOpaque := hasKey (get $config "schemes" | default dict) "opaque-pop" -}}
{{- $more := ternary 1 0 (or $hasOpaque (gt $workers 1)) -}}
requests:
  cpu: {{ add (mul $workers 1000) (mul $more 250) }}m
  memory: {{ add (mul $workers 160) (mul $more 128) }}Mi
limits:
  memory: {{ mul (add $workers $more) 256 }}Mi
{{- end -}}
{{- end }}

{{- define "countersign.env" -}}
{{- with .Values.extraEnv }}
env:
{{ toYaml . }}
{{- end -}}
{{- end }}

{{- define "countersign.probes" -}}
startupProbe:
  httpGet: {path: /readyz, port: admin}
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: admin}
  periodSeconds: 10
  timeoutSeconds: 2
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /readyz, port: admin}
  periodSeconds: 5
  timeoutSeconds: 2
  failureThreshold: 2
{{- end }}

{{- define "countersign.ports" -}}
{{- if ne .Values.mode "sidecar" }}
- {name: check, containerPort: {{ include "countersign.port" (list . "check") }}, protocol: TCP}
- {name: issuer, containerPort: {{ include "countersign.port" (list . "issuer") }}, protocol: TCP}
{{- end }}
- {name: admin, containerPort: {{ include "countersign.port" (list . "admin") }}, protocol: TCP}
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
  configMap: {name: {{ include "countersign.configMap" . }}, defaultMode: 0444}
- name: countersign-run
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
- name: countersign-tmp
  emptyDir: {medium: Memory, sizeLimit: 16Mi}
{{- if .Values.keys.existingSecret }}
- name: countersign-keys
  secret: {secretName: {{ .Values.keys.existingSecret }}, defaultMode: 0440}
{{- else if .Values.keys.generate }}
- name: countersign-keys
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
{{- end }}
{{- with .Values.admin.existingSecret }}
- name: countersign-admin
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- with .Values.redis.existingSecret }}
- name: countersign-redis
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- with (include "countersign.tlsSecret" .) }}
- name: countersign-tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
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
  args: [keys, generate, --use, {{ . }}, --ring, /run/countersign-keys/keyring.json]
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
