/**
 * What every scheme must do, whatever its proofs look like. A scheme's own test calls `schemeConformance` with a description of
 * itself and a builder of valid requests; what only it has (endpoints, renewal, profiles) it tests beside this.
 *
 * Names end in the ids of the tests that must exist: CT-05, 06, 09 to 11, 13, 14, 16, 17, 26.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { setTimeout as sleep } from 'node:timers/promises';
import { DENIAL_CODES, type Denial, type DenialCode, deny, wireCode } from '../../src/core/decision.ts';
import type { SignatureAlg } from '../../src/core/directory.ts';
import { StoreFault } from '../../src/core/fault.ts';
import { UNVERIFIABLE_REASONS } from '../../src/core/request.ts';
import { type SchemeDefinition, type Stage, STAGES } from '../../src/core/scheme.ts';
import type { Store, StoreVerb } from '../../src/core/store.ts';
import { authRequest, complete, newCheckId, type RequestParts, withHeader } from '../support/auth-request.ts';
import { checkCall } from '../support/check-call.ts';
import { isLong } from '../support/long.ts';
import { codeOf, denialOf, faultOf, outcomeOf, rejectionOf } from '../support/refused.ts';
import {
  createSchemeWorld,
  Interruption,
  SKEW_MS,
  START_MS,
  type SchemeWorld,
  type WorldOptions,
} from '../support/scheme-world.ts';
import { CACHE_TTL_MS } from '../support/test-users.ts';
import { writesOf } from '../support/watched-store.ts';

export interface Prover {
  /** The request with a proof that was never sent, made at the world's time. */
  prove(request: RequestParts): Promise<RequestParts>;
  /** Right in every form, made with a key or secret that is not the client's. Nobody has sent it. */
  forge(request: RequestParts): Promise<RequestParts>;
  /** The same by someone the server does not know. */
  proveAsStranger(request: RequestParts): Promise<RequestParts>;
  /** From now on the client's valid proofs are `revoked`. */
  revoke(): Promise<void>;
}

export type Change = (proven: RequestParts) => RequestParts;

export interface SchemeUnderTest {
  readonly title: string;
  readonly definition: SchemeDefinition;
  /** As in the configuration file. */
  readonly settings?: object;
  /** Algorithm of the clients' keys, as `directory.dummyAlg`. Default Ed25519. */
  readonly dummyAlg?: SignatureAlg;
  /** `process.verify`; a scheme that verifies signatures calls the suite with both. Default sync. */
  readonly verify?: 'sync' | 'threadpool';
  /** Lets a client in, by the same means for each `tenant`, and gives its prover. */
  enter(world: SchemeWorld, tenant?: string): Promise<Prover>;
  /** What clients prove; default a POST with query and body. */
  readonly request?: RequestParts;
  /** Alterations that this profile does not notice, or refuses for their form, with what comes of them. */
  readonly uncovered?: Readonly<Record<string, DenialCode | 'allow'>>;
  /** Headers that carry the proof. */
  readonly proofHeaders: readonly string[];
  /** A proof made at T passes from T - `aheadMs` to T + `validForMs`, both included; its earliest acceptance was T - `leadMs`. */
  readonly freshness?: { readonly aheadMs: number; readonly validForMs: number; readonly leadMs: number };
  /** Forms that are refused before anything is looked up. */
  readonly malformed: readonly (readonly [title: string, change: Change])[];
  /** Values in the proof itself, changed to other well-formed ones, with the code that tells so. */
  readonly altered: readonly (readonly [title: string, change: Change, code: DenialCode])[];
  /** Its accounts know no tenants: in any but the default one nobody exists. */
  readonly isOfOneTenant?: true;
  /** A token: it covers no part of the request and is not spent, so that there is nothing to alter and nothing to claim. */
  readonly isToken?: true;
  /** Code for a second use; default `replayed`. */
  readonly spentCode?: DenialCode;
  /** Codes for a forgery and for a stranger's proof, told alike. Default `signature_invalid` and `unknown_credential`. */
  readonly codes?: { readonly forged: DenialCode; readonly unknown: DenialCode };
  /** How long after the horizon of a store no proof passes yet, where `freshness` does not say. ms. */
  readonly leadMs?: number;
  /** What one allowed Check costs once the user is known. */
  readonly cost: { readonly verbs: readonly StoreVerb[]; readonly verifications: number };
  /** Text of the proof that the store must never hold in clear. */
  secretsOf(proven: RequestParts): readonly string[];
  /** Blanks out what is random in an answer header, so that two answers can be compared. */
  withoutRandom?(value: string): string;
}

