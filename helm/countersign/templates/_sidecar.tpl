{{/*
For charts that have this one as a dependency, with mode: sidecar in its values:

  spec:
    securityContext: {fsGroup: 10001}        # what proxy and countersign have in common: the socket has mode 0660
    initContainers:
    {{- include "countersign.sidecar.container" .Subcharts.countersign | nindent 4 }}
    containers:
    - name: envoy
      volumeMounts:
      - {name: countersign-run, mountPath: /run/countersign}
    volumes:
    {{- include "countersign.sidecar.volumes" .Subcharts.countersign | nindent 4 }}

A native sidecar: it is ready before proxy and application start, and ends after them.
*/}}
{{- define "countersign.sidecar.container" -}}
{{ include "countersign.initContainers" . | trim }}
- {{ include "countersign.container" . | nindent 2 | trim }}
  restartPolicy: Always
{{- end }}

{{- define "countersign.sidecar.volumes" -}}
{{ include "countersign.volumes" . }}
{{- end }}
