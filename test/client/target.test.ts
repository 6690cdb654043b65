/** The normal form of addresses. Which one each gives is seen on the wire in `client.test.ts`; here are its laws. */
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { CountersignError } from '../../src/core/client-error.ts';
import { normalUrl } from '../../src/client/target.ts';

const BASE = new URL('https://api.example.com');

const segment = fc.oneof(
  fc.string(),
  fc.constantFrom(
    '.',
    '..',
    '%2e',
    '%2E%2e',
    '',
    '%',
    '%%',
    '%4',
    '%41',
    '%2F',
    '%5c',
    '\\',
    '[',
    '|',
    ' ',
    'ü',
    '%25',
    '%00',
    ';a=b',
  ),
);
const path = fc.array(segment, { maxLength: 6 }).map((segments) => `/${segments.join('/')}`);

function normalOf(address: string): URL | undefined {
  try {
    return normalUrl(address, BASE);
  } catch (error) {
    if (error instanceof CountersignError) return undefined;
    throw error;
  }
}

test('property: has no dot segments, double slashes, escaped unreserved or bare other characters, and stays itself', () => {
  fc.assert(
    fc.property(path, (address) => {
      const url = normalOf(address);
      if (url === undefined) return;
      expect(url.pathname).toMatch(/^(\/([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)+$/);
      expect(url.pathname).not.toMatch(/\/\//);
      expect(url.pathname).not.toMatch(/\/\.{1,2}(\/|$)/);
      for (const [, code = ''] of url.pathname.matchAll(/%([0-9A-Fa-f]{2})/g)) {
        expect(String.fromCharCode(Number.parseInt(code, 16))).not.toMatch(/[A-Za-z0-9._~-]/);
      }
      expect(normalUrl(url, BASE).href).toBe(url.href);
      expect(url.origin).toBe(BASE.origin);
    }),
  );
});

test('property: the query is what URL makes of it', () => {
  fc.assert(
    fc.property(fc.string(), (query) => {
      const address = `/x?${query}`;
      expect(normalOf(address)?.search).toBe(new URL(address, BASE).search);
    }),
  );
});
