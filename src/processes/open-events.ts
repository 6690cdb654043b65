/** Metrics and log of one process of the service, by its role. */
import type { LoadOptions } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { systemClock as clock } from '../core/clock.ts';
import { randomBytes } from '../crypto/random.ts';
import { schemes } from '../schemes/index.ts';
import { createEvents, type Events } from '../telemetry/events.ts';
import { createLogger } from '../telemetry/logger.ts';
import { createMetrics } from '../telemetry/metrics.ts';
import { createExporter } from '../telemetry/otlp.ts';
import { createTracer } from '../telemetry/tracing.ts';
import { COMMIT, VERSION } from '../version.ts';

/** @param env for `OTEL_*`, which say where traces go. */
export function openEvents(
  role: 'single' | 'supervisor' | 'check' | 'issuer',
  { log, metrics }: Config,
  env: LoadOptions['env'],
): Events {
  const logger = createLogger({ clock, level: log.level, role, version: VERSION });
  const build = { version: VERSION, commit: COMMIT, node: process.version };
  const exporter = createExporter(env, VERSION);
  return createEvents({
    metrics: createMetrics({ schemes, build, role, grpcCompat: metrics.grpcCompat }),
    logger,
    clock,
    logging: log,
    tracer: createTracer({ clock, random: randomBytes, send: (spans) => exporter.send(spans) }),
    closeTracing: (withinMs) => exporter.close(withinMs),
  });
}
