/** EU-05: Whatever a broken encoder makes, what leaves is what was meant: the assertion reads bytes as the proxy does. */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { isAnswer } from '../../src/envoy/answer-assertion.ts';
import { deniedResponse, okResponse } from '../../src/envoy/check-response.ts';
import { hex } from '../support/bytes.ts';
import { viewOf } from './proxy-view.ts';

const METADATA = { outcome: 'deny' } as const;
const deny = (as: 2 | 5, grpcCode: 7 | 8 | 14 | 16 = 16, metadata = {}) =>
  deniedResponse({ grpcCode, status: 401, headers: [['retry-after', '1']], body: 'x'.repeat(200), metadata, as });
const ALLOW = okResponse({ set: [['x-auth-subject', 'alice']], remove: [], toClient: [], metadata: {} });

describe('takes', () => {
  test.each([7, 8, 14, 16] as const)('a refusal with code %i, of both kinds, with and without metadata', (code) => {
    for (const as of [2, 5] as const) {
      for (const metadata of [{}, METADATA]) expect(isAnswer(deny(as, code, metadata), 'deny')).toBe(true);
    }
  });
  test('an allow, with and without metadata', () => {
    expect(isAnswer(ALLOW, 'allow')).toBe(true);
    expect(isAnswer(okResponse({ set: [], remove: ['x'], toClient: [], metadata: METADATA }), 'allow')).toBe(true);
  });
});

describe('refuses', () => {
  test('an answer of the other intent', () => {
    expect(isAnswer(ALLOW, 'deny')).toBe(false);
    expect(isAnswer(deny(2), 'allow')).toBe(false);
  });
  test.each([
    ['zero bytes', ''],
    ['a status alone', '0a00'],
    ['an allow without a response', '0a002200'],
    ['code 0', '0a0208001200'],
    ['code 1', '0a0208011200'],
    ['a status without code and a denied response', '0a001200'],
    ['a missing status', '1200'],
    ['a missing response', '0a020810'],
    ['a longer status', '0a0408101a001200'],
    ['an ok response beside a refusal', '0a02081012001a00'],
    ['an ok response in place of a refusal', '0a0208101a00'],
    ['two refusals', '0a02081012002a00'],
    ['a second status', '0a02081012000a00'],
    ['a second status that says 0', '0a02081012000a020800'],
    ['the response before the status', '12000a020810'],
    ['metadata twice', '0a020810120022002200'],
    ['an unknown field', '0a02081012003200'],
    ['a varint at the top', '0a02081012000801'],
    ['a group where the metadata belongs', '0a02081012002300'],
    ['a key of two bytes', '0a0208101200a20100'],
    ['a response that ends early', '0a020810120300'],
    ['a length that does not end', '0a02081012ffffffffff'],
  ])('as a refusal or an allow, what the proxy could read otherwise: %s', (_what, bytes) => {
    expect(isAnswer(hex(bytes), 'deny')).toBe(false);
    expect(isAnswer(hex(bytes), 'allow')).toBe(false);
  });

  test('whatever bytes, as a refusal, that the proxy would read as an allow', () => {
    const edit = fc.record({ at: fc.nat(), put: fc.uint8Array({ maxLength: 4 }), cut: fc.nat(4) });
    fc.assert(
      fc.property(fc.constantFrom(deny(2), deny(5), ALLOW), fc.array(edit, { maxLength: 3 }), (answer, edits) => {
        let bytes = [...answer];
        for (const { at, put, cut } of edits) bytes = bytes.toSpliced(at % 12, cut, ...put);
        const doctored = Uint8Array.from(bytes);
        if (isAnswer(doctored, 'deny')) expect(isAllowed(doctored)).toBe(false);
      }),
      { numRuns: 20 * (fc.readConfigureGlobal().numRuns ?? 100) },
    );
  });
});

/** As the proxy reads it; a message it can't read is an error there. */
function isAllowed(answer: Uint8Array): boolean {
  try {
    return viewOf(answer).allowed;
  } catch {
    return false;
  }
}
