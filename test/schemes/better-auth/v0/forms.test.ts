/** Messages of every operation in wrong forms (BA-03, BA-29, BA-33), and in right ones that a printer would not print (BA-04). */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { HttpProblem } from '../../../../src/core/http.ts';
import { Denial } from '../../../../src/core/decision.ts';
import { codeOf, denialOf, outcomeOf, rejectionOf } from '../../../support/refused.ts';
import type { SchemeWorld } from '../../../support/scheme-world.ts';
import { betterAuthWorld, callEndpoint, envelope, type Key, newKey, PREFIX, send } from './prover.ts';
import { OPERATIONS, type Prepared, textOf } from './operations.ts';

type Json = { readonly [name: string]: Json } | string;

/** Paths of all members of an object, at any depth. */
function pathsOf(value: Json, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value === 'string') return [];
  return Object.entries(value).flatMap(([name, member]) => [[...path, name], ...pathsOf(member, [...path, name])]);
}

/** The object with the member at this path as `change` leaves it; undefined removes it. */
function changed(
  value: Json,
  [name = '', ...rest]: readonly string[],
  change: (member: Json) => Json | undefined,
): Json {
  if (typeof value === 'string') return value;
  const member = value[name];
  if (member === undefined) return value;
  const next = rest.length === 0 ? change(member) : changed(member, rest, change);
  const { [name]: _, ...others } = value;
  return next === undefined ? others : { ...value, [name]: next };
}

const signed = (payload: Json, key: Key | undefined) =>
  key === undefined ? JSON.stringify(payload) : envelope(payload as object, key);

const valueAt = (value: Json, path: readonly string[]): Json =>
  path.reduce<Json>((object, name) => (typeof object === 'string' ? object : (object[name] ?? '')), value);

/** The one member that may be left out: such a device never rotates. */
const isOptional = (path: readonly string[]) => path.at(-1) === 'nextDigest' && path.includes('publicKeys');

async function expectMalformed(world: SchemeWorld, path: string, body: string): Promise<void> {
  world.store.calls.length = 0;
  const denial = await denialOf(send(world, path, body));
  expect([denial.code, body.length > 300 ? '' : body]).toEqual(['malformed', body.length > 300 ? '' : body]);
  expect(world.store.calls).toEqual([]);
  for (const word of body.match(/[A-Za-z0-9_-]{24,}/g) ?? []) expect(denial.message).not.toContain(word);
}

const plenty = { rate: '1000000/s', burst: 1_000_000 };
const PLENTY = {
  peer: plenty,
  challengePerAccountAndPeer: plenty,
  passphrasePerAccountAndPeer: plenty,
  passphrasePerAccount: plenty,
};

