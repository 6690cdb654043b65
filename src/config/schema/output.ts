/** `readiness.*`, `log.*`, `metrics.*`, `tracing.*` and `insecure.*`: what countersign tells, and what an operator has waived. */
import * as v from 'valibot';
import { choice, flag, integer, setting } from './fields.ts';

export const readiness = v.strictObject({
  requireStore: setting(
    flag(),
    false,
    'Whether a store that has been bad for 10 s makes the process unready. True with `deployment: standalone`; in an application pod it would take the application out of rotation.',
  ),
});

export const log = v.strictObject({
  level: setting(
    choice('error', 'warn', 'info', 'debug'),
    'info',
    'Least level that is written. `debug` adds the path, without query, to denials.',
  ),
  decisions: setting(choice('all', 'denials', 'none'), 'denials', 'Which decisions get a line each.'),
  subjects: setting(choice('hash', 'plain'), 'hash', 'Whether users are named by a hash or in clear.'),
});

export const metrics = v.strictObject({
  maxRoutes: setting(
    integer(1, 200),
    32,
    'Routes with a label of their own, in the order of the file; further ones share `other`.',
  ),
  grpcCompat: setting(
    flag(),
    false,
    'Adds `grpc_server_handled_total` and `grpc_server_handling_seconds` for Checks, under the names that dashboards of gRPC servers know.',
  ),
});

export const tracing = v.strictObject({
  enabled: setting(
    flag(),
    false,
    'Whether spans of Checks and issuer calls are sent to an OpenTelemetry collector, by OTLP over HTTP as JSON. `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say where to and as whom.',
  ),
  sampleRatio: setting(
    v.pipe(
      v.number('a number from 0 to 1'),
      v.minValue(0, 'a number from 0 to 1'),
      v.maxValue(1, 'a number from 0 to 1'),
    ),
    0.01,
    'Share of the traces that begin here. A request that brings a `traceparent` is traced as that says.',
  ),
});

/** Each that is true prints a warning at start and shows in `countersign_insecure_setting`. */
export const insecure = v.strictObject({
  plaintextCheck: setting(
    flag(),
    false,
    'Checks in plaintext off loopback: whoever reaches the port can ask and spend one-time values.',
  ),
  plaintextRedis: setting(
    flag(),
    false,
    'Redis in plaintext off loopback: whoever is on the way reads and alters replay state and users.',
  ),
  inlineSecrets: setting(flag(), false, 'Allows `store.redis.password` in the file.'),
  allowShadow: setting(flag(), false, 'Allows `mode: shadow`: such routes let every request pass.'),
  anyOrigin: setting(flag(), false, 'Routes without `publicOrigins`: scheme and host are then what the client says.'),
  freshMemoryStore: setting(
    flag(),
    false,
    'The memory store trusts proofs made before the start. Only where every key is new, or what was spent before the restart passes again.',
  ),
  wideAdmin: setting(flag(), false, 'The admin API off loopback, in plaintext.'),
});

export type InsecureSettings = v.InferOutput<typeof insecure>;
