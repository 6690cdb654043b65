/** Access messages of v0 in both forms (BA-15 to BA-18, 25 to 27). What every scheme must do by the header is in header-conformance. */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { gzipSync } from 'node:zlib';
import { DENIAL_CODES } from '../../../../src/core/decision.ts';
import type { PrivateJwk } from '../../../../src/crypto/signatures.ts';
import { utf8 } from '../../../../src/encoding/bytes.ts';
import { packToken } from '../../../../src/schemes/better-auth/token-text.ts';
import { decode, encode } from '../../../../src/encoding/cesr.ts';
import { encodeBase64url } from '../../../../src/encoding/base64url.ts';
import { authRequest, complete, newCheckId, type RequestParts } from '../../../support/auth-request.ts';
import { StoreFault } from '../../../../src/core/fault.ts';
import { checkCall } from '../../../support/check-call.ts';
import { codeOf, denialOf, faultOf, outcomeOf, rejectionOf } from '../../../support/refused.ts';
import { Interruption, type SchemeWorld, SKEW_MS } from '../../../support/scheme-world.ts';
import { storesUnderTest } from '../../../support/stores.ts';
import { writesOf } from '../../../support/watched-store.ts';
import { systemClock } from '../../../../src/core/clock.ts';
import {
  type Access,
  accessBody,
  admin,
  betterAuthWorld,
  endMessage,
  entered,
  loggedIn,
  newKey,
  nonce,
  p256Key,
  refreshed,
  registered,
  rotated,
  send,
  withHeaderProof,
} from './prover.ts';

const BODY_FORM: RequestParts = {
  method: 'POST',
  scheme: 'https',
  authority: 'api.example.com',
  target: '/transfer',
  headers: [['content-type', 'application/json']],
  body: complete(''),
};
const HEADER_FORM: RequestParts = { ...BODY_FORM, method: 'GET', headers: [], target: '/reports/7?from=1' };

type Prove = (world: SchemeWorld, access: Access, proof?: Parameters<typeof accessBody>[3]) => RequestParts;
const FORMS: readonly (readonly [string, Prove])[] = [
  [
    'body',
    (world, access, proof) => ({ ...BODY_FORM, body: complete(accessBody(world, access, { foo: 'bar' }, proof)) }),
  ],
  ['header', (world, access, proof) => withHeaderProof(world, access, HEADER_FORM, proof)],
];

/** The same message with blanks between its tokens. */
const indented = (body: string) => JSON.stringify(JSON.parse(body), undefined, 2);