/** A store that proofs are spent in; its clock is the real one. */
export interface StoreUnderTest {
  readonly title: string;
  /** Empty. The suite closes it. */
  open(): Promise<Store>;
}

const SOURCE = '203.0.113.9';

const USUAL_REQUEST: RequestParts = {
  source: SOURCE,
  method: 'POST',
  scheme: 'https',
  authority: 'api.example.com',
  target: '/transfer?dry=0',
  headers: [['content-type', 'application/json']],
  body: complete('{"amount":50,"to":"bob@example.com"}'),
};

/** Each part that a proof covers, changed. */
const ALTERED_REQUEST: readonly (readonly [string, Change])[] = [
  ['method', (parts) => ({ ...parts, method: 'PUT' })],
  ['scheme', (parts) => ({ ...parts, scheme: 'http' })],
  ['authority', (parts) => ({ ...parts, authority: 'evil.example.com' })],
  ['path', (parts) => ({ ...parts, target: parts.target.replace('/transfer', '/transfers') })],
  ['query', (parts) => ({ ...parts, target: '/transfer?dry=1' })],
  ['query removed', (parts) => ({ ...parts, target: '/transfer' })],
  ['border of authority and path', (parts) => ({ ...parts, authority: 'api.example.co', target: `m${parts.target}` })],
  ['one bit of the body', (parts) => ({ ...parts, body: complete('{"amount":51,"to":"bob@example.com"}') })],
  ['body emptied', (parts) => ({ ...parts, body: complete('') })],
  ['body removed', (parts) => ({ ...parts, body: { kind: 'absent' } })],
  ['body lengthened', (parts) => ({ ...parts, body: complete('{"amount":50,"to":"bob@example.com"} ') })],
];

