/** OP-12: Checks that real Envoys asked are explained by the verdict that they had, and explaining consumes nothing. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { devNull, tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { explain } from '../src/explain.ts';
import { loadConfig, type Loaded } from '../src/config/load.ts';
import { systemClock } from '../src/core/clock.ts';
import { createSignatures } from '../src/crypto/signatures.ts';
import { decodeCheck } from '../src/envoy/decode-request.ts';
import { buildGraph } from '../src/graph.ts';
import { schemes } from '../src/schemes/index.ts';
import { createMemoryStore } from '../src/store/memory.ts';
import { createEvents } from '../src/telemetry/events.ts';
import { createLogger } from '../src/telemetry/logger.ts';
import { createMetrics } from '../src/telemetry/metrics.ts';
import { readRecording, RECORDED, type Recording } from './envoy/corpus.ts';
import { createFakeClock } from './support/fake-clock.ts';
import { quietObserver } from './support/quiet-observer.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cs-explain-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function configFor({ authority, publicJwk, ring, maxRequestBytes }: Recording): Loaded {
  const write = (name: string, value: unknown) => {
    writeFileSync(join(folder, name), typeof value === 'string' ? value : JSON.stringify(value), { mode: 0o600 });
    return join(folder, name);
  };
  const route = { schemes: ['challenge-signature'], publicOrigins: [`http://${authority}`] };
  const alice = { user: 'alice', attributes: { role: 'admin' }, keys: [{ kid: 'k1', jwk: publicJwk }] };
  const text = stringify({
    version: 1,
    store: { type: 'memory' },
    insecure: { freshMemoryStore: true },
    envoy: { maxRequestBytes },
    keys: { ringFile: write('ring.json', ring) },
    directory: { file: write('users.json', { users: [alice] }) },
    schemes: { 'challenge-signature': { challenges: 'stateless', inBand: false } },
    routes: { api: route, feed: { ...route, body: 'none' } },
  });
  return loadConfig({ file: write('countersign.yaml', text), env: {}, schemes });
}

describe.each(RECORDED)('Envoy %s', (envoy) => {
  const { recording, messages } = readRecording(envoy);
  const { checks } = recording;

  test('explain gives the recorded verdict of every Check, before and after it was judged, and spends none', async () => {
    const loaded = configFor(recording);
    const clock = createFakeClock((checks[0]?.receivedAtMs ?? 0) - 1000);
    const store = createMemoryStore({ clock, skewMs: 5000, maxEntries: 1000, fresh: true, observer: quietObserver });
    const logger = createLogger({
      clock: systemClock,
      level: 'error',
      role: 'test',
      version: '',
      fd: openSync(devNull, 'w'),
    });
    const metrics = createMetrics({ schemes, build: { version: '', commit: '', node: '' }, role: 'test' });
    const events = createEvents({ metrics, logger, clock: systemClock, logging: loaded.config.log });
    const parts = { loaded, previous: undefined, store, signatures: createSignatures({ mode: 'sync' }), events };
    const graph = await buildGraph({ ...parts, adminFacts: {} as never });
    const explained: string[] = [];
    const judged: string[] = [];
    for (const [index, message] of messages.entries()) {
      const atMs = checks[index]?.receivedAtMs ?? 0;
      clock.advance(Math.max(0, atMs - clock.nowMs()));
      explained.push((await explain({ loaded, message, atMs, store, clock: systemClock })).verdict);
      const open = () => decodeCheck(message, atMs, loaded.config.envoy);
      const { decision } = await graph.authenticate(open, { budgetMs: 5000, cancelled: { aborted: false } });
      judged.push(decision.outcome === 'deny' ? decision.denial.code : decision.outcome);
      // A Check that was allowed is its own retry, which passes again.
      expect((await explain({ loaded, message, atMs, store, clock: systemClock })).verdict).toBe(judged.at(-1));
    }
    graph.close();
    await events.close();
    const recorded = checks.map(({ verdict }) => (verdict.startsWith('allow') ? 'allow' : verdict.split(' ')[1]));
    expect(explained).toEqual(recorded);
    expect(judged).toEqual(recorded);
  }, 60_000);

  test('the steps name route, body and scheme, and no credential', async () => {
    const loaded = configFor(recording);
    const [first] = checks;
    const store = createMemoryStore({
      clock: systemClock,
      skewMs: 5000,
      maxEntries: 10,
      fresh: true,
      observer: quietObserver,
    });
    const told = await explain({
      loaded,
      message: messages[0] ?? new Uint8Array(0),
      atMs: first?.receivedAtMs,
      store,
      clock: systemClock,
    });
    expect(told.steps.map(({ step }) => step)).toEqual([
      'check',
      'route',
      'request',
      'body',
      'scheme challenge-signature',
    ]);
    expect(JSON.stringify(told)).not.toMatch(/sig=|ch=|ChallengeSignature /);
  });
});
