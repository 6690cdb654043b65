/** A scheme's surroundings as one `verify` case of a vector file describes them, and the verdict in that file's words. */
import { Denial, wireCode } from '../../src/core/decision.ts';
import type { AttributeValue, Directory, PublicJwk, UserKey, UserRecord } from '../../src/core/directory.ts';
import { Fault } from '../../src/core/fault.ts';
import type { Keyring, KeyUse, RingKey } from '../../src/core/keyring.ts';
import type { RoutePolicy } from '../../src/core/request.ts';
import type { Resources, Scheme } from '../../src/core/scheme.ts';
import { Secret } from '../../src/core/secret.ts';
import type { Key, KeyClass } from '../../src/core/store.ts';
import { randomBytes } from '../../src/crypto/random.ts';
import { createSignatures, generateKeyPair } from '../../src/crypto/signatures.ts';
import { scopedStoreKey } from '../../src/crypto/store-key.ts';
import { algOf } from '../../src/encoding/jwk.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { authRequest, type RequestParts } from './auth-request.ts';
import { hex } from './bytes.ts';
import { checkCall } from './check-call.ts';
import { createFakeClock } from './fake-clock.ts';
import { quietObserver } from './quiet-observer.ts';
import { type StoreCall, type WatchedStore, watchStore, writesOf } from './watched-store.ts';

export interface VectorRequest {
  readonly check_id: string;
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  readonly target: string;
  readonly headers: readonly (readonly string[])[];
  /** Absent: not visible. */
  readonly body_hex?: string;
}

export interface VectorUser {
  readonly user: string;
  readonly epoch: number;
  readonly disabled: boolean;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  readonly keys?: readonly { kid: string; jwk: PublicJwk; expires_at_ms: number | null; uses?: readonly string[] }[];
}

export interface VerifyCase {
  readonly now_ms: number;
  readonly horizon_ms: number;
  readonly settings: { readonly skew_ms: number; readonly issuer_url?: string };
  readonly request: VectorRequest;
  readonly directory: { readonly users?: Readonly<Record<string, VectorUser>> };
  readonly store: Readonly<Record<string, string>>;
}

export interface VectorWorld {
  readonly resources: Resources;
  readonly store: WatchedStore;
}

/** @param keys of the ring, active first within a use. */
export async function vectorWorld(
  name: string,
  given: VerifyCase,
  keys: readonly RingKey[],
  mode: 'sync' | 'threadpool' = 'sync',
): Promise<VectorWorld> {
  const clock = createFakeClock(given.now_ms);
  const inner = createMemoryStore({
    clock,
    skewMs: given.settings.skew_ms,
    maxEntries: 1000,
    fresh: true,
    observer: quietObserver,
  });
  for (const [text, value] of Object.entries(given.store)) await inner.put(keyOf(text), value, 3_600_000);
  const store = watchStore(inner);
  store.horizon = given.horizon_ms;
  return {
    store,
    resources: {
      store,
      storeKey: scopedStoreKey(name),
      clock,
      random: randomBytes,
      keyring: keyringOf(keys),
      directory: directoryOf(given.directory.users ?? {}, name),
      users: { current: () => unused(), ensure: () => unused(), raiseEpoch: () => unused() },
      invitations: { issue: () => unused(), find: () => unused(), spend: () => unused() },
      signatures: createSignatures({ mode }),
      limits: { charge() {}, refund() {}, credential() {} },
      count() {},
      notice() {},
      observe() {},
      level() {},
      threads: 1,
      skewMs: given.settings.skew_ms,
      issuerUrl: given.settings.issuer_url ?? 'https://auth.example.com',
      readSecret: () => unused(),
    },
  };
}

/** Judges the case's request; members as `expect` has them. */
export async function verdictOf(
  scheme: Scheme,
  given: VerifyCase,
  policy: RoutePolicy,
  world: VectorWorld,
): Promise<object> {
  try {
    const request = authRequest(partsOf(given.request), given.now_ms, given.request.check_id);
    const { subject, keyId, attributes } = await scheme.verify(request, policy, checkCall());
    const effects = writesOf(world.store).map(effectOf);
    if (effects.length > 1) throw new Error('more than one effect');
    return { verdict: 'allow', subject, key_id: keyId, attributes, effect: effects[0] };
  } catch (thrown) {
    if (thrown instanceof Denial) {
      const wire = wireCode(thrown.code);
      return { verdict: 'deny', code: thrown.code, ...(wire !== thrown.code && { wire_code: wire }) };
    }
    if (thrown instanceof Fault)
      return { verdict: 'fault', reason: thrown.reason, retry_after_s: thrown.retryAfterSeconds };
    throw thrown;
  }
}

export function sharedKey(use: KeyUse, materialHex: string, state: RingKey['state'] = 'active'): RingKey {
  const material = new Secret(hex(materialHex));
  return { kid: materialHex.slice(0, 22), use, alg: null, state, activateAtMs: null, retireAtMs: null, material };
}

function partsOf(given: VectorRequest): RequestParts {
  return {
    method: given.method,
    scheme: given.scheme as 'http' | 'https',
    authority: given.authority,
    target: given.target,
    headers: given.headers.map(([name = '', value = '']) => [name, value] as const),
    body:
      given.body_hex === undefined
        ? { kind: 'unverifiable', why: 'not_asserted' }
        : { kind: 'complete', bytes: hex(given.body_hex) },
  };
}

function effectOf({ verb, key, rest, answer }: StoreCall): object {
  if (verb !== 'claim') return { verb, key };
  const [owner, expiresAtMs] = rest;
  return { verb, key, owner, expires_at_ms: expiresAtMs, answer };
}

function keyOf(text: string): Key {
  return { class: text.slice(0, 1) as KeyClass, text, firstByte: 0, durable: false };
}

function keyringOf(keys: readonly RingKey[]): Keyring {
  const usable = (use: KeyUse) => keys.filter((key) => key.use === use);
  return {
    usable,
    active(use) {
      const [first] = usable(use);
      if (first === undefined) throw new Fault('key_source', `no key for ${use}`);
      return first;
    },
  };
}

function directoryOf(users: Readonly<Record<string, VectorUser>>, scheme: string): Directory {
  const { publicJwk } = generateKeyPair('Ed25519');
  const recordOf = async (_tenant: string, id: string) => {
    const user = Object.hasOwn(users, id) ? users[id] : undefined;
    return user === undefined ? null : userRecord(user, scheme);
  };
  return {
    user: recordOf,
    record: recordOf,
    byThumbprint: () => unused(),
    dummyKey: { kid: 'dummy', alg: 'Ed25519', jwk: publicJwk, uses: [], addedAt: 0, expiresAt: null },
  };
}

function userRecord({ user, epoch, disabled, attributes, keys = [] }: VectorUser, scheme: string): UserRecord {
  return {
    v: 1,
    user,
    epoch,
    disabled,
    deleted: false,
    attributes,
    updatedAt: 0,
    keys: keys.map(({ kid, jwk, expires_at_ms: expiresAt, uses = [scheme] }): UserKey => ({
      kid,
      alg: algOf(jwk),
      jwk,
      uses,
      addedAt: 0,
      expiresAt,
    })),
  };
}

function unused(): never {
  throw new Error('not part of this case');
}