describe.each(FORMS)('%s form', (form, prove) => {
  test('names subject, device, nonce and version', async () => {
    const world = betterAuthWorld();
    const access = await entered(world, { kind: 'key', attributes: { role: 'admin' } });
    const once = nonce();
    expect(await world.judge(prove(world, access, { nonce: once }))).toMatchObject({
      subject: access.device.accountId,
      keyId: access.device.deviceId,
      attributes: { role: 'admin', auth: { device: access.device.deviceId, nonce: once, version: 'v0' } },
      consumed: form === 'header' ? ['authorization'] : [],
    });
  });

  test.each([
    [-5_001, 'not_yet_valid'],
    [-5_000, 'allow'],
    [30_000, 'allow'],
    [30_001, 'stale'],
  ])('a message judged %i ms after its time: %s (BA-15)', async (ageMs, outcome) => {
    const world = betterAuthWorld();
    const access = await entered(world);
    world.clock.advance(60_000);
    const judged = judgeAt(world, prove(world, access), world.clock.nowMs() + ageMs);
    expect(await outcomeOf(judged)).toBe(outcome);
  });

  test.each([
    [-5_001, 'not_yet_valid'],
    [-5_000, 'allow'],
    [900_000, 'allow'],
    [900_001, 'stale'],
  ])('a token judged %i ms after it was made: %s (BA-15)', async (ageMs, outcome) => {
    const world = betterAuthWorld();
    const access = await entered(world);
    const nowMs = world.clock.nowMs() + ageMs;
    // Its message has the time of the judge, or the whole second before.
    const proven = prove(world, access, { timestampMs: form === 'body' ? Math.floor(nowMs / 1000) * 1000 : nowMs });
    expect(await outcomeOf(judgeAt(world, proven, nowMs))).toBe(outcome);
  });

  test('refused up to a timestamp of horizon + S - 1 ms, accepted from horizon + S on (BA-31)', async () => {
    const world = betterAuthWorld();
    const access = await entered(world);
    world.clock.advance(20_000);
    const horizon = world.clock.nowMs() - 10_000;
    world.store.horizon = horizon;
    const at = (timestampMs: number) => outcomeOf(world.judge(prove(world, access, { timestampMs })));
    expect(await at(horizon + SKEW_MS - 1)).toBe('stale');
    expect(await at(horizon + SKEW_MS)).toBe('allow');
  });

  test('a nonce is good once, in either form and however it is written (BA-16)', async () => {
    const world = betterAuthWorld();
    const access = await entered(world);
    const once = nonce();
    const proven = prove(world, access, { nonce: once });
    await world.judge(proven);
    for (const [, other] of FORMS)
      expect(await codeOf(world.judge(other(world, access, { nonce: once })))).toBe('replayed');
    if (proven.body.kind !== 'complete' || form !== 'body') return;
    const text = new TextDecoder().decode(proven.body.bytes);
    expect(await codeOf(world.judge({ ...proven, body: complete(indented(text)) }))).toBe('replayed');
    expect(await codeOf(world.judge({ ...proven, body: complete(withOtherS(text)) }))).toBe('replayed');
  });

  test('a retried Check passes again (BA-16)', async () => {
    const world = betterAuthWorld();
    const proven = prove(world, await entered(world));
    const checkId = newCheckId();
    expect((await world.judge(proven, { checkId })).retried).toBe(false);
    expect((await world.judge(proven, { checkId })).retried).toBe(true);
    expect(await codeOf(world.judge(proven))).toBe('replayed');
  });

  test("nobody burns another's nonce", async () => {
    const world = betterAuthWorld();
    const [mine, theirs] = [await entered(world), await entered(world)];
    const once = nonce();
    await world.judge(prove(world, theirs, { nonce: once }));
    expect(await outcomeOf(world.judge(prove(world, mine, { nonce: once })))).toBe('allow');
  });

  test('a stolen token without its key is signature_invalid, and writes nothing', async () => {
    const world = betterAuthWorld();
    const access = await entered(world);
    world.store.calls.length = 0;
    expect(await codeOf(world.judge(prove(world, access, { signer: newKey() })))).toBe('signature_invalid');
    expect(writesOf(world.store)).toEqual([]);
  });

  test('another token of the same key is not accepted in the place of its own (BA-25, W20)', async () => {
    const world = betterAuthWorld();
    const [mine, theirs] = [await entered(world), await entered(world)];
    // As if the server had signed two tokens for one key: the binding names one.
    const swapped = { ...mine, token: theirs.token, json: theirs.json };
    expect(await codeOf(world.judge(prove(world, swapped)))).toBe('signature_invalid');
  });

  test.each<[string, (world: SchemeWorld, access: Awaited<ReturnType<typeof entered>>) => Promise<unknown>]>([
    [
      'the device removed',
      (world, { device }) => admin(world, 'v0/revoke', { subject: device.accountId, device: device.deviceId }),
    ],
    [
      'all sessions ended',
      (world, { device }) => admin(world, 'v0/revoke', { subject: device.accountId, sessions: true }),
    ],
    [
      'the account deleted',
      (world, { device }) => admin(world, 'v0/revoke', { subject: device.accountId, account: true }),
    ],
    ['the session ended', (world, { session }) => send(world, '/session/end', endMessage(session))],
    ['the device rotated', (world, { device }) => rotated(world, device)],
  ])(
    'with %s between two accesses the second is revoked, one with a wrong signature is not told (BA-18)',
    async (_what, revoke) => {
      const world = betterAuthWorld();
      const access = await entered(world);
      await world.judge(prove(world, access));
      await revoke(world, access);
      world.store.calls.length = 0;
      expect(await codeOf(world.judge(prove(world, access)))).toBe('revoked');
      expect(await codeOf(world.judge(prove(world, access, { signer: newKey() })))).toBe('signature_invalid');
      expect(writesOf(world.store)).toEqual([]);
    },
  );

  test('a device registered again under the id of a removed one brings no session back', async () => {
    const world = betterAuthWorld();
    const access = await entered(world);
    const { accountId, deviceId } = access.device;
    const { registerKeyMessage, issue } = await import('./prover.ts');
    await admin(world, 'v0/revoke', { subject: accountId, device: deviceId });
    const { token } = await issue(world, { kind: 'key', subject: accountId });
    await send(world, '/register/key', registerKeyMessage(token, deviceId, newKey(), newKey()));
    expect(await codeOf(world.judge(prove(world, access)))).toBe('revoked');
  });

  test('a token whose binding is gone, or is to another token, is revoked though the server signed it (W20)', async () => {
    const world = betterAuthWorld();
    const access = await entered(world);
    const server = world.ring.find(({ use }) => use === 'access-signing');
    const signer = p256Key(JSON.parse(new TextDecoder().decode(server?.material.reveal())) as PrivateJwk);
    const json = access.json.replace('"attributes":{}', '"attributes":{"role":"admin"}');
    expect(json).not.toBe(access.json);
    const other = { ...access, json, token: packToken(signer.sign(json), json) };
    expect(await codeOf(world.judge(prove(world, other)))).toBe('revoked');
    expect(await outcomeOf(world.judge(prove(world, access)))).toBe('allow');
    await world.store.delete(world.resources.storeKey('s', 'default', 'v0-access-key', access.key.word));
    expect(await codeOf(world.judge(prove(world, access)))).toBe('revoked');
  });

  test('for another audience it is signature_invalid', async () => {
    const world = betterAuthWorld({ settings: { audience: 'https://one.example.com' } });
    const access = await entered(world);
    const other = betterAuthWorld({
      store: world.store,
      clock: world.clock,
      ring: world.ring,
      settings: { audience: 'https://two.example.com' },
    });
    expect(await outcomeOf(world.judge(prove(world, access)))).toBe('allow');
    expect(await codeOf(other.judge(prove(other, access)))).toBe('signature_invalid');
  });

  test("a token passes by the key that signs next and by the one retired, until that one's end (BA-20)", async () => {
    const world = betterAuthWorld();
    const access = await entered(world);
    const [mine, fresh] = [world, betterAuthWorld()].map(({ ring }) =>
      ring.find(({ use }) => use === 'access-signing'),
    );
    if (mine === undefined || fresh === undefined) throw new Error('no key');
    const others = world.ring.filter(({ use }) => use !== 'access-signing');
    const retireAtMs = world.clock.nowMs() + 60_000;
    world.ring = [...others, { ...fresh, state: 'active' }, { ...mine, state: 'retired', retireAtMs }];
    expect(await outcomeOf(world.judge(prove(world, access)))).toBe('allow');
    const late = await refreshed(world, access.session);
    world.ring = [...others, { ...mine, state: 'active' }, { ...fresh, state: 'next' }];
    expect(await outcomeOf(world.judge(prove(world, late)))).toBe('allow');
    world.ring = [...others, { ...fresh, state: 'active' }, { ...mine, state: 'retired', retireAtMs }];
    world.clock.advance(60_001);
    expect(await codeOf(world.judge(prove(world, access)))).toBe('unknown_credential');
    expect(await outcomeOf(world.judge(prove(world, late)))).toBe('allow');
  });

  test('once the key that signed the token has left the ring it is refused, from a warm cache too (BA-19)', async () => {
    const world = betterAuthWorld();
    const access = await entered(world);
    await world.judge(prove(world, access));
    const other = betterAuthWorld();
    world.ring = world.ring.map((key) =>
      key.use === 'access-signing' ? (other.ring.find(({ use }) => use === key.use) ?? key) : key,
    );
    expect(await codeOf(world.judge(prove(world, access)))).toBe('unknown_credential');
  });

  test('a wire version or carrier that the route does not take is not ours', async () => {
    const world = betterAuthWorld();
    const access = await entered(world);
    const options = world.settings as object;
    const without = (change: object) => ({ policy: { options: { ...options, ...change } } });
    expect(await codeOf(world.judge(prove(world, access), without({ versions: ['v1'] })))).toBe(
      form === 'body' ? 'credentials_missing' : 'malformed',
    );
    const carriers = form === 'body' ? ['header'] : ['body'];
    expect(await codeOf(world.judge(prove(world, access), without({ carriers })))).toBe('credentials_missing');
  });

  test('with the store down it is a fault; a throw at any step is passed on, and the same Check passes then (BA-30)', async () => {
    const world = betterAuthWorld();
    const access = await entered(world);
    await world.judge(prove(world, access));
    const start = world.steps;
    await world.judge(prove(world, access));
    const steps = world.steps - start;
    for (let step = 1; step <= steps; step += 1) {
      const proven = prove(world, access);
      const checkId = newCheckId();
      world.failAtStep = world.steps + step;
      expect(await rejectionOf(world.judge(proven, { checkId }))).toBeInstanceOf(Interruption);
      world.failAtStep = undefined;
      expect(await outcomeOf(world.judge(proven, { checkId }))).toBe('allow');
    }
    world.store.before = () => {
      throw new StoreFault('down', 'no connection');
    };
    expect((await faultOf(world.judge(prove(world, access)))).reason).toBe('down');
  });

  test.each(storesUnderTest.map((store) => [store.title, store] as const))(
    'of 100 copies over two replicas on %s exactly one passes (BA-16)',
    async (_title, under) => {
      const store = await under.open();
      try {
        const world = betterAuthWorld({ store, clock: systemClock });
        const replica = betterAuthWorld({ store, clock: systemClock, ring: world.ring });
        const device = await registered(world);
        const session = await loggedIn(world, device);
        const access = await refreshed(world, session);
        const untilMs = store.horizonMs() + SKEW_MS + 1000 - Date.now();
        if (untilMs > 0) await new Promise((resolve) => setTimeout(resolve, untilMs));
        const proven = prove(world, access);
        const outcomes = await Promise.all(
          Array.from({ length: 100 }, (_, at) => outcomeOf((at % 2 === 0 ? world : replica).judge(proven))),
        );
        expect(outcomes.filter((outcome) => outcome === 'allow')).toHaveLength(1);
        expect(new Set(outcomes)).toEqual(new Set(['allow', 'replayed']));
      } finally {
        await store.close();
      }
    },
    30_000,
  );
});

