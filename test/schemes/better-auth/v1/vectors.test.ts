/** The v1 lists of `better-auth.json` (BA-01, BA-02). */
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { textDigest } from '../../../../src/crypto/blake3.ts';
import { sha256 } from '../../../../src/crypto/digest.ts';
import { createSignatures } from '../../../../src/crypto/signatures.ts';
import { storeKey } from '../../../../src/crypto/store-key.ts';
import { formatAttributes } from '../../../../src/encoding/attributes.ts';
import { decodeBase64url } from '../../../../src/encoding/base64url.ts';
import { toHex, utf8 } from '../../../../src/encoding/bytes.ts';
import { decode } from '../../../../src/encoding/cesr.ts';
import { formatReply } from '../../../../src/schemes/better-auth/v1/message.ts';
import type { KeyClass } from '../../../../src/core/store.ts';
import { complete, type RequestParts } from '../../../support/auth-request.ts';
import { outcomeOf } from '../../../support/refused.ts';
import type { SchemeWorld } from '../../../support/scheme-world.ts';
import { writesOf } from '../../../support/watched-store.ts';
import { betterAuthWorld, call, RING, ringKey, vectorKey, vectors } from '../world.ts';

/** Of the tokens in the vectors. */
const ATTRIBUTES = { permissionsByRole: { admin: ['read', 'write'] } };

type Step = (typeof vectors.v1)[number];

/** Plays the steps before this one, with the challenge of the vectors handed out. */
async function playedUntil(operation: string | undefined, settings: object = {}): Promise<SchemeWorld> {
  const world = betterAuthWorld({ settings: { defaultAttributes: ATTRIBUTES, ...settings } });
  world.resources.random = pinnedNonce(world.resources.random);
  for (const step of vectors.v1) {
    if (operation !== undefined && step.operation === operation) return world;
    expect((await play(world, step)).status).toBe(200);
  }
  return world;
}

/** The only random value of v1: the challenge of the vectors. */
function pinnedNonce(random: (bytes: number) => Uint8Array) {
  const challenge = vectors.v1.find(({ operation }) => operation === 'session/request')?.challenge ?? '';
  return (bytes: number) => (bytes === 16 ? Uint8Array.from(decode(challenge, ['0A']).raw) : random(bytes));
}

function play(world: SchemeWorld, { nowMs, path, requestBody }: Step) {
  world.clock.set(nowMs);
  return call(world, path, requestBody);
}

