/** Metrics and log of one process of the service, by its role. */
import type { Config } from '../config/schema.ts';
import { systemClock as clock } from '../core/clock.ts';
import { schemes } from '../schemes/index.ts';
import { createEvents, type Events } from '../telemetry/events.ts';
import { createLogger } from '../telemetry/logger.ts';
import { createMetrics } from '../telemetry/metrics.ts';
import { COMMIT, VERSION } from '../version.ts';

export function openEvents(role: 'single' | 'supervisor' | 'check' | 'issuer', { log, metrics }: Config): Events {
  const logger = createLogger({ clock, level: log.level, role, version: VERSION });
  const build = { version: VERSION, commit: COMMIT, node: process.version };
  return createEvents({
    metrics: createMetrics({ schemes, build, role, grpcCompat: metrics.grpcCompat }),
    logger,
    clock,
    logging: log,
  });
}