describe('body form', () => {
  async function message() {
    const world = betterAuthWorld();
    const access = await entered(world);
    return {
      world,
      access,
      body: accessBody(world, access, { a: ['x y', 'tab\t', 1.5e3, { 'b c': null }], e: 'é\\u00e9' }),
    };
  }
  const judged = (world: SchemeWorld, body: string, change: Partial<RequestParts> = {}) =>
    world.judge({ ...BODY_FORM, body: complete(body), ...change });

  test('property: blanks between tokens keep the signature good, inside strings they break it (BA-26)', async () => {
    const { world, body } = await message();
    const tokens = body.match(/"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^"{}[\]:,\s]+/g) ?? [];
    expect(tokens.join('')).toBe(body);
    const blanks = fc.array(fc.constantFrom('', ' ', '\n', '\t', '\r', '  \r\n'), { minLength: 1, maxLength: 9 });
    const checkId = newCheckId();
    await fc.assert(
      fc.asyncProperty(blanks, async (between) => {
        const spaced = tokens.map((token, at) => (between[at % between.length] ?? '') + token).join('');
        expect(await outcomeOf(world.judge({ ...BODY_FORM, body: complete(spaced) }, { checkId }))).toBe('allow');
      }),
    );
    const strings = [...body.matchAll(/"(?:[^"\\]|\\.)*"/g)].filter(
      ({ index }) => index > body.indexOf('"request":') && index < body.indexOf('"signature"') - 1,
    );
    const inside = fc.record({ which: fc.nat(), at: fc.nat() });
    await fc.assert(
      fc.asyncProperty(inside, async ({ which, at }) => {
        const string = strings[which % strings.length];
        if (string === undefined) return;
        const place = string.index + 1 + (at % Math.max(1, string[0].length - 1));
        if (body[place - 1] === '\\' || /\\u[0-9a-f]{0,3}$/.test(body.slice(0, place))) return;
        const altered = `${body.slice(0, place)} ${body.slice(place)}`;
        expect(['signature_invalid', 'malformed']).toContain(await outcomeOf(judged(world, altered)));
      }),
    );
  });

  test('property: whatever a body holds, the answer is a refusal or this client, never a fault', async () => {
    const { world, access, body } = await message();
    const checkId = newCheckId();
    const edits = fc.record({ at: fc.nat(), removed: fc.nat({ max: 3 }), inserted: fc.string({ maxLength: 3 }) });
    await fc.assert(
      fc.asyncProperty(edits, async ({ at, removed, inserted }) => {
        const start = at % body.length;
        const edited = body.slice(0, start) + inserted + body.slice(start + removed);
        const judgedAs = await world.judge({ ...BODY_FORM, body: complete(edited) }, { checkId }).then(
          ({ subject }) => subject,
          async (thrown) => (await denialOf(Promise.reject(thrown))).code,
        );
        expect([...Object.keys(DENIAL_CODES), access.device.accountId]).toContain(judgedAs);
      }),
    );
  });

  test('a query is malformed unless the route allows it, a target member must be right where one is required (W8)', async () => {
    const { world, access, body } = await message();
    const options = world.settings as object;
    expect(await codeOf(judged(world, body, { target: '/transfer?a=1' }))).toBe('malformed');
    const allowed = { policy: { options: { ...options, allowUnsignedQuery: true } } };
    expect(await outcomeOf(world.judge({ ...BODY_FORM, target: '/transfer?a=1', body: complete(body) }, allowed))).toBe(
      'allow',
    );
    const required = { policy: { options: { ...options, requireTargetMember: true } } };
    const withTarget = (target: unknown) =>
      world.judge({ ...BODY_FORM, body: complete(accessBody(world, access, { target })) }, required);
    const right = { authority: 'api.example.com', method: 'POST', target: '/transfer' };
    expect(await outcomeOf(withTarget(right))).toBe('allow');
    for (const wrong of [
      undefined,
      { ...right, target: '/other' },
      { ...right, method: 'PUT' },
      { ...right, authority: 'x' },
      { ...right, more: 1 },
      'POST',
    ])
      expect(await codeOf(withTarget(wrong))).toBe('malformed');
  });

  test.each<[string, (body: string) => string, string]>([
    ['the request altered', (body) => body.replace('x y', 'x z'), 'signature_invalid'],
    [
      'the time altered',
      (body) => body.replace(/"timestamp":"(....-..-..T..:..):../, '"timestamp":"$1:01'),
      'signature_invalid',
    ],
    [
      'the nonce altered',
      (body) => body.replace(/"nonce":"0A.{4}/, (start) => `${start.slice(0, -1)}${start.endsWith('A') ? 'B' : 'A'}`),
      'signature_invalid',
    ],
    ['a line feed signed and not sent', (body) => body.replace(/"signature":"0I(.)/, '"signature":"0I$1'), 'allow'],
    ['a member added', (body) => body.replace('"access":{', '"access":{"more":1,'), 'malformed'],
    ['a member beside payload', (body) => body.replace('{"token"', '{"more":1,"token"'), 'malformed'],
    [
      'a member twice',
      (body) => body.replace('"access":{', '"access":{"nonce":"0AAAAAAAAAAAAAAAAAAAAAAA",'),
      'malformed',
    ],
    ['a member twice inside request', (body) => body.replace('"e":', '"a":'), 'malformed'],
    ['request missing', (body) => body.replace(/,"request":.*?\}\}(?=,"signature")/, '}'), 'malformed'],
    ['text behind it', (body) => `${body}x`, 'malformed'],
    ['a byte order mark', (body) => `\ufeff${body}`, 'malformed'],
    ['a token that is no text', (body) => body.replace(/"token":"[^"]*"/, '"token":1'), 'malformed'],
    ['a fraction of a second', (body) => body.replace(/(:\d\d)Z"/, '$1.5Z"'), 'signature_invalid'],
    [
      'a time that is none',
      (body) => body.replace(/"timestamp":"[^"]*"/, '"timestamp":"2026-02-30T00:00:00Z"'),
      'malformed',
    ],
    ['an offset in place of Z', (body) => body.replace(/(:\d\d)Z"/, '$1+00:00"'), 'malformed'],
    ['an empty nonce', (body) => body.replace(/"nonce":"[^"]*"/, '"nonce":""'), 'malformed'],
    ['a signature of another code', (body) => body.replace('"signature":"0I', '"signature":"0B'), 'malformed'],
    ['payload missing', () => '{"token":"x","signature":"y"}', 'credentials_missing'],
    ['another JSON', () => '{"amount":50}', 'credentials_missing'],
    ['no JSON', () => 'amount=50', 'malformed'],
  ])('%s: the answer fits', async (_what, change, outcome) => {
    const { world, body } = await message();
    const changed = change(body);
    if (outcome !== 'allow') expect(changed).not.toBe(body);
    world.store.calls.length = 0;
    expect(await outcomeOf(judged(world, changed))).toBe(outcome);
    if (outcome !== 'allow') expect(writesOf(world.store)).toEqual([]);
  });

  test('other methods, media types and empty bodies are not ours', async () => {
    const { world, body } = await message();
    expect(await codeOf(judged(world, body, { method: 'PUT' }))).toBe('credentials_missing');
    expect(await codeOf(judged(world, body, { headers: [['content-type', 'text/plain']] }))).toBe(
      'credentials_missing',
    );
    expect(await codeOf(judged(world, body, { headers: [] }))).toBe('credentials_missing');
    expect(await codeOf(judged(world, ''))).toBe('credentials_missing');
    expect(
      await outcomeOf(judged(world, body, { headers: [['content-type', 'Application/JSON; charset=utf-8']] })),
    ).toBe('allow');
  });

  test('a body above the limit is 413 (BA-29)', async () => {
    const { world, access } = await message();
    const sized = (length: number) => {
      const empty = accessBody(world, access, '').length;
      return accessBody(world, access, 'x'.repeat(length - empty));
    };
    expect(await outcomeOf(judged(world, sized(65_536)))).toBe('allow');
    const denial = await denialOf(judged(world, sized(65_537)));
    expect([denial.code, denial.form.status]).toEqual(['malformed', 413]);
  });
});

describe('token text (BA-14, BA-27)', () => {
  const repacked = (access: Access, content: string | Uint8Array): Access => ({
    ...access,
    token:
      access.token.slice(0, 88) +
      encodeBase64url(gzipSync(typeof content === 'string' ? utf8(content) : content, { level: 9 })),
  });

  test.each<[string, (json: string) => string, string]>([
    ['as it was signed', (json) => json, 'allow'],
    ['with one line feed', (json) => `${json}\n`, 'allow'],
    ['with two line feeds', (json) => `${json}\n\n`, 'signature_invalid'],
    ['with a carriage return', (json) => `${json}\r\n`, 'signature_invalid'],
    ['with a blank', (json) => `${json} `, 'signature_invalid'],
    [
      'with its members in another order',
      (json) => json.replace(/("issuedAt":"[^"]*"),("expiry":"[^"]*")/, '$2,$1'),
      'signature_invalid',
    ],
    [
      'with attributes changed',
      (json) => json.replace('"attributes":{', '"attributes":{"role":"admin",').replace(',}', '}'),
      'signature_invalid',
    ],
    ['with a member more', (json) => json.replace('{"identification"', '{"more":1,"identification"'), 'malformed'],
    ['with its expiry moved', (json) => json.replace(/"expiry":"2023/, '"expiry":"2033'), 'signature_invalid'],
    ['as no JSON', () => 'abc', 'malformed'],
  ])('%s', async (_what, change, outcome) => {
    const world = betterAuthWorld();
    const access = await entered(world, { kind: 'key' });
    const altered = repacked(access, change(access.json));
    const judged = world.judge({ ...BODY_FORM, body: complete(accessBody(world, altered, {})) });
    const told = await outcomeOf(judged);
    expect(told === 'unknown_credential' ? 'signature_invalid' : told).toBe(outcome);
  });
});

/** By a replica whose clock differs. */
const judgeAt = async (world: SchemeWorld, parts: RequestParts, nowMs: number) =>
  world.scheme.verify(authRequest(parts, nowMs), world.policy(), checkCall());

/** `n - s`: as good a signature of the same message. */
function withOtherS(body: string): string {
  const word = /"signature":"(0I[^"]{86})"/.exec(body)?.[1] ?? '';
  const { raw } = decode(word, ['0I']);
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const s = BigInt(`0x${Buffer.from(raw.subarray(32)).toString('hex')}`);
  const other = Buffer.from((order - s).toString(16).padStart(64, '0'), 'hex');
  return body.replace(word, encode('0I', Uint8Array.from([...raw.subarray(0, 32), ...other])));
}
