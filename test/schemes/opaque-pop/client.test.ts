/** The client library's half: what it asks, what it refuses to believe, and how it keeps a session. */
import { describe, expect, test } from '@jest/globals';
import { CountersignError } from '../../../src/core/client-error.ts';
import type { IssuerConnection, OutgoingRequest } from '../../../src/core/signer.ts';
import { createClient } from '../../../src/client/client.ts';
import { connectIssuer } from '../../../src/client/connect.ts';
import { encodeBase64url } from '../../../src/encoding/base64url.ts';
import {
  exportSession,
  importSession,
  logIn,
  logOut,
  opaquePop,
  registerPassword,
  type PasswordSession,
} from '../../../src/schemes/opaque-pop/client.ts';
import { parseStrictProof } from '../../../src/schemes/opaque-pop/message.ts';
import { opaquePop as scheme } from '../../../src/schemes/opaque-pop/index.ts';
import { openGateway } from '../../support/gateway.ts';
import { rejectionOf } from '../../support/refused.ts';
import { createSchemeWorld } from '../../support/scheme-world.ts';
import { PASSWORD, popWorld } from './pop-world.ts';
import { CHEAP, loggedIn } from './prover.ts';

const NOW_MS = 1_700_000_000_000.75;
const REQUEST: OutgoingRequest = {
  method: 'GET',
  scheme: 'https',
  authority: 'api.example.com',
  target: '/',
  body: new Uint8Array(0),
  bodyDigest: new Uint8Array(32),
};

const codeOf = async (run: Promise<unknown>): Promise<string> => {
  const thrown = await rejectionOf(run);
  if (thrown instanceof CountersignError) return thrown.code;
  throw thrown;
};

async function session(changes: Partial<PasswordSession> = {}): Promise<PasswordSession> {
  const key = await crypto.subtle.importKey('raw', new Uint8Array(64), { name: 'HMAC', hash: 'SHA-256' }, true, [
    'sign',
  ]);
  return { user: 'alice', sid: 'A'.repeat(43), key, expiresAtMs: 2, idleMs: 1, ...changes };
}

/** An issuer that answers as told. */
function issuerWith(answers: Record<string, object>, parameters: object = { ksf: CHEAP }) {
  const posted: [string, object][] = [];
  const issuer: IssuerConnection = {
    parameters: async () => parameters as Record<string, unknown>,
    async post(tail, body) {
      posted.push([tail, body]);
      return (answers[tail] ?? {}) as Record<string, unknown>;
    },
    nowMs: () => NOW_MS,
  };
  return { issuer, posted };
}

describe('the signer', () => {
  test("signs with the server's time in whole milliseconds and a nonce of its own each time", async () => {
    const signer = opaquePop(await session());
    const { issuer } = issuerWith({});
    const proofs = [];
    for (let count = 0; count < 3; count += 1) {
      const [[name, value] = ['', '']] = await signer.sign(REQUEST, issuer);
      expect(name).toBe('authorization');
      proofs.push(parseStrictProof(value));
    }
    expect(proofs.map(({ tsMs }) => tsMs)).toEqual([1_700_000_000_000, 1_700_000_000_000, 1_700_000_000_000]);
    expect(new Set(proofs.map(({ nonce }) => encodeBase64url(nonce))).size).toBe(3);
  });

  test.each([
    ['stale', true],
    ['not_yet_valid', true],
    ['replayed', true],
    ['signature_invalid', false],
    ['revoked', false],
    ['malformed', false],
    ['rate_limited', false],
    ['unavailable', false],
  ])('after %s another proof is worth trying: %s', async (code, isWorthIt) => {
    expect(await opaquePop(await session()).refused({ code, parameters: new Map() }, [])).toBe(isWorthIt);
  });
});

test.each([['strict']])('a clock that is wrong by an hour is corrected by the first refusal', async () => {
  const world = createSchemeWorld(scheme, { settings: { ksf: CHEAP } });
  const { sid, key: raw } = await loggedIn(world, 'strict');
  const key = await crypto.subtle.importKey('raw', new Uint8Array(raw), { name: 'HMAC', hash: 'SHA-256' }, false, [
    'sign',
  ]);
  const gateway = await openGateway(world);
  try {
    // The world stands at 2023: this machine's clock is years ahead of it.
    const client = createClient({ baseUrl: gateway.url, signer: opaquePop({ sid, key }) });
    expect((await client.fetch('/a')).status).toBe(200);
    expect(gateway.judged).toHaveLength(2);
    expect((await client.fetch('/b')).status).toBe(200);
    expect(gateway.judged).toHaveLength(3);
  } finally {
    await gateway.close();
  }
});