export function schemeConformance(scheme: SchemeUnderTest, stores: readonly StoreUnderTest[]): void {
  const { definition, settings = {}, dummyAlg = 'Ed25519', verify = 'sync', spentCode = 'replayed' } = scheme;
  const isToken = scheme.isToken === true;
  const { request: REQUEST = USUAL_REQUEST, uncovered = {} } = scheme;
  const { forged: forgedCode, unknown: unknownCode } = scheme.codes ?? {
    forged: 'signature_invalid',
    unknown: 'unknown_credential',
  };
  const leadMs = scheme.freshness?.leadMs ?? scheme.leadMs ?? 0;
  const covered = ['method', 'authority', 'target', 'body'].filter((name) => uncovered[name] === undefined);

  async function enter(options: WorldOptions = {}) {
    const world = createSchemeWorld(definition, { settings, dummyAlg, verify, ...options });
    const client = await scheme.enter(world);
    // Whatever is only done once (imports, caches) has been done.
    await world.judge(await client.prove(REQUEST));
    world.store.calls.length = 0;
    return { world, client };
  }

  describe(`${scheme.title}: every scheme`, () => {
    test('allows a valid proof, names the subject and what carried the proof, and ends known stages only', async () => {
      const { world, client } = await enter();
      const call = checkCall();
      const request = authRequest(await client.prove(REQUEST), world.clock.nowMs());
      const identity = await world.scheme.verify(request, world.policy(), call);
      expect(identity).toMatchObject({ subject: expect.any(String), attributes: expect.any(Object) });
      expect(scheme.proofHeaders).toEqual(expect.arrayContaining([...identity.consumed]));
      expect(STAGES).toEqual(expect.arrayContaining(call.stages));
      expect(call.stages[0]).toBe('parse');
    });

    test('refuses with credentials_missing what carries no proof, and looks nothing up', async () => {
      const { world, client } = await enter();
      const proven = await client.prove(REQUEST);
      const bare = scheme.proofHeaders.reduce((parts, name) => withHeader(parts, name, undefined), proven);
      world.store.calls.length = 0;
      expect(await codeOf(world.judge(bare))).toBe('credentials_missing');
      expect(await codeOf(world.judge(withHeader(bare, 'authorization', 'Negotiate abc')))).toBe('credentials_missing');
      expect(world.store.calls).toEqual([]);
    });

    test.each(scheme.malformed)('refuses with malformed, and looks nothing up: %s', async (_title, change) => {
      const { world, client } = await enter();
      const proven = await client.prove(REQUEST);
      world.store.calls.length = 0;
      const before = world.verifications;
      expect(await codeOf(world.judge(change(proven)))).toBe('malformed');
      expect(world.store.calls).toEqual([]);
      expect(world.verifications).toBe(before);
      expect(await outcomeOf(world.judge(proven))).toBe('allow');
    });

    test('refuses with malformed, told as 413, a proof header above 4096 bytes', async () => {
      const { world, client } = await enter();
      const proven = await client.prove(REQUEST);
      const denial = await denialOf(world.judge(lengthened(proven, scheme.proofHeaders[0] ?? '')));
      expect([denial.code, denial.form.status]).toEqual(['malformed', 413]);
    });

    if (isToken) {
      test('passes with any request, any number of times and at once, and writes nothing', async () => {
        const { world, client } = await enter();
        const proven = await client.prove(REQUEST);
        const requests = ALTERED_REQUEST.map(([, change]) => change(proven));
        world.store.calls.length = 0;
        const outcomes = await Promise.all([...requests, ...requests].map((parts) => outcomeOf(world.judge(parts))));
        expect(new Set(outcomes)).toEqual(new Set(['allow']));
        expect(writesOf(world.store)).toEqual([]);
      });
    } else {
      for (const [title, change] of ALTERED_REQUEST.filter(([name]) => uncovered[name] === undefined)) {
        test(`refuses with signature_invalid an altered request, the right one still passes (CT-11): ${title}`, async () => {
          const { world, client } = await enter();
          const proven = await client.prove(REQUEST);
          world.store.calls.length = 0;
          expect(await codeOf(world.judge(change(proven)))).toBe('signature_invalid');
          expect(writesOf(world.store)).toEqual([]);
          expect(await outcomeOf(world.judge(proven))).toBe('allow');
        });
      }

      for (const [title, change] of ALTERED_REQUEST.filter(([name]) => uncovered[name] !== undefined)) {
        test(`what this profile does not cover: ${title}`, async () => {
          const { world, client } = await enter();
          const proven = await client.prove(REQUEST);
          expect(await outcomeOf(world.judge(change(proven)))).toBe(uncovered[title]);
        });
      }
    }

    test.each(scheme.altered)(
      'refuses an altered proof, the right one still passes (CT-11): %s',
      async (_title, change, code) => {
        const { world, client } = await enter();
        const proven = await client.prove(REQUEST);
        world.store.calls.length = 0;
        expect(await codeOf(world.judge(change(proven)))).toBe(code);
        expect(writesOf(world.store)).toEqual([]);
        expect(await outcomeOf(world.judge(proven))).toBe('allow');
      },
    );

    if (!isToken && covered.length > 0) {
      test('property: no flipped byte of method, authority, target or body passes', async () => {
        const { world, client } = await enter();
        const proven = await client.prove(REQUEST);
        const flips = fc.record({
          field: fc.constantFrom(...covered),
          at: fc.nat(),
          by: fc.integer({ min: 1, max: 255 }),
        });
        await fc.assert(
          fc.asyncProperty(flips, async ({ field, at, by }) => {
            const codes = field === 'target' ? ['signature_invalid', uncovered['query']] : ['signature_invalid'];
            expect(codes).toContain(await codeOf(world.judge(flipped(proven, field, at, by))));
          }),
        );
        expect(await outcomeOf(world.judge(proven))).toBe('allow');
      });
    }

    test('property: whatever a proof header holds, the answer is a refusal or this client, never a fault', async () => {
      const { world, client } = await enter();
      const name = scheme.proofHeaders[0] ?? '';
      const proven = await client.prove(REQUEST);
      const subject = (await world.judge(await client.prove(REQUEST))).subject;
      const edits = fc.record({ at: fc.nat(), removed: fc.nat({ max: 3 }), inserted: fc.string({ maxLength: 3 }) });
      await fc.assert(
        fc.asyncProperty(edits, async ({ at, removed, inserted }) => {
          const value = headerOf(proven, name);
          const start = at % (value.length + 1);
          const edited = value.slice(0, start) + inserted + value.slice(start + removed);
          // A proof that is still whole (another letter case, one more blank) may pass, and is then a retry of one Check.
          const judged = world.judge(withHeader(proven, name, edited), { checkId: 'AAAAAAAAAAAAAAAAAAAAAA' });
          const outcome = await judged.then(
            (identity) => identity.subject,
            async (thrown) => (await denialOf(Promise.reject(thrown))).code,
          );
          expect([...Object.keys(DENIAL_CODES), subject]).toContain(outcome);
        }),
      );
    });

    if (!isToken && covered.includes('body')) {
      describe('the body', () => {
        test.each(UNVERIFIABLE_REASONS)(
          'refuses with body_unverifiable, before anything is looked up: %s',
          async (why) => {
            const { world, client } = await enter();
            const proven = await client.prove(REQUEST);
            world.store.calls.length = 0;
            const denial = await denialOf(world.judge({ ...proven, body: { kind: 'unverifiable', why } }));
            expect(denial.code).toBe('body_unverifiable');
            expect(denial.form.status).toBe(why === 'partial' || why === 'at_limit' ? 413 : 403);
            expect(world.store.calls).toEqual([]);
          },
        );

        test('takes an absent body for an empty one', async () => {
          const { world, client } = await enter();
          const proven = await client.prove({ ...REQUEST, body: complete('') });
          expect(await outcomeOf(world.judge({ ...proven, body: { kind: 'absent' } }))).toBe('allow');
        });

        test('refuses with signature_invalid a proof over a body where the route covers none', async () => {
          const { world, client } = await enter();
          const proven = await client.prove({ ...REQUEST, body: complete('') });
          expect(await codeOf(world.judge(proven, { policy: { body: 'none' } }))).toBe('signature_invalid');
        });
      });
    }

    const { freshness } = scheme;
    if (freshness !== undefined) {
      const { aheadMs, validForMs } = freshness;

      test.each([
        [-aheadMs - 1, 'not_yet_valid'],
        [-aheadMs, 'allow'],
        [0, 'allow'],
        [validForMs, 'allow'],
        [validForMs + 1, 'stale'],
      ])('a proof judged %i ms after it was made: %s (CT-05)', async (ageMs, outcome) => {
        const { world, client } = await enter();
        const proven = await client.prove(REQUEST);
        const madeMs = world.clock.nowMs();
        // The verifier is a replica whose clock differs; the store's goes with the issuer's.
        const request = authRequest(proven, madeMs + ageMs);
        expect(await outcomeOf(judgeAt(world, request))).toBe(outcome);
      });

      test('a proof that could have been spent before the horizon is stale, one made at it passes (CT-06)', async () => {
        const { world, client } = await enter();
        const proven = await client.prove(REQUEST);
        const earliestMs = world.clock.nowMs() - leadMs;
        const request = authRequest(proven, world.clock.nowMs() + 1);
        world.store.horizon = earliestMs + 1;
        expect(await codeOf(judgeAt(world, request))).toBe('stale');
        world.store.horizon = earliestMs;
        expect(await outcomeOf(judgeAt(world, request))).toBe('allow');
      });

      test('while no new proof could pass it is a fault with the seconds to wait, after them a new one passes (CT-06)', async () => {
        const { world, client } = await enter();
        const proven = await client.prove(REQUEST);
        world.store.horizon = world.clock.nowMs() + 1_500;
        const fault = await faultOf(world.judge(proven));
        expect([fault.reason, fault.retryAfterSeconds]).toEqual(['recovering', Math.ceil((1_500 + leadMs) / 1000)]);
        world.clock.advance(fault.retryAfterSeconds * 1000);
        expect(await codeOf(world.judge(proven))).toBe('stale');
        expect(await outcomeOf(world.judge(await client.prove(REQUEST)))).toBe('allow');
      });

      test('the claim outlives every instant at which the proof is fresh, on a clock that is behind by the skew', async () => {
        const { world, client } = await enter();
        const proven = await client.prove(REQUEST);
        const madeMs = world.clock.nowMs();
        await world.judge(proven);
        world.clock.advance(validForMs + SKEW_MS);
        const late = await codeOf(judgeAt(world, authRequest(proven, madeMs + validForMs)));
        expect([spentCode, 'stale']).toContain(late);
      });
    }

    if (!isToken) {
      describe('once', () => {
        test(`refuses with ${spentCode} the same bytes in another Check, and allows the retry of the first again (CT-10)`, async () => {
          const { world, client } = await enter();
          const proven = await client.prove(REQUEST);
          const checkId = newCheckId();
          expect((await world.judge(proven, { checkId })).retried ?? false).toBe(false);
          expect((await world.judge(proven, { checkId })).retried).toBe(true);
          expect(await codeOf(world.judge(proven))).toBe(spentCode);
          expect((await world.judge(proven, { checkId })).retried).toBe(true);
        });

        test('a Check that nobody waits for any more is a fault and spends nothing', async () => {
          const { world, client } = await enter();
          const proven = await client.prove(REQUEST);
          const call = checkCall();
          call.signal.aborted = true;
          world.store.calls.length = 0;
          const judged = async () =>
            world.scheme.verify(authRequest(proven, world.clock.nowMs()), world.policy(), call);
          expect((await faultOf(judged())).reason).toBe('deadline');
          expect(writesOf(world.store)).toEqual([]);
          expect(await outcomeOf(world.judge(proven))).toBe('allow');
        });
      });

      test('one that is given up during verification spends nothing either (OP-26)', async () => {
        const { world, client } = await enter();
        const proven = await client.prove(REQUEST);
        const call = checkCall();
        world.store.calls.length = 0;
        // Nobody waits any more from the last stage before the claim on.
        const stageDone = call.stageDone.bind(call);
        const giving = Object.assign(call, {
          stageDone(stage: Stage) {
            stageDone(stage);
            if (stage === 'verify') call.signal.aborted = true;
          },
        });
        const judged = async () =>
          world.scheme.verify(authRequest(proven, world.clock.nowMs()), world.policy(), giving);
        expect((await faultOf(judged())).reason).toBe('deadline');
        expect(writesOf(world.store)).toEqual([]);
        expect(await outcomeOf(world.judge(proven))).toBe('allow');
      });
    }

    describe('strangers', () => {
      test(`a forgery is ${forgedCode}, changes nothing, and the client still passes (CT-11)`, async () => {
        const { world, client } = await enter();
        const forged = await client.forge(REQUEST);
        world.store.calls.length = 0;
        expect(await codeOf(world.judge(forged))).toBe(forgedCode);
        expect(writesOf(world.store)).toEqual([]);
        expect(await outcomeOf(world.judge(await client.prove(REQUEST)))).toBe('allow');
      });

      test(`an unknown credential is ${unknownCode}, costs the same and is told byte for byte as a wrong proof (CT-13, CT-17)`, async () => {
        const { world, client } = await enter();
        await outcomeOf(world.judge(await client.proveAsStranger(REQUEST)));
        const compare = async () => {
          const known = await watchRefusal(world, await client.forge(REQUEST));
          const unknown = await watchRefusal(world, await client.proveAsStranger(REQUEST));
          expect([known.denial.code, unknown.denial.code]).toEqual([forgedCode, unknownCode]);
          expect(unknown.verbs).toEqual(known.verbs);
          // Which keys sign tokens is published: there is nothing to hide by a verification more.
          if (!isToken) expect(unknown.verifications).toBe(known.verifications);
          expect(unknown.told).toEqual(known.told);
        };
        await compare();
        world.clock.advance(CACHE_TTL_MS); // Now neither is in the directory's cache.
        await compare();
      });

      if (isLong && !isToken) {
        test('times of wrong and unknown proofs do not differ: Welch t below 4.5 over 100,000 interleaved samples (CT-17)', async () => {
          const { world, client } = await enter({ limits: { charge() {}, refund() {}, credential() {} } });
          // Many of each: verification itself takes a little longer for some signatures than for others.
          const proofs: [RequestParts[], RequestParts[]] = [[], []];
          for (let count = 0; count < 1_000; count += 1) {
            proofs[0].push(await client.forge(REQUEST));
            proofs[1].push(await client.proveAsStranger(REQUEST));
          }
          const times: [number[], number[]] = [[], []];
          for (let sample = 0; sample < 102_000; sample += 1) {
            const which = Math.random() < 0.5 ? 0 : 1;
            world.store.calls.length = 0;
            const start = performance.now();
            await rejectionOf(world.judge(proofs[which][sample % 1_000]!));
            // The first ones warm up.
            if (sample >= 2_000) times[which].push(performance.now() - start);
          }
          expect(Math.abs(welchT(cropped(times[0]), cropped(times[1])))).toBeLessThan(4.5);
        }, 600_000);
      }

      test(`a valid proof of a revoked credential is revoked, a wrong one ${forgedCode}: only the holder learns it`, async () => {
        const { world, client } = await enter();
        const proven = await client.prove(REQUEST);
        const forged = await client.forge(REQUEST);
        await client.revoke();
        world.store.calls.length = 0;
        expect(await codeOf(world.judge(proven))).toBe('revoked');
        expect(await codeOf(world.judge(forged))).toBe(forgedCode);
        expect(writesOf(world.store)).toEqual([]);
      });

      test('what one tenant let in does not exist in another (CT-26)', async () => {
        const { world, client } = await enter();
        const elsewhere = await outcomeOf(world.judge(await client.prove(REQUEST), { policy: { tenant: 'other' } }));
        expect(['stale', 'signature_invalid', unknownCode]).toContain(elsewhere);
        if (scheme.isOfOneTenant === true) return;

        const other = await scheme.enter(world, 'other');
        const proven = await other.prove(REQUEST);
        expect(['stale', 'signature_invalid', unknownCode]).toContain(await outcomeOf(world.judge(proven)));
        expect(await outcomeOf(world.judge(proven, { policy: { tenant: 'other' } }))).toBe('allow');
      });
    });

    test('every well-formed proof is charged to the bucket credential, an unknown one too; empty, it is rate_limited before any lookup', async () => {
      const charged: string[][] = [];
      let isEmpty = false;
      const credential = (...key: string[]) => {
        if (isEmpty) deny('rate_limited', 'bucket empty', { retryAfterSeconds: 1 });
        charged.push(key);
      };
      const world = createSchemeWorld(definition, { settings, limits: { charge() {}, refund() {}, credential } });
      const client = await scheme.enter(world);
      const proven = await client.prove(REQUEST);
      const stranger = await client.proveAsStranger(REQUEST);
      for (const parts of [proven, await client.forge(REQUEST), stranger]) await outcomeOf(world.judge(parts));
      const [first, second, third] = charged;
      expect(first?.slice(0, 2)).toEqual([SOURCE, definition.name]);
      expect(second).toEqual(first);
      expect(third?.slice(0, 2)).toEqual([SOURCE, definition.name]);
      expect(third).not.toEqual(first);

      isEmpty = true;
      world.store.calls.length = 0;
      expect(await codeOf(world.judge(stranger))).toBe('rate_limited');
      expect(world.store.calls).toEqual([]);
    });

    describe('faults', () => {
      test('with the store down a valid proof is a fault, and a forgery passes no more than before', async () => {
        const { world, client } = await enter();
        const proven = await client.prove(REQUEST);
        const forged = await client.forge(REQUEST);
        world.store.before = () => {
          throw new StoreFault('down', 'no connection');
        };
        // A token needs the store for its user only, who is cached until then.
        if (isToken) world.clock.advance(CACHE_TTL_MS);
        expect((await faultOf(world.judge(proven))).reason).toBe('down');
        // Where the user is cached a forgery needs no store to be refused.
        expect(await rejectionOf(world.judge(forged))).toBeInstanceOf(Error);
      });

      test('a throw at any call into its surroundings is passed on, and the same Check passes afterwards (CT-14)', async () => {
        const { world, client } = await enter();
        const first = await client.prove(REQUEST);
        const start = world.steps;
        await world.judge(first);
        const steps = world.steps - start;
        expect(steps).toBeGreaterThan(2);
        for (let step = 1; step <= steps; step += 1) {
          const proven = await client.prove(REQUEST);
          const checkId = newCheckId();
          world.failAtStep = world.steps + step;
          expect(await rejectionOf(world.judge(proven, { checkId }))).toBeInstanceOf(Interruption);
          world.failAtStep = undefined;
          expect(await outcomeOf(world.judge(proven, { checkId }))).toBe('allow');
        }
      });

      test('a write whose answer is lost is a fault: the same Check passes, another one is refused', async () => {
        const { world, client } = await enter();
        for (const verb of ['claim', 'swap'] as const) {
          const proven = await client.prove(REQUEST);
          const checkId = newCheckId();
          const run = world.store[verb];
          // It ran; the caller hears nothing of it.
          world.store[verb] = (...args: unknown[]) =>
            Reflect.apply(run, world.store, args).then(() => {
              throw new StoreFault('timeout', 'no answer');
            });
          const first = await rejectionOf(world.judge(proven, { checkId })).catch(() => undefined);
          world.store[verb] = run as never;
          if (first === undefined) continue; // The scheme does not use this verb here.
          expect(first).toMatchObject({ reason: 'timeout' });
          expect(await codeOf(world.judge(proven))).toBe(spentCode);
          expect(await outcomeOf(world.judge(proven, { checkId }))).toBe('allow');
        }
      });
    });

    test('costs what it says: verbs of the store, and signature verifications', async () => {
      const { world, client } = await enter();
      const proven = await client.prove(REQUEST);
      world.store.calls.length = 0;
      const before = world.verifications;
      await world.judge(proven);
      expect(world.store.calls.map(({ verb }) => verb)).toEqual(scheme.cost.verbs);
      expect(world.verifications - before).toBe(scheme.cost.verifications);
    });

    test('the store learns digests: no proof, no challenge and no user id in a key (CT-16)', async () => {
      const { world, client } = await enter();
      const proven = await client.prove(REQUEST);
      const { subject } = await world.judge(proven);
      const told = JSON.stringify(world.store.calls.map(({ key, rest }) => [key, rest]));
      for (const secret of scheme.secretsOf(proven)) expect(told).not.toContain(secret);
      for (const { key } of world.store.calls) {
        expect(key).toMatch(/^[cosrhx]:[A-Za-z0-9_-]{43}$/);
        expect(key).not.toContain(subject);
      }
    });

    test('tells its auth-schemes in order, with the error of its own refusals only', async () => {
      const { world, client } = await enter();
      const plain = world.scheme.challenges(world.policy({ realm: 'bank' }));
      expect(plain.length).toBeGreaterThan(0);
      for (const line of plain) expect(line).toMatch(/^[A-Za-z]+ realm="bank"/);
      for (const line of plain) expect(line).not.toContain('error=');
      const denial = await denialOf(world.judge(await client.forge(REQUEST)));
      expect(linesFor(world, denial).join()).toContain('error=');
    });

    if (!isToken) {
      describe.each(stores.map((store) => [store.title, store] as const))('on %s', (_title, under) => {
        // One for both tests: a server that has just been met lets nobody in for seconds.
        let store: Store;
        let world: SchemeWorld;
        let client: Awaited<ReturnType<typeof scheme.enter>>;
        beforeAll(async () => {
          store = await under.open();
          world = createSchemeWorld(definition, { settings, verify, store, clock: realClock });
          client = await scheme.enter(world);
          await afterHorizon(store);
        }, 30_000);
        afterAll(() => store.close());

        test('of 64 concurrent copies of one proof exactly one is allowed (CT-09)', async () => {
          const proven = await client.prove(REQUEST);
          const outcomes = await Promise.all(Array.from({ length: 64 }, () => outcomeOf(world.judge(proven))));
          expect(outcomes.filter((outcome) => outcome === 'allow')).toHaveLength(1);
          expect(new Set(outcomes)).toEqual(new Set(['allow', spentCode]));
        });

        test('a retried Check is allowed again, concurrently too; another Check is not (CT-10)', async () => {
          const proven = await client.prove(REQUEST);
          const checkId = newCheckId();
          const outcomes = await Promise.all(
            Array.from({ length: 8 }, () => outcomeOf(world.judge(proven, { checkId }))),
          );
          expect(new Set(outcomes)).toEqual(new Set(['allow']));
          expect(await codeOf(world.judge(proven))).toBe(spentCode);
        });
      });
    }
  });

  /** A server that has just been met refuses what a client, by its future tolerance, may have spent before. */
  async function afterHorizon(store: Store): Promise<void> {
    const untilMs = store.horizonMs() + leadMs - realClock.nowMs();
    if (untilMs > 0) await sleep(untilMs);
  }

  async function watchRefusal(world: SchemeWorld, parts: RequestParts) {
    world.store.calls.length = 0;
    const before = world.verifications;
    const denial = await denialOf(world.judge(parts));
    return {
      denial,
      verbs: world.store.calls.map(({ verb, key }) => `${verb} ${key.slice(0, 1)}`),
      verifications: world.verifications - before,
      told: {
        code: wireCode(denial.code),
        form: denial.form,
        retryAfter: denial.options.retryAfterSeconds,
        headers: denial.options.replyHeaders,
        lines: linesFor(world, denial).map((line) => scheme.withoutRandom?.(line) ?? line),
      },
    };
  }
}

