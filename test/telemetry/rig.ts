/** Telemetry whose lines go to a file and whose clock stands still. */
import { mkdtempSync, openSync, closeSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEvents, type Events } from '../../src/telemetry/events.ts';
import { createLogger, type Logger, type LogLevel } from '../../src/telemetry/logger.ts';
import { createMetrics, type SchemeMetrics } from '../../src/telemetry/metrics.ts';
import { createFakeClock, type FakeClock } from '../support/fake-clock.ts';

export const NOW_MS = 1_700_000_000_000;

export interface LogFile {
  readonly fd: number;
  text(): string;
  lines(): Record<string, unknown>[];
  remove(): void;
}

export function createLogFile(): LogFile {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-log-'));
  const path = join(folder, 'log');
  const fd = openSync(path, 'w');
  const text = () => readFileSync(path, 'utf8');
  return {
    fd,
    text,
    lines: () =>
      text()
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    remove() {
      closeSync(fd);
      rmSync(folder, { recursive: true });
    },
  };
}

export interface Rig {
  readonly events: Events;
  readonly logger: Logger;
  readonly clock: FakeClock;
  /** All lines written so far. */
  lines(): Promise<Record<string, unknown>[]>;
  text(): Promise<string>;
  /** Series of the exposition, by name and labels. */
  series(): Promise<Map<string, number>>;
  exposition(): Promise<string>;
  close(): Promise<void>;
}

export const SCHEMES: readonly SchemeMetrics[] = [
  {
    name: 'opaque-pop',
    counters: {},
    histograms: { opaque_job_seconds: { help: 'Jobs.', labels: { op: ['login_start'] }, buckets: [0.001, 0.01] } },
    gauges: { opaque_queue_depth: 'Jobs that wait.' },
  },
  { name: 'challenge-signature', counters: {} },
  {
    name: 'time-scrambled',
    counters: {
      time_scrambled_resyncs_total: {
        help: 'Resyncs.',
        labels: { profile: ['seed', 'strict'], outcome: ['behind', 'ahead'] },
      },
    },
  },
];

export function createRig(
  options: {
    level?: LogLevel;
    decisions?: 'all' | 'denials' | 'none';
    subjects?: 'hash' | 'plain';
    schemes?: readonly SchemeMetrics[];
    grpcCompat?: boolean;
  } = {},
): Rig {
  const file = createLogFile();
  const clock = createFakeClock(NOW_MS);
  const logger = createLogger({ clock, level: options.level ?? 'info', role: 'single', version: '1.2.3', fd: file.fd });
  const metrics = createMetrics({
    schemes: options.schemes ?? SCHEMES,
    build: { version: '1.2.3', commit: 'abc', node: 'v26' },
    role: 'single',
    grpcCompat: options.grpcCompat ?? false,
  });
  const { decisions = 'all', subjects = 'hash' } = options;
  const events = createEvents({ metrics, logger, clock, logging: { decisions, subjects } });
  const exposition = async () => (await events.exposition()).text;
  return {
    events,
    logger,
    clock,
    async lines() {
      await logger.flush(1000);
      return file.lines();
    },
    async text() {
      await logger.flush(1000);
      return file.text();
    },
    async series() {
      return new Map(
        seriesOf(await exposition()).map((line) => [
          line.slice(0, line.lastIndexOf(' ')),
          Number(line.slice(line.lastIndexOf(' ') + 1)),
        ]),
      );
    },
    exposition,
    async close() {
      await events.close();
      file.remove();
    },
  };
}

export function seriesOf(exposition: string): string[] {
  return exposition.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}
