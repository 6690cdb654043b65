/** The text of a token: what is written is read back, and nothing but it is read. */
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { utf8 } from '../../src/encoding/bytes.ts';
import { readClaims } from '../../src/tokens/claims.ts';
import { formatToken, parseToken, signingInput } from '../../src/tokens/token.ts';
import { refusalOf } from '../support/refusal.ts';
import { thrownBy } from '../support/refusal.ts';
import { claims, part } from './forge.ts';

const text = fc.string({ unit: 'grapheme', maxLength: 40 }).map((value) => value.toWellFormed());
const header = fc.record({ alg: text, kid: text, typ: text });
const value = fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null), fc.array(text, { maxLength: 3 }));
const members = fc
  .dictionary(text, value, { maxKeys: 8, noNullPrototype: true })
  .filter((object) => !Object.keys(object).some((name) => ['__proto__', 'constructor', 'prototype'].includes(name)));
const signature = fc.uint8Array({ minLength: 1, maxLength: 100 });

test('property: parse(format(token)) is the token, and what was signed is what it begins with', () => {
  fc.assert(
    fc.property(header, members, signature, (head, payload, bytes) => {
      const input = signingInput(head, payload);
      const token = parseToken(formatToken(input, bytes));
      expect({ ...token.header }).toEqual(head);
      expect(JSON.stringify(token.payload)).toBe(JSON.stringify(payload));
      expect(token.signature).toEqual(bytes);
      expect(token.signed).toEqual(utf8(input));
    }),
  );
});

test('property: any text is a token or refused with malformed', () => {
  const piece = fc.oneof(
    fc.string(),
    fc.json().map(part),
    fc.constant(part('{"alg":"EdDSA","kid":"k","typ":"at+jwt"}')),
  );
  const texts = fc.oneof(
    fc.string(),
    fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join('.')),
  );
  fc.assert(
    fc.property(texts, (given) => {
      expect(['malformed', undefined]).toContain(refusalOf(() => parseToken(given)));
    }),
  );
});

test('property: a token has one spelling: no text but its own is read as it', () => {
  const token = formatToken(
    signingInput({ alg: 'EdDSA', kid: 'k', typ: 'at+jwt' }, claims()),
    new Uint8Array(64).fill(7),
  );
  const edits = fc.record({
    at: fc.nat({ max: token.length }),
    removed: fc.nat({ max: 2 }),
    inserted: fc.string({ maxLength: 2 }),
  });
  const right = parseToken(token);
  fc.assert(
    fc.property(edits, ({ at, removed, inserted }) => {
      const edited = token.slice(0, at) + inserted + token.slice(at + removed);
      fc.pre(edited !== token);
      const other = (() => {
        try {
          return parseToken(edited);
        } catch {
          return undefined;
        }
      })();
      // What is read differently was signed differently.
      if (other !== undefined) expect([other.signed, other.signature]).not.toEqual([right.signed, right.signature]);
    }),
  );
});

test('property: whatever claims hold, they are read whole or not at all', () => {
  const names = Object.keys({ ...claims(), public_key: '', tenant: '', cnf: {} });
  const changes = fc.dictionary(
    fc.constantFrom(...names),
    fc.oneof(fc.jsonValue(), fc.double(), fc.constant(undefined)),
    { maxKeys: 3 },
  );
  fc.assert(
    fc.property(changes, (changed) => {
      const payload = JSON.parse(JSON.stringify(claims(changed))) as never;
      const read = readClaims(payload);
      if (read === undefined) return;
      for (const name of ['iss', 'aud', 'sub', 'jti', 'key'] as const) expect(typeof read[name]).toBe('string');
      for (const name of ['iat', 'exp', 'epoch'] as const)
        expect(Number.isSafeInteger(read[name]) && read[name] >= 0).toBe(true);
    }),
  );
});

test('above 4096 characters it is 413, at 4096 it is read', () => {
  const of = (length: number) => `${part('{"alg":"a","kid":"kk","typ":"t"}')}.e30.`.padEnd(length, 'A');
  expect(thrownBy(() => parseToken(of(4097)))).toMatchObject({ code: 'malformed', form: { status: 413 } });
  expect(refusalOf(() => parseToken(of(4095)))).toBeUndefined();
  expect(parseToken(of(4096)).header.kid).toBe('kk');
});
