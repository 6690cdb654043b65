/** Every case of `time-scrambled.json`: chains, pads, lanes, windows, verdicts with what they change and answer. */
import { describe, expect, test } from '@jest/globals';
import { Denial } from '../../src/core/decision.ts';
import type { RingKey } from '../../src/core/keyring.ts';
import type { RoutePolicy } from '../../src/core/request.ts';
import type { Scheme } from '../../src/core/scheme.ts';
import type { Key } from '../../src/core/store.ts';
import { hkdfSha512, sha512 } from '../../src/crypto/digest.ts';
import { seal } from '../../src/crypto/seal.ts';
import { toHex } from '../../src/encoding/bytes.ts';
import { timeScrambled } from '../../src/schemes/time-scrambled/index.ts';
import { bindKeyInfo, laneInfo, padKeyInfo } from '../../src/schemes/time-scrambled/message.ts';
import { candidates, parityOf, windowOf } from '../../src/schemes/time-scrambled/message-window.ts';
import { keyedScrambling, seedScrambling } from '../../src/schemes/time-scrambled/scrambling.ts';
import { hex } from '../support/bytes.ts';
import { sharedKey, type VectorWorld, vectorWorld, verdictOf, type VerifyCase } from '../support/vector-world.ts';
import vectors from './time-scrambled.json' with { type: 'json' };

interface JudgedCase extends Omit<VerifyCase, 'settings'> {
  readonly settings: Readonly<Record<string, unknown>>;
  readonly pepper_hex: string;
}
interface Wanted {
  readonly verdict: string;
  readonly effect?: { readonly verb: string; readonly key: string; readonly next: object | 'unchanged' };
  readonly reply?: Readonly<Record<string, string | number>>;
}

const SKEW_MS = 5_000;
const WRAP = sharedKey('wrap', '09'.repeat(32));

const cases = vectors.cases as unknown as readonly { name: string; input: { op: string }; expect: object }[];
const of = <Input, Expected = Wanted>(op: string) =>
  cases
    .filter(({ input }) => input.op === op)
    .map(({ name, input, expect: wanted }) => [name, input as unknown as Input, wanted as Expected] as const);

test('the file has the 82 cases of its specification; those of clients are judged with the client', () => {
  expect(cases).toHaveLength(82);
  expect(['chain', 'pad', 'lane', 'window', 'verify', 'client-resync'].flatMap((op) => of(op))).toHaveLength(82);
});

function hashed(secret: Uint8Array, times: number): string {
  let link = secret;
  for (let links = 0; links < times; links += 1) link = sha512(link);
  return toHex(link);
}

test.each(of<{ k_hex: string }, Record<string, string>>('chain'))('chain: %s', (_name, input, wanted) => {
  expect(Object.keys(wanted)).toHaveLength(4);
  for (const [power, value] of Object.entries(wanted))
    expect(hashed(hex(input.k_hex), Number(power.replace('h^', '')))).toBe(value);
});

interface PadCase {
  readonly profile: 'seed' | 'keyed';
  readonly kt_hex: string;
  readonly id: string;
  readonly n: number;
}
test.each(of<PadCase, Record<string, string>>('pad'))('pad: %s', (_name, { profile, kt_hex: key, id, n }, wanted) => {
  if (profile === 'seed') {
    for (const purpose of ['x1', 'x2', 'y1'] as const)
      expect(toHex(seedScrambling.pad(purpose, n))).toBe(wanted['pad']);
    return;
  }
  expect(toHex(hkdfSha512(hex(key), padKeyInfo(id), 64))).toBe(wanted['pad_key_hex']);
  expect(toHex(hkdfSha512(hex(key), bindKeyInfo(id), 32))).toBe(wanted['bind_key_hex']);
  const scrambling = keyedScrambling(hex(key), id);
  for (const purpose of ['x1', 'x2', 'y1'] as const)
    expect(toHex(scrambling.pad(purpose, n))).toBe(wanted[purpose]);
});

interface Lanes {
  readonly lanes: readonly { lane: number; secret_hex: string; anchor: string }[];
}
test.each(of<{ k_hex: string; n: number }, Lanes>('lane'))('lane: %s', (_name, { k_hex: secret, n }, { lanes }) => {
  for (const { lane, secret_hex: wanted, anchor } of lanes) {
    const laneSecret = lane === 0 ? hex(secret) : hkdfSha512(hex(secret), laneInfo(lane), 64);
    expect(toHex(laneSecret)).toBe(wanted);
    expect(hashed(laneSecret, n)).toBe(anchor);
  }
});

