/** Every v1 operation with each member missing, added, doubled, or of another kind: refused by its form, before any store (BA-03). */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { parseStrictJson } from '../../../../src/encoding/strict-json.ts';
import { utf8 } from '../../../../src/encoding/bytes.ts';
import { betterAuthWorld, call, vectors } from '../world.ts';

type Json = Record<string, unknown>;

/** All paths to members, in depth. */
function pathsOf(value: unknown, at: readonly string[] = []): readonly (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) => [[...at, name], ...pathsOf(member, [...at, name])]);
}

function changedAt(value: unknown, path: readonly string[], change: (parent: Json, name: string) => void): unknown {
  const copy = structuredClone(value);
  const parent = path.slice(0, -1).reduce((object, name) => object[name] as Json, copy as Json);
  change(parent, path.at(-1) ?? '');
  return copy;
}

const TOO_FAR = '1AAIAv__________________________________________';
const OFF_CURVE = '1AAIAud7mprp4wsNvbb1EKJk753ngVAde2uSronrBZxat0Pb';

/** Other values for a member, all of them wrong. */
function othersOf(value: unknown): readonly unknown[] {
  if (typeof value !== 'string') return [null, 'text', 5, [value], []];
  const text = value;
  const common = [null, 5, true, [], {}, '', text.slice(1), text.slice(0, -1), `${text}A`, `${text}=`, ` ${text}`];
  const code = text.startsWith('1AAI') ? [TOO_FAR, OFF_CURVE, `1AAJ${text.slice(4)}`] : [];
  const otherCode = text.startsWith('E') ? [`F${text.slice(1)}`, `e${text.slice(1)}`] : [];
  const signature = /^0I.{86}$/.test(text) ? [`0B${text.slice(2)}`, `0Iz${text.slice(3)}`] : [];
  const nonce = /^0A.{22}$/.test(text) ? [`0B${text.slice(2)}`, `0A${text.slice(2, -1)}+`] : [];
  return [...common, ...code, ...otherCode, ...signature, ...nonce];
}

const ANY = vectors.v1.map(
  ({ operation, path, requestBody }) => [operation, path, JSON.parse(requestBody) as Json] as const,
);

const unlimited = { charge() {}, credential() {}, refund() {} };

describe.each(ANY)('%s', (_operation, path, right) => {
  const world = betterAuthWorld({ limits: unlimited });

  const refused = async (text: string | Uint8Array) => {
    const reply = await call(world, path, text);
    expect([text, reply.status, reply.error]).toEqual([text, 400, 'BA101']);
    expect(reply.text).toBe(
      '{"error":{"code":"BA101","message":"Message structure is invalid or malformed","context":{}}}',
    );
    expect(world.store.calls).toEqual([]);
  };

  test('refuses with BA101 each member missing', async () => {
    for (const at of pathsOf(right))
      await refused(JSON.stringify(changedAt(right, at, (parent, name) => delete parent[name])));
  });

  test('refuses with BA101 a member more, in each object', async () => {
    const objects = [[], ...pathsOf(right)].filter(
      (at) => typeof at.reduce<unknown>((value, name) => (value as Json)[name], right) === 'object',
    );
    for (const at of objects)
      await refused(JSON.stringify(changedAt(right, [...at, 'more'], (parent, name) => (parent[name] = 'x'))));
  });

  test('refuses with BA101 each member of another type, code or length', async () => {
    for (const at of pathsOf(right)) {
      const value = at.reduce<unknown>((object, name) => (object as Json)[name], right);
      if (at.at(-1) === 'token') continue; // Has a test of its own.
      for (const other of othersOf(value))
        await refused(JSON.stringify(changedAt(right, at, (parent, name) => (parent[name] = other))));
    }
  });

  test('refuses with BA101 each member twice, under an escaped name too', async () => {
    const text = JSON.stringify(right);
    const names = [...new Set(pathsOf(right).map((at) => at.at(-1) ?? ''))];
    for (const name of names) {
      const escaped = `\\u00${name.charCodeAt(0).toString(16)}${name.slice(1)}`;
      for (const twin of [name, escaped]) await refused(text.replace(`"${name}":`, `"${twin}":null,"${name}":`));
    }
  });

  test('refuses with BA101 what is no JSON object, and bytes that are no UTF-8', async () => {
    const text = JSON.stringify(right);
    for (const body of [
      '',
      ' ',
      '[]',
      'null',
      '5',
      `[${text}]`,
      `${text}x`,
      `${text}${text}`,
      text.slice(0, -1),
      `\ufeff${text}`,
    ])
      await refused(body);
    await refused(Uint8Array.of(0x7b, 0xff, 0x7d));
  });

  test('property: of any JSON the answer is a refusal, never a fault', async () => {
    await fc.assert(
      fc.asyncProperty(fc.json(), async (json) => {
        const { status } = await call(world, path, json);
        expect([400, 401]).toContain(status);
      }),
      { numRuns: 20 },
    );
  });

  test('a body above 32 KiB is too large, one of 32 KiB is read (BA-33)', async () => {
    const text = JSON.stringify(right);
    const over = await call(world, path, text + ' '.repeat(32_769 - text.length));
    expect([over.status, over.error]).toEqual([413, 'CS413']);
    const at = await call(world, path, text + ' '.repeat(32_768 - text.length));
    expect(at.status).not.toBe(413);
  });
});

test('every key that is shown must be a point of the curve: a link container, a session, a recovery', async () => {
  for (const { path, requestBody } of vectors.v1) {
    for (const [key] of requestBody.matchAll(/1AAI[A-Za-z0-9_-]{44}/g)) {
      const world = betterAuthWorld();
      const reply = await call(world, path, requestBody.replaceAll(key, OFF_CURVE));
      expect([path, reply.error]).toEqual([path, 'BA101']);
      expect(world.store.calls).toEqual([]);
    }
  }
});

test('replies are strict JSON of known members only, in ASCII, and echo the nonce (section 4.5)', async () => {
  const world = betterAuthWorld();
  for (const { path, requestBody, nowMs } of vectors.v1.slice(0, 3)) {
    world.clock.set(nowMs);
    const { text } = await call(world, path, requestBody);
    expect(text).toMatch(
      /^\{"payload":\{"access":\{"nonce":"0A[^"]{22}","serverIdentity":"1AAI[^"]{44}"\},"response":\{.*\}\},"signature":"0I[^"]{86}"\}$/,
    );
    expect(text).toMatch(/^[\x20-\x7e]+$/);
    const nonce: string = JSON.parse(requestBody).payload.access.nonce;
    expect(text).toContain(`"nonce":"${nonce}"`);
    expect(parseStrictJson(utf8(text))).toBeDefined();
  }
});
