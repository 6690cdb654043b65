/** Values that are told only when somebody scrapes: the last known of each, set by events. */
import type { Clock } from '../core/clock.ts';
import { KEY_USES, type KeyState, type KeyUse } from '../core/keyring.ts';
import type { StoreState } from '../core/store.ts';
import type { InsecureSetting, Metrics } from './metrics.ts';
import type { Row } from './series.ts';

/** Public part of a ring key. */
export interface KeyFact {
  readonly use: KeyUse;
  readonly state: KeyState;
  /** Unix ms; null when it was active from the start. */
  readonly activateAtMs: number | null;
  /** Unix ms. */
  readonly createdAtMs?: number;
}

export interface Live {
  checksInFlight: (() => number) | undefined;
  memoryStoreEntries: (() => number) | undefined;
  /** Since it was last called. */
  loopDelay: (() => DelayQuantiles) | undefined;
  caches: Readonly<Record<string, () => number>>;
  /** Of the process that holds the listeners: a row per state. */
  workers: (() => readonly Row[]) | undefined;
  keys: readonly KeyFact[];
  proxyClockOffsetMs: number | undefined;
  storeClockOffsetMs: number | undefined;
  storeState: StoreState | undefined;
  horizonMs: number | undefined;
  insecureSettings: readonly InsecureSetting[];
  /** 12 hex characters; empty before the configuration is known. */
  configHash: string;
  lastReloadSucceeded: boolean;
  lastReloadMs: number;
}

/** Delay of the event loop beyond its timers. */
export interface DelayQuantiles {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export function registerReadings({ reading, table, role }: Metrics, clock: Clock, droppedLines: () => number): Live {
  const live: Live = {
    checksInFlight: undefined,
    memoryStoreEntries: undefined,
    loopDelay: undefined,
    caches: {},
    workers: undefined,
    keys: [],
    proxyClockOffsetMs: undefined,
    storeClockOffsetMs: undefined,
    storeState: undefined,
    horizonMs: undefined,
    insecureSettings: [],
    configHash: '',
    lastReloadSucceeded: true,
    lastReloadMs: clock.nowMs(),
  };
  reading('checks_in_flight', 'Checks being judged.', () => live.checksInFlight?.());
  reading('proxy_clock_offset_seconds', "The proxy's clock minus ours.", () => seconds(live.proxyClockOffsetMs), 'max');
  reading('store_clock_offset_seconds', "The store's clock minus ours.", () => seconds(live.storeClockOffsetMs), 'max');
  reading(
    'store_horizon_timestamp_seconds',
    'Proofs made before are refused, unix time.',
    () => seconds(live.horizonMs),
    'max',
  );
  reading('memory_store_entries', 'Records of the memory store.', () => live.memoryStoreEntries?.());
  reading(
    'config_last_reload_success',
    '0 when the last reload was refused.',
    () => (live.lastReloadSucceeded ? 1 : 0),
    'first',
  );
  reading(
    'config_last_reload_timestamp_seconds',
    'When the configuration was last read, unix time.',
    () => seconds(live.lastReloadMs),
    'first',
  );
  reading('log_lines_dropped_total', 'Lines that a slow reader did not get.', droppedLines, 'counter');
  table('config_info', 'Always 1.', ['hash'], () => (live.configHash === '' ? [] : [[[live.configHash], 1]]), 'first');
  table('cache_entries', 'Entries of a cache.', ['cache'], () =>
    Object.entries(live.caches).map(([cache, entries]) => [[cache], entries()]),
  );
  table(
    'insecure_setting',
    '1 for each insecure setting that is on.',
    ['name'],
    () => live.insecureSettings.map((name) => [[name], 1]),
    'max',
  );
  table('keys', 'Keys of the ring.', ['use', 'state'], () => keyRows(live.keys), 'max');
  table(
    'key_active_age_seconds',
    'How long the active key has been active.',
    ['use'],
    () => keyAgeRows(live.keys, clock.nowMs()),
    'max',
  );
  table(
    'event_loop_delay_seconds',
    'Delay of the event loop beyond its timers.',
    ['quantile', 'role'],
    () => delayRows(live.loopDelay?.(), role),
    'max',
  );
  table('workers', 'Processes that answer Checks.', ['state'], () => live.workers?.() ?? []);
  return live;
}

function seconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1000;
}

function keyRows(keys: readonly KeyFact[]): Row[] {
  const counted = new Map<string, [KeyFact, number]>();
  for (const key of keys) {
    const id = `${key.use} ${key.state}`;
    counted.set(id, [key, (counted.get(id)?.[1] ?? 0) + 1]);
  }
  return [...counted.values()].map(([{ use, state }, count]) => [[use, state], count]);
}

function keyAgeRows(keys: readonly KeyFact[], nowMs: number): Row[] {
  return KEY_USES.flatMap((use): Row[] => {
    const active = keys.find((key) => key.use === use && key.state === 'active');
    const sinceMs = active?.activateAtMs ?? active?.createdAtMs;
    return sinceMs === undefined ? [] : [[[use], (nowMs - sinceMs) / 1000]];
  });
}

function delayRows(delay: DelayQuantiles | undefined, role: string): Row[] {
  if (delay === undefined) return [];
  return [
    [['0.5', role], delay.p50Ms / 1000],
    [['0.99', role], delay.p99Ms / 1000],
    [['1', role], delay.maxMs / 1000],
  ];
}