/** Signatures and compressed bytes differ from run to run; a token is shown by what it inflates to. */
function withoutChance(reply: string): string {
  return reply
    .replaceAll(/"token":"[^"]{88}([^"]+)"/g, (_, packed: string) => {
      const inflated = gunzipSync(decodeBase64url(packed) ?? new Uint8Array(0));
      return `"token":${JSON.stringify(inflated.toString())}`;
    })
    .replace(/"signature":"0I[^"]{86}"\}$/, '"signature":"0I"}');
}

describe('operations in the order of the vectors (BA-02)', () => {
  test('each gives the stated reply, but for signatures and gzip bytes, and each reply is signed', async () => {
    const world = await playedUntil('account/create');
    const jwk = publicJwkOf('response-server');
    for (const step of vectors.v1) {
      const { status, text } = await play(world, step);
      expect([step.operation, status, withoutChance(text)]).toEqual([
        step.operation,
        200,
        withoutChance(step.replyBody),
      ]);
      const [, payload = '', signature = ''] = /^\{"payload":(.*),"signature":"(0I.{86})"\}$/.exec(text) ?? [];
      const bytes = decode(signature, ['0I']).raw;
      expect(createSignatures({ mode: 'sync' }).verify({ alg: 'ES256', jwk }, utf8(payload), bytes)).toBe(true);
    }
  });

  test.each(vectors.v1.filter(({ effect }) => effect !== undefined))(
    '$operation stores the stated effect with its nonce',
    async (step) => {
      const world = await playedUntil(step.operation);
      world.store.calls.length = 0;
      await play(world, step);
      const written = writesOf(world.store).find(({ verb }) => verb === 'swap')?.rest[1];
      if (step.operation === 'account/delete') return expect(written).toContain('"state":"deleted"');
      const nonce: string = JSON.parse(step.requestBody).payload.access.nonce;
      expect(written).toContain(`"applied":{"effect":"${step.effect}","nonce":"${nonce}"}`);
    },
  );
});

describe('refusals of the issuer', () => {
  const states: Readonly<Record<string, string | undefined>> = {
    'state: empty': 'account/create',
    'state: after account/create': 'device/rotate',
    'state: after device/rotate': 'session/request',
    'state: after device/rotate and session/request': 'session/create',
    'state: after session/create': 'session/refresh',
    'state: after session/create; the challenge is gone': 'session/refresh',
    'state: after session/refresh': 'device/link',
    'state: after device/unlink': 'recovery/change',
    'state: after recovery/change': 'account/recover',
    'state: after recovery/change, v1.recoveryGrace = 0s': 'account/recover',
    'state: after account/delete': undefined,
  };

  test.each(vectors.issuerNegativeV1)('$name: $outcome', async ({ path, body, outcome, status, error, note }) => {
    expect(Object.keys(states)).toContain(note);
    const world = await playedUntil(states[note]);
    world.store.calls.length = 0;
    const reply = await call(world, path, body);
    expect([reply.status, reply.error]).toEqual([status, error]);
    if (outcome.startsWith('success')) {
      expect(writesOf(world.store)).toEqual([]);
    } else {
      expect(reply.code === 'unknown_credential' ? 'signature_invalid' : reply.code).toBe(outcome);
      // Taking what is not there, and making what is, change nothing.
      const changes = writesOf(world.store).filter(({ answer }) => answer !== null && answer !== false);
      expect(changes).toEqual([]);
    }
  });
});

/** As `accessNegativeState` says: device A is active, no other proof was seen. */
async function withDeviceA(settings: object = {}): Promise<SchemeWorld> {
  return playedUntil('device/link', settings);
}

function accessRequest(body: string): RequestParts {
  return {
    method: 'POST',
    scheme: 'https',
    authority: 'api.example.com',
    target: '/foo/bar',
    headers: [['content-type', 'application/json']],
    body: complete(body),
  };
}

describe('access messages in the body', () => {
  test.each(vectors.accessBody.filter(({ version }) => version === 'v1'))('$name: allowed once', async (row) => {
    const { nowMs, body, identity } = row;
    const world = await withDeviceA();
    world.clock.set(nowMs);
    const judged = await world.judge(accessRequest(body));
    if (identity !== undefined) {
      expect([judged.subject, judged.keyId]).toEqual([identity.subject, identity.keyId]);
      expect(formatAttributes(judged.attributes)).toBe(identity.attributes.value);
    }
    expect(await outcomeOf(world.judge(accessRequest(body)))).toBe('replayed');
  });

  test.each(vectors.accessNegative)('$name: $outcome (BA-15)', async ({ nowMs, body, outcome }) => {
    const world = await withDeviceA();
    world.clock.set(nowMs);
    const got = await outcomeOf(world.judge(accessRequest(body)));
    expect(got === 'unknown_credential' ? 'signature_invalid' : got).toBe(outcome);
  });

  test('the other s value is replayed after the message, and the message after it (BA-16)', async () => {
    const original = vectors.accessBody[0]?.body ?? '';
    const other = vectors.accessNegative.find(({ name }) => name.startsWith('the other s value'))?.body ?? '';
    for (const [first, second] of [
      [original, other],
      [other, original],
    ] as const) {
      const world = await withDeviceA();
      world.clock.set(vectors.accessBody[0]?.nowMs ?? 0);
      expect(await outcomeOf(world.judge(accessRequest(first)))).toBe('allow');
      expect(await outcomeOf(world.judge(accessRequest(second)))).toBe('replayed');
    }
  });

  test('a token of a retired key passes until the key is gone', async () => {
    const [response, access] = RING;
    if (response === undefined || access === undefined) throw new Error('no ring');
    const world = await withDeviceA();
    const row = vectors.accessBody[0];
    world.clock.set(row?.nowMs ?? 0);
    const successor = ringKey('access-signing', vectorKey('access-server-retired'));
    world.ring = [response, successor, { ...access, state: 'retired', retireAtMs: (row?.nowMs ?? 0) + 1 }];
    expect(await outcomeOf(world.judge(accessRequest(row?.body ?? '')))).toBe('allow');
    world.ring = [response, successor];
    expect(await outcomeOf(world.judge(accessRequest(row?.body ?? '')))).toBe('unknown_credential');
  });

  test('a resource replies in the stated form', async () => {
    const example = vectors.accessBody[0]?.exampleResourceReply ?? '';
    const { nonce } = JSON.parse(example).payload.access;
    const { response } = JSON.parse(example).payload;
    const reply = await formatReply(
      { nonce, response },
      {
        alg: 'ES256',
        publicJwk: publicJwkOf('response-server'),
        sign: async (message) => decode(vectorKey('response-server').sign(message), ['0I']).raw,
      },
    );
    expect(withoutChance(reply)).toBe(withoutChance(example));
  });
});

function publicJwkOf(name: string) {
  const { d: _, ...publicJwk } = vectorKey(name).privateJwk;
  return publicJwk;
}

describe('values', () => {
  const named: Readonly<Record<string, string>> = Object.fromEntries(
    Object.entries(vectors.keys).map(([name, { publicKey }]) => [name, publicKey]),
  );

  test.each(vectors.hashes)('$name is $formula', ({ formula, value }) => {
    const inside = formula.slice('H('.length, -')'.length);
    expect(textDigest(...inside.split(' + ').map(valueOf))).toBe(value);
  });

  /** `publicKey of NAME`, `H(publicKey of NAME)`, or the name of a hash before. */
  function valueOf(term: string): string {
    const key = /^(?:H\()?publicKey of ([a-z0-9-]+)\)?$/.exec(term)?.[1];
    if (key === undefined) return vectors.hashes.find(({ name }) => name.startsWith(term))?.value ?? '';
    return term.startsWith('H(') ? textDigest(named[key] ?? '') : (named[key] ?? '');
  }

  test.each(vectors.tokens)('token $name: what was signed has the stated digest', ({ json, sha256: digest }) => {
    expect(toHex(sha256(json))).toBe(digest);
  });

  test.each(vectors.storeKeys)('store key of $parts is $key', ({ class: keyClass, parts, key }) => {
    expect(storeKey(keyClass as KeyClass, ...parts).text).toBe(key);
  });
});
