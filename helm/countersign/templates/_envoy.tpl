{{/* What Envoy needs, from the recipe in files/envoy.yaml; printed by NOTES.txt and run by the test pod. */}}

{{- define "countersign.envoy.filter" -}}
{{- $config := .Files.Get "files/envoy.yaml" | fromYaml -}}
{{- $listener := index $config.static_resources.listeners 0 -}}
{{- $manager := (index (index $listener.filter_chains 0).filters 0).typed_config -}}
{{- $filter := index $manager.http_filters 0 -}}
{{- if not .Values.existingConfigMap -}}
{{- $settings := get (include "countersign.config" . | fromJson) "envoy" | default dict -}}
{{- with (get $settings "maxRequestBytes") -}}
{{- $_ := set $filter.typed_config.with_request_body "max_request_bytes" (include "countersign.bytes" . | int) -}}
{{- end -}}
{{- with (get $settings "identityPrefix") -}}
{{- $expression := $filter.typed_config.decoder_header_mutation_rules.allow_expression -}}
{{- $_ := set $expression "regex" ($expression.regex | replace "x[-_]auth[-_].*" (printf "%s.*" (. | replace "-" "[-_]"))) -}}
{{- end -}}
{{- end -}}
{{- list $filter | toYaml -}}
{{- end }}

{{/* Bytes of a size such as 1048576, 64KiB, 1MiB. */}}
{{- define "countersign.bytes" -}}
{{- $text := ternary (printf "%d" (. | int)) (toString .) (kindIs "float64" .) -}}
{{- $number := regexFind "^[0-9]+" $text | int -}}
{{- if hasSuffix "MiB" $text -}}{{ mul $number 1048576 }}{{- else if hasSuffix "KiB" $text -}}{{ mul $number 1024 }}{{- else -}}{{ $number }}{{- end -}}
{{- end }}

{{/* The clusters of the release: over the pod's socket, or over the network. */}}
{{- define "countersign.envoy.clusters" -}}
{{- $name := include "countersign.fullname" . -}}
{{- $host := printf "%s.%s.svc.cluster.local" $name .Release.Namespace -}}
{{- $config := ternary dict (include "countersign.config" . | fromJson) (ne .Values.existingConfigMap "") -}}
- name: countersign
  type: {{ ternary "STATIC" "STRICT_DNS" (eq .Values.mode "sidecar") }}
  connect_timeout: 0.25s
  {{- if ne .Values.mode "sidecar" }}
  dns_lookup_family: V4_PREFERRED
  {{- if include "countersign.tlsSecret" . }}
  transport_socket:
    name: envoy.transport_sockets.tls
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
      sni: {{ $host }}
      common_tls_context:
        alpn_protocols: [h2]
        tls_params: {tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: TLSv1_3}
        tls_certificates:
        - certificate_chain: {filename: /etc/envoy/tls/tls.crt}
          private_key: {filename: /etc/envoy/tls/tls.key}
        validation_context:
          trusted_ca: {filename: /etc/envoy/tls/ca.crt}
          match_typed_subject_alt_names:
          - san_type: DNS
            matcher: {exact: {{ $host }}}
  {{- end }}
  upstream_connection_options: {tcp_keepalive: {keepalive_time: 30, keepalive_interval: 5, keepalive_probes: 3}}
  common_lb_config: {healthy_panic_threshold: {value: 0}}
  health_checks:
  - timeout: 0.5s
    interval: 2s
    unhealthy_threshold: 2
    healthy_threshold: 1
    grpc_health_check: {service_name: envoy.service.auth.v3.Authorization}
  {{- end }}
  typed_extension_protocol_options:
    envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
      "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
      explicit_http_config:
        http2_protocol_options:
          max_concurrent_streams: 1024
          connection_keepalive: {interval: 30s, timeout: 5s}
  circuit_breakers:
    thresholds:
    - {max_connections: 1024, max_pending_requests: 8192, max_requests: 8192, max_retries: 64, track_remaining: true}
  load_assignment:
    cluster_name: countersign
    endpoints:
    - lb_endpoints:
      {{- if eq .Values.mode "sidecar" }}
      - endpoint: {address: {{ include "countersign.envoy.address" (dig "listeners" "check" "address" "127.0.0.1:9001" $config) }}}
      {{- else }}
      - endpoint: {address: {socket_address: {address: {{ $host }}, port_value: {{ include "countersign.port" (list . "check") }}}}}
      {{- end }}
- name: countersign_issuer
  type: {{ ternary "STATIC" "STRICT_DNS" (eq .Values.mode "sidecar") }}
  connect_timeout: 0.25s
  load_assignment:
    cluster_name: countersign_issuer
    endpoints:
    - lb_endpoints:
      {{- if eq .Values.mode "sidecar" }}
      - endpoint: {address: {{ include "countersign.envoy.address" (dig "listeners" "issuer" "address" "127.0.0.1:8080" $config) }}}
      {{- else }}
      - endpoint: {address: {socket_address: {address: {{ $name }}-issuer.{{ .Release.Namespace }}.svc.cluster.local, port_value: {{ include "countersign.port" (list . "issuer") }}}}}
      {{- end }}
{{- end }}

{{- define "countersign.envoy.address" -}}
{{- if hasPrefix "unix:" . -}}
{pipe: {path: {{ trimPrefix "unix:" . }}}}
{{- else -}}
{socket_address: {address: {{ regexReplaceAll ":[0-9]+$" . "" | quote }}, port_value: {{ regexFind "[0-9]+$" . }}}}
{{- end -}}
{{- end }}

{{/* The recipe whole, over the socket, with an upstream that only says 200: for the test pod. */}}
{{- define "countersign.envoy.test" -}}
{{- $config := .Files.Get "files/envoy.yaml" | fromYaml -}}
{{- $listener := index $config.static_resources.listeners 0 -}}
{{- $manager := (index (index $listener.filter_chains 0).filters 0).typed_config -}}
{{- $host := index $manager.route_config.virtual_hosts 0 -}}
{{- $_ := set $host "domains" (list "*") -}}
{{- range $route := $host.routes -}}
{{- if eq (dig "route" "cluster" "" $route) "backend" -}}
{{- $_ := unset $route "route" -}}
{{- $_ := set $route "direct_response" (dict "status" 200 "body" (dict "inline_string" "reached\n")) -}}
{{- end -}}
{{- end -}}
{{- $clusters := list -}}
{{- range $cluster := $config.static_resources.clusters -}}
{{- if ne $cluster.name "backend" }}{{ $clusters = append $clusters $cluster }}{{ end -}}
{{- end -}}
{{- $_ := set $config.static_resources "clusters" $clusters -}}
{{- toYaml $config -}}
{{- end }}