describe.each(Object.entries(OPERATIONS))('%s', (_name, prepare) => {
  async function prepared(): Promise<{
    world: SchemeWorld;
    valid: Prepared;
    payload: Json;
    paths: (readonly string[])[];
  }> {
    const world = betterAuthWorld({ settings: { limits: PLENTY } });
    const valid = await prepare(world);
    return { world, valid, payload: valid.payload as Json, paths: pathsOf(valid.payload as Json) };
  }

  test('succeeds as it is, also indented, its members in another order, its text escaped (BA-04)', async () => {
    const reordered = (value: Json): Json =>
      typeof value === 'string'
        ? value
        : Object.fromEntries(
            Object.entries(value)
              .toReversed()
              .map(([name, member]) => [name, reordered(member)]),
          );
    const escaped = (text: string) =>
      text.replace(/"([a-z])/g, (_, letter: string) => `"\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`);
    for (const write of [
      ({ payload, key }: Prepared) => signed(payload as Json, key),
      (given: Prepared) => JSON.stringify(JSON.parse(textOf(given)), undefined, 2),
      ({ payload, key }: Prepared) => signed(reordered(payload as Json), key),
      ({ payload, key }: Prepared) => {
        const text = escaped(JSON.stringify(payload));
        return key === undefined ? text : `{"payload":${text},"signature":"${key.sign(text)}"}`;
      },
    ]) {
      const { world, valid } = await prepared();
      await send(world, valid.path, write(valid));
    }
  });

  test('with a member missing, added, doubled or of another type is malformed, and nothing is looked up (BA-03)', async () => {
    const { world, valid, payload, paths } = await prepared();
    const { path, key } = valid;
    for (const member of paths) {
      const name = member.at(-1) ?? '';
      if (!isOptional(member))
        await expectMalformed(
          world,
          path,
          signed(
            changed(payload, member, () => undefined),
            key,
          ),
        );
      for (const other of [null, 1, true, [], {}, [valueAt(payload, member)]])
        await expectMalformed(
          world,
          path,
          signed(
            changed(payload, member, () => other as never),
            key,
          ),
        );
      const twice = JSON.stringify(payload).replace(`"${name}":`, `"${name}":"x","${name}":`);
      await expectMalformed(
        world,
        path,
        key === undefined ? twice : `{"payload":${twice},"signature":"${key.sign(twice)}"}`,
      );
    }
    for (const at of [[], ...paths.filter((one) => typeof valueAt(payload, one) !== 'string')]) {
      const more = (object: Json): Json => ({ ...(object as object), more: 'x' });
      await expectMalformed(world, path, signed(at.length === 0 ? more(payload) : changed(payload, at, more), key));
    }
    expect(await outcomeOf(send(world, path, textOf(valid)))).toBe('allow');
  });

  test('with a word of another code, length, alphabet or pad is malformed, and nothing is looked up (BA-03)', async () => {
    const { world, valid, payload, paths } = await prepared();
    const { path, key } = valid;
    for (const member of paths) {
      const word = valueAt(payload, member);
      if (typeof word !== 'string') continue;
      const wrong = [
        '',
        word.slice(0, -1),
        `${word}A`,
        `${word.slice(0, -1)}=`,
        `${word.slice(0, -1)}+`,
        `${word.slice(0, -1)} `,
        `${word.slice(0, -1)}é`,
        `D${word.slice(1)}`,
        `1AAJ${word.slice(4)}`,
        `0B${word.slice(2)}`,
        ...(word.startsWith('0A')
          ? []
          : [`${word.startsWith('1') ? '1AAI0' : `${word.slice(0, 1)}z`}${word.slice(word.startsWith('1') ? 5 : 2)}`]),
        'constructor',
        'A'.repeat(1000),
      ];
      for (const other of wrong)
        if (other !== word)
          await expectMalformed(
            world,
            path,
            signed(
              changed(payload, member, () => other),
              key,
            ),
          );
    }
  });

  test('with a point off its curve is malformed, and nothing is looked up (BA-08)', async () => {
    const { world, valid, payload, paths } = await prepared();
    const { path, key } = valid;
    for (const member of paths) {
      const word = valueAt(payload, member);
      if (typeof word !== 'string') continue;
      // x = 1 is on no point of P-256, x must be below p, and 04 is no compressed form; y = 2 is on no point of Ed25519, y = 0 of small order.
      const off = word.startsWith('1AAI')
        ? [`1AAIAg${'A'.repeat(41)}B`, `1AAIAv${'_'.repeat(42)}`, `1AAIBA${word.slice(6)}`]
        : word.startsWith('B') && word.length === 44
          ? [`BAEA${'A'.repeat(40)}`, `B${'A'.repeat(43)}`]
          : [];
      for (const other of off) {
        expect(other).toHaveLength(word.length);
        await expectMalformed(
          world,
          path,
          signed(
            changed(payload, member, () => other),
            key,
          ),
        );
      }
    }
  });

  test('signed by another key is refused, and changes nothing', async () => {
    const { world, valid } = await prepared();
    if (valid.key === undefined) return;
    const other = { ...newKey(), word: valid.key.word };
    const forged = valid.key.word.startsWith('B')
      ? `0B${other.sign('x').slice(2)}`
      : other.sign(JSON.stringify(valid.payload));
    const body = `{"payload":${JSON.stringify(valid.payload)},"signature":"${forged}"}`;
    world.store.calls.length = 0;
    expect(['signature_invalid', 'unknown_credential']).toContain(await codeOf(send(world, valid.path, body)));
    expect(world.store.calls.every(({ verb }) => verb === 'get')).toBe(true);
    await send(world, valid.path, textOf(valid));
  });

  test('with a wrong envelope is malformed', async () => {
    const { world, valid } = await prepared();
    const body = textOf(valid);
    const wrong = [
      '',
      '[]',
      'null',
      `${body}x`,
      `\ufeff${body}`,
      body.slice(0, -1),
      ...(valid.key === undefined
        ? [`{"payload":${body}}`]
        : [
            JSON.stringify({ payload: valid.payload }),
            body.replace('{"payload"', '{"more":1,"payload"'),
            body.replace('{"payload"', '{"payload":{},"payload"'),
            body.replace(/"signature":"..../, '"signature":"0C11'),
            body.replace(/"signature":"[^"]*"/, '"signature":1'),
            `{"payload":[${JSON.stringify(valid.payload)}],"signature":"${valid.key.sign('x')}"}`,
            // The other kind of signature.
            body.replace(/"signature":"0([IB])/, (_, code: string) => `"signature":"0${code === 'I' ? 'B' : 'I'}`),
          ]),
    ];
    for (const other of wrong) await expectMalformed(world, valid.path, other);
    await send(world, valid.path, body);
  });

  test('deeper than the settings allow is malformed', async () => {
    const { world, valid } = await prepared();
    await expectMalformed(world, valid.path, `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`.slice(0, 16_000));
  });

  test('16 KiB pass, one byte more is too_large; another media type is unsupported_media_type (BA-29, BA-33)', async () => {
    const { world, valid } = await prepared();
    const body = textOf(valid);
    const padded = (length: number) => body + ' '.repeat(length - body.length);
    const codeFor = async (text: string, headers: Record<string, string>) => {
      const thrown = await rejectionOf(callEndpoint(world, 'issuer', PREFIX + valid.path, text, { headers }));
      return thrown instanceof HttpProblem ? thrown.code : String(thrown);
    };
    expect(await codeFor(padded(16_385), {})).toBe('too_large');
    expect(await codeFor(body, { 'content-type': 'text/plain' })).toBe('unsupported_media_type');
    expect(await codeFor(body, { 'content-type': '' })).toBe('unsupported_media_type');
    await callEndpoint(world, 'issuer', PREFIX + valid.path, padded(16_384), {
      headers: { 'content-type': 'application/json;charset=utf-8' },
    });
  });

  test('property: whatever comes instead is a refusal, never a fault, and writes nothing', async () => {
    const { world, valid } = await prepared();
    const body = textOf(valid);
    const edits = fc.record({ at: fc.nat(), removed: fc.nat({ max: 3 }), inserted: fc.string({ maxLength: 3 }) });
    await fc.assert(
      fc.asyncProperty(edits, async ({ at, removed, inserted }) => {
        const start = at % body.length;
        const edited = body.slice(0, start) + inserted + body.slice(start + removed);
        if (edited.replaceAll(/[ \t\r\n]/g, '') === body) return;
        world.store.calls.length = 0;
        // Without a signature another account may be meant; a tail of blanks is no change.
        const thrown = await rejectionOf(send(world, valid.path, edited)).catch(() => undefined);
        if (valid.key === undefined && thrown === undefined) return;
        expect(thrown).toBeInstanceOf(Denial);
        expect(world.store.calls.every(({ verb }) => verb === 'get')).toBe(true);
      }),
    );
    await send(world, valid.path, body);
  });
});

test('every message is charged to its address, readable or not; empty, it is rate_limited before anything is looked up', async () => {
  const world = betterAuthWorld({ settings: { limits: { peer: { rate: '1/s', burst: 3 } } } });
  const begin = JSON.stringify({ identification: { accountId: `E${'A'.repeat(43)}` } });
  const attempts = [begin, '{', begin, begin, '{'];
  const codes = [];
  for (const body of attempts) codes.push(await outcomeOf(send(world, '/authenticate/begin', body)));
  expect(codes).toEqual(['allow', 'malformed', 'allow', 'rate_limited', 'rate_limited']);
  expect(await outcomeOf(send(world, '/authenticate/begin', begin, { source: '198.51.100.7' }))).toBe('allow');
});
