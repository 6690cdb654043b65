/**
 * A scheme with all that it is given, in one process: a test plays Envoy (`judge`), the issuer's front (`post`) and the operator
 * (`users`, `ring`), counts what the scheme does and interrupts it where it likes.
 */
import * as v from 'valibot';
import type { Clock } from '../../src/core/clock.ts';
import type { SignatureAlg } from '../../src/core/directory.ts';
import type { Limits } from '../../src/core/limits.ts';
import type { RoutePolicy } from '../../src/core/request.ts';
import type { Identity, Resources, Scheme, SchemeDefinition } from '../../src/core/scheme.ts';
import type { Store } from '../../src/core/store.ts';
import type { RingKey } from '../../src/core/keyring.ts';
import { Secret } from '../../src/core/secret.ts';
import { randomBytes } from '../../src/crypto/random.ts';
import { createSignatures } from '../../src/crypto/signatures.ts';
import { scopedStoreKey } from '../../src/crypto/store-key.ts';
import { createKeyring } from '../../src/keys/key-ring.ts';
import { createLimits } from '../../src/limits.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { createInvitations } from '../../src/users/invitations.ts';
import { createUserKeys } from '../../src/users/keys-of-users.ts';
import { authRequest, newCheckId, type RequestParts } from './auth-request.ts';
import { checkCall } from './check-call.ts';
import { createFakeClock, type FakeClock } from './fake-clock.ts';
import { ringWith } from './key-ring.ts';
import { quietObserver } from './quiet-observer.ts';
import { testUsers, type TestUsers } from './test-users.ts';
import { watchStore, type WatchedStore } from './watched-store.ts';

export const START_MS = 1_700_000_000_000;
export const SKEW_MS = 5_000;
export const ISSUER_URL = 'https://auth.example.com';

export interface WorldOptions {
  /** As in the configuration file. */
  readonly settings?: object;
  /** Default: a fake one at `START_MS`. */
  readonly clock?: Clock;
  /** Default: a fresh memory store. Two worlds on one store and clock are two replicas. */
  readonly store?: Store;
  readonly ring?: readonly RingKey[];
  readonly limits?: Limits;
  /** Default: Ed25519. */
  readonly dummyAlg?: SignatureAlg;
  /** `process.verify`. Default: sync. */
  readonly verify?: 'sync' | 'threadpool';
  /** Content of secret files, by path. */
  readonly secrets?: Readonly<Record<string, string>>;
}

export interface SchemeWorld {
  /** The fake one, unless another was given. */
  readonly clock: FakeClock;
  readonly store: WatchedStore;
  readonly users: TestUsers;
  readonly resources: Resources;
  readonly scheme: Scheme;
  /** Parsed settings, the route's options. */
  readonly settings: unknown;
  /** Exchangeable: what the ring holds now. */
  ring: readonly RingKey[];
  /** Signature verifications so far. */
  verifications: number;
  /** Calls of a scheme into what it is given, so far. */
  steps: number;
  /** Throws inside the call of this number. */
  failAtStep: number | undefined;
  policy(changes?: Partial<RoutePolicy>): RoutePolicy;
  /** One Check. @param checkId the same twice is a retry. */
  judge(parts: RequestParts, options?: { checkId?: string; policy?: Partial<RoutePolicy> }): Promise<Identity>;
  /** One call of an issuer endpoint, by its path behind the scheme. @returns the answer's members. */
  post(path: string, body: object, source?: string): Promise<Record<string, unknown>>;
}

function missing(file: string): never {
  throw new Error(`no secret file ${file}`);
}

export class Interruption extends Error {}

export function createSchemeWorld(definition: SchemeDefinition, options: WorldOptions = {}): SchemeWorld {
  const clock = (options.clock ?? createFakeClock(START_MS)) as FakeClock;
  const store = watchStore(
    options.store ??
      createMemoryStore({ clock, skewMs: SKEW_MS, maxEntries: 100_000, fresh: true, observer: quietObserver }),
  );
  const settings: unknown = v.parse(definition.settings, options.settings ?? {});
  const signatures = createSignatures({ mode: options.verify ?? 'sync' });
  const users = testUsers(store, clock, options.dummyAlg);
  const perCredential = { periodMs: 1, burst: 1_000_000 };

  /** Counts the calls of all methods, and fails at the one that the test chose. */
  const watched = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(object, name) {
        const member: unknown = Reflect.get(object, name);
        if (typeof member !== 'function') return member;
        return (...args: unknown[]): unknown => {
          world.steps += 1;
          if (world.steps === world.failAtStep) throw new Interruption(`step ${world.steps}, ${String(name)}`);
          return Reflect.apply(member, object, args);
        };
      },
    });

  const resources: Resources = {
    store: watched(store),
    storeKey: scopedStoreKey(definition.name),
    clock,
    random: randomBytes,
    keyring: watched({
      active: (use) => createKeyring(world.ring, clock).active(use),
      usable: (use) => createKeyring(world.ring, clock).usable(use),
    }),
    directory: watched(users),
    users: watched(createUserKeys(users, () => clock.nowMs())),
    invitations: watched(createInvitations({ store, records: users, clock, random: randomBytes })),
    signatures: watched({
      verify(...args) {
        world.verifications += 1;
        return signatures.verify(...args);
      },
    }),
    limits: watched(options.limits ?? createLimits({ clock, maxBuckets: 100_000, perCredential })),
    count() {},
    notice() {},
    observe() {},
    level() {},
    threads: 1,
    skewMs: SKEW_MS,
    issuerUrl: ISSUER_URL,
    readSecret: (file) => new Secret(options.secrets?.[file] ?? missing(file)),
  };

  const world: SchemeWorld = {
    clock,
    store,
    users,
    resources,
    scheme: undefined as unknown as Scheme, // Below: it may use what counts its steps while it is made.
    settings,
    ring: options.ring ?? ringWith('challenge-mac', 'wrap', 'pepper', 'token-signing', 'opaque-setup'),
    verifications: 0,
    steps: 0,
    failAtStep: undefined,
    policy: (changes) => ({
      route: 'api',
      body: 'required',
      tenant: 'default',
      realm: 'countersign',
      audience: ['https://api.example.com'],
      options: settings,
      ...changes,
    }),
    // A rejection whether the scheme throws at once or later.
    judge: async (parts, { checkId = newCheckId(), policy } = {}) =>
      world.scheme.verify(authRequest(parts, clock.nowMs(), checkId), world.policy(policy), checkCall()),
    async post(path, body, source = '203.0.113.9') {
      const endpoint = world.scheme.endpoints.find((one) => one.path === path && one.listener === 'issuer');
      if (endpoint === undefined) throw new Error(`no endpoint ${path}`);
      const answer = await endpoint.handle({
        body: endpoint.body === undefined ? undefined : v.parse(endpoint.body, body),
        raw: new TextEncoder().encode(JSON.stringify(body)),
        header: () => undefined,
        source,
        owner: newCheckId(),
        receivedAtMs: clock.nowMs(),
        signal: new AbortController().signal,
      });
      return answer.body as Record<string, unknown>;
    },
  };
  Object.assign(world, { scheme: definition.create(settings, resources) });
  return world;
}