interface Rows {
  readonly rows: readonly { phase_ms: number; allow_ahead: boolean; d_min_ms: number; d_max_ms: number }[];
}
test.each(of<{ window_ms: number }, Rows>('window'))('window: %s', (_name, { window_ms: windowMs }, { rows }) => {
  for (const { phase_ms: phase, allow_ahead: allowAhead, d_min_ms: first, d_max_ms: last } of rows) {
    const sentMs = 56_666_667 * windowMs + phase;
    const sentIn = windowOf(sentMs, windowMs);
    const passes = (delayMs: number) =>
      candidates(windowOf(sentMs + delayMs, windowMs), parityOf(sentIn), allowAhead).includes(sentIn);
    expect([first - 1, first, last, last + 1].map(passes)).toEqual([false, true, true, false]);
  }
});

describe('verdicts', () => {
  test.each(of<JudgedCase>('verify'))('%s', async (_name, input, wanted) => {
    const keys = [WRAP, sharedKey('pepper', input.pepper_hex)];
    const given: VerifyCase = { ...input, settings: { skew_ms: SKEW_MS }, store: sealedTimeKeys(input.store, WRAP) };
    const world = await vectorWorld('time-scrambled', given, keys);
    const settings = settingsOf(input.settings);
    const scheme = timeScrambled.create(settings, world.resources);
    const policy: RoutePolicy = {
      route: 'api',
      body: 'required',
      tenant: 'default',
      realm: 'countersign',
      audience: [],
      options: settings,
    };
    const { effect, reply, ...verdict } = wanted;
    const { judged, told } = await judgedBy(scheme, given, policy, world);
    expect(judged).toMatchObject(verdict);
    if (reply !== undefined) expect(parametersOf(told)).toMatchObject(reply);
    expect(effectsOf(world)).toEqual(effect === undefined ? [] : [expectedEffect(effect)]);
  });
});

/** The verdict, and the header by which the client is told where the chain stands. */
async function judgedBy(scheme: Scheme, given: VerifyCase, policy: RoutePolicy, world: VectorWorld) {
  let told = '';
  const listening: Scheme = {
    ...scheme,
    async verify(...args) {
      try {
        const identity = await scheme.verify(...args);
        told = identity.replyHeaders?.[0]?.[1] ?? '';
        return identity;
      } catch (denial) {
        if (denial instanceof Denial) [told = ''] = scheme.challenges(policy, { denial, nowMs: given.now_ms });
        throw denial;
      }
    },
  };
  return { judged: await verdictOf(listening, given, policy, world), told };
}

function parametersOf(value: string): Record<string, string | number> {
  const found = value.matchAll(/([a-z0-9]+)=(?:"([^"]*)"|([0-9]+))/g);
  return Object.fromEntries([...found].map(([, name = '', text, number]) => [name, text ?? Number(number)]));
}

function effectsOf(world: VectorWorld): object[] {
  return world.store.calls
    .filter(({ verb }) => verb !== 'get')
    .map(({ verb, key, rest: [expected, next] }) => ({
      verb,
      key,
      next: next === expected ? 'unchanged' : (JSON.parse(next as string) as object),
    }));
}

function expectedEffect({ verb, key, next }: NonNullable<Wanted['effect']>): object {
  return { verb, key, next: next === 'unchanged' ? next : expect.objectContaining(next) };
}

function sealedTimeKeys(store: Readonly<Record<string, string>>, wrapKey: RingKey): Record<string, string> {
  const entries = Object.entries(store).map(([text, value]) => {
    const record = JSON.parse(value) as { kt: string | null };
    if (record.kt === null) return [text, value] as const;
    const key: Key = { class: 'h', text, firstByte: 0, durable: false };
    const sealing = { wrapKey, purpose: 'time-scrambled chain', key, plaintext: hex(record.kt) };
    return [text, JSON.stringify({ ...record, kt: seal({ ...sealing, salt: new Uint8Array(16) }) })] as const;
  });
  return Object.fromEntries(entries);
}

/** Names as in the configuration; what a case leaves out is the default. */
function settingsOf(given: Readonly<Record<string, unknown>>) {
  return {
    profiles: given['profiles'] as ('keyed' | 'seed')[],
    windowMs: given['window_ms'] as number,
    allowAhead: given['allow_ahead'] as boolean,
    seedAllowAhead: given['seed_allow_ahead'] as boolean,
    maxSkip: given['max_skip'] as number,
    maxChain: given['max_chain'] as number,
    afterLoss: given['after_loss'] as 'enrol' | 'resume',
    seedFirstUse: 'deny' as const,
    seedOneStepRenewal: given['seed_one_step_renewal'] as boolean,
    resyncLimit: { periodMs: 1000, burst: 5 },
  };
}