describe('login', () => {
  test('a wrong password and a user without one are the same error, found out without a second call', async () => {
    const world = await popWorld();
    await world.register('alice');
    const errors = [];
    for (const [user, password] of [
      ['alice', 'wrong'],
      ['nobody', PASSWORD],
    ] as const) {
      const thrown = (await rejectionOf(logIn(world.issuer, { user, password }))) as CountersignError;
      errors.push([thrown.code, thrown.message]);
    }
    expect(errors[0]).toEqual(errors[1]);
    expect(errors[0]?.[0]).toBe('signature_invalid');
    expect(world.store.calls.filter(({ verb }) => verb === 'take')).toHaveLength(1); // The invitation.
  });

  test('neither the password nor a part of it is ever sent', async () => {
    const world = await popWorld();
    const sent: string[] = [];
    const issuer: IssuerConnection = {
      ...world.issuer,
      post(tail, body) {
        sent.push(JSON.stringify(body));
        return world.issuer.post(tail, body);
      },
    };
    await registerPassword(issuer, {
      user: 'alice',
      password: 'canary-password',
      invitation: await world.invite('alice'),
    });
    await logIn(issuer, { user: 'alice', password: 'canary-password' });
    expect(sent).toHaveLength(4);
    for (const body of sent) {
      expect(body).not.toContain('canary');
      expect(body).not.toContain(encodeBase64url(new TextEncoder().encode('canary-password')));
    }
  });

  test('the key can not be read out unless that was asked for', async () => {
    const world = await popWorld();
    await world.register('alice');
    const closed = await logIn(world.issuer, { user: 'alice', password: PASSWORD });
    expect(closed.key.extractable).toBe(false);
    expect(await codeOf(exportSession(closed))).toBe('key_unusable');
    const open = await logIn(world.issuer, { user: 'alice', password: PASSWORD, extractable: true });
    const kept = await importSession(await exportSession(open));
    expect(kept).toMatchObject({ user: 'alice', sid: open.sid, expiresAtMs: open.expiresAtMs, idleMs: open.idleMs });
    expect(kept.key.extractable).toBe(false);
    expect((await world.judge(await world.sign(kept))).subject).toBe('alice');
    await logOut({ ...world.issuer, nowMs: () => world.clock.nowMs() }, kept);
  });

  test('a password that has no UTF-8 form is request_unsuitable: it would be another one', async () => {
    const { issuer, posted } = issuerWith({});
    expect(await codeOf(logIn(issuer, { user: 'alice', password: 'a\ud800' }))).toBe('request_unsuitable');
    expect(posted).toEqual([]);
  });
});

describe('a false server', () => {
  const b64 = (length: number) => encodeBase64url(new Uint8Array(length).fill(0xff));

  test.each([
    [{ memoryKib: 8, iterations: 1, parallelism: 1 }],
    [{ memoryKib: 4_194_304, iterations: 1, parallelism: 1 }],
    [{ memoryKib: 65_536, iterations: 1_000_000, parallelism: 1 }],
    [undefined],
  ])('that asks for a key stretching of %j is not obeyed', async (ksf) => {
    const { issuer, posted } = issuerWith({}, { ksf });
    expect(await codeOf(logIn(issuer, { user: 'alice', password: PASSWORD }))).toBe('answer_invalid');
    expect(await codeOf(registerPassword(issuer, { user: 'alice', password: PASSWORD, invitation: '' }))).toBe(
      'answer_invalid',
    );
    expect(posted).toEqual([]);
  });

  test.each([
    ['no answer', {}],
    ['an answer of another length', { response: b64(319) }],
    ['an answer that is no base64url', { response: '+'.repeat(427) }],
    ['points that are none', { response: b64(320) }],
  ])('that answers login/start with %s is answer_invalid', async (_title, answer) => {
    const { issuer, posted } = issuerWith({ 'login/start': answer });
    expect(await codeOf(logIn(issuer, { user: 'alice', password: PASSWORD }))).toBe('answer_invalid');
    expect(posted).toHaveLength(1);
  });

  test('that answers register/start with no points is answer_invalid, and gets no record', async () => {
    for (const response of [b64(64), b64(63), undefined]) {
      const { issuer, posted } = issuerWith({ 'register/start': { response } });
      const run = registerPassword(issuer, { user: 'alice', password: PASSWORD, invitation: '' });
      expect(await codeOf(run)).toBe('answer_invalid');
      expect(posted).toHaveLength(1);
    }
  });

  test.each([
    ['no session id', { sid: undefined }],
    ['a session id of another form', { sid: 'x' }],
    ['no times', { idleMs: 'soon' }],
  ])('that answers login/finish with %s is answer_invalid', async (_title, changes) => {
    const world = await popWorld();
    await world.register('alice');
    const issuer: IssuerConnection = {
      ...world.issuer,
      post: async (tail, body) => ({
        ...(await world.issuer.post(tail, body)),
        ...(tail === 'login/finish' && changes),
      }),
    };
    expect(await codeOf(logIn(issuer, { user: 'alice', password: PASSWORD }))).toBe('answer_invalid');
  });
});

test.each([
  ['nothing', ''],
  ['no JSON', 'sid'],
  ['null', 'null'],
  ['no key', JSON.stringify({ user: 'a', sid: 'A'.repeat(43), expiresAtMs: 1, idleMs: 1 })],
  ['a short key', JSON.stringify({ user: 'a', sid: 'A'.repeat(43), expiresAtMs: 1, idleMs: 1, k: 'AAAA' })],
  ['another session id', JSON.stringify({ user: 'a', sid: 'A', expiresAtMs: 1, idleMs: 1, k: 'A'.repeat(86) })],
])('a session file with %s is key_unusable, and its text is in no message', async (_title, text) => {
  const thrown = (await rejectionOf(importSession(text))) as CountersignError;
  expect(thrown.code).toBe('key_unusable');
  if (text !== '') expect(thrown.message).not.toContain(text);
});

test("a logout has the server's time from its first call on, whatever this machine's clock says", async () => {
  const world = await popWorld(); // Which stands at 2023.
  await world.register('alice');
  const held = await world.logIn('alice');
  await logOut(connectIssuer({ scheme: 'opaque-pop', baseUrl: world.url }), held);
});

test('tenants are named in every call that has one', async () => {
  const world = await popWorld();
  await world.register('alice', PASSWORD, 'acme');
  const held = await world.logIn('alice', PASSWORD, 'acme');
  expect(held.tenant).toBe('acme');
  await logOut({ ...world.issuer, nowMs: () => world.clock.nowMs() }, held);
});