const realClock = { nowMs: () => Date.now(), monotonicMs: () => performance.now() };

/** Under a clock of its own, as on a replica that runs ahead or behind; rejects whether the scheme throws at once or later. */
async function judgeAt(world: SchemeWorld, request: ReturnType<typeof authRequest>) {
  return world.scheme.verify(request, world.policy(), checkCall());
}

function linesFor(world: SchemeWorld, denial: Denial): readonly string[] {
  return world.scheme.challenges(world.policy(), { denial, nowMs: START_MS });
}

/** Without the slowest tenth: pauses of the machine, which hit either side. */
export function cropped(times: readonly number[]): readonly number[] {
  return times.toSorted((a, b) => a - b).slice(0, Math.floor(times.length * 0.9));
}

export function welchT(one: readonly number[], other: readonly number[]): number {
  const [a, b] = [moments(one), moments(other)];
  return (a.mean - b.mean) / Math.sqrt(a.variance / one.length + b.variance / other.length);
}

function moments(values: readonly number[]): { mean: number; variance: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  return { mean, variance };
}

export function headerOf(parts: RequestParts, name: string): string {
  return parts.headers.find(([other]) => other === name)?.[1] ?? '';
}

function lengthened(parts: RequestParts, name: string): RequestParts {
  return withHeader(parts, name, headerOf(parts, name) + 'a'.repeat(4096));
}

function flipped(parts: RequestParts, field: string, at: number, by: number): RequestParts {
  if (field === 'body') {
    const bytes = parts.body.kind === 'complete' ? Uint8Array.from(parts.body.bytes) : new Uint8Array(1);
    bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ by;
    return { ...parts, body: complete(bytes) };
  }
  const text = parts[field as 'method' | 'authority' | 'target'];
  const index = at % text.length;
  const changed = String.fromCharCode(text.charCodeAt(index) ^ (by % 128 || 1));
  return { ...parts, [field]: text.slice(0, index) + changed + text.slice(index + 1) };
}
