/** One message in its frame, however it is cut, and everything that is no such thing. */
import { Buffer } from 'node:buffer';
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { createMessageCollector, frame } from '../../src/envoy/grpc-framing.ts';

const MAX = 64;

/** What becomes of these bytes, when they come in these pieces. */
function collect(bytes: Buffer, cuts: readonly number[] = []): Uint8Array | string {
  const collector = createMessageCollector(MAX);
  const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  for (const [i, start] of at.slice(0, -1).entries()) {
    const error = collector.push(bytes.subarray(start, at[i + 1]));
    if (error !== undefined) return error;
  }
  return collector.end();
}

test('a framed message comes back, however it is cut', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: MAX }), fc.array(fc.nat(), { maxLength: 8 }), (message, cuts) => {
      expect(Buffer.from(collect(frame(message), cuts) as Uint8Array).equals(message)).toBe(true);
    }),
  );
});

test('whatever bytes come, they are one message or the reason is the same however they are cut', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 80 }),
      fc.constantFrom(0, 0, 0, 1),
      fc.nat(80),
      fc.array(fc.nat(), { maxLength: 8 }),
      (rest, flag, length, cuts) => {
        const bytes = Buffer.concat([Buffer.of(flag, 0, 0, 0, length), rest]);
        const expected =
          flag !== 0
            ? 'compressed'
            : length > MAX
              ? 'oversized'
              : rest.length > length
                ? 'second'
                : rest.length < length
                  ? 'cut'
                  : Buffer.from(rest);
        const got = collect(bytes, cuts);
        expect(typeof got === 'string' ? got : Buffer.from(got)).toEqual(expected);
      },
    ),
  );
});

test.each([0, 1, 4])('%i bytes of a prefix are cut', (count) => {
  expect(collect(Buffer.alloc(count))).toBe('cut');
});

test('the limit is read off the prefix, before the message is there', () => {
  const collector = createMessageCollector(MAX);
  expect(collector.push(Buffer.of(0, 0xff, 0xff, 0xff))).toBeUndefined();
  expect(collector.push(Buffer.of(0xff))).toBe('oversized');
  expect(collect(frame(new Uint8Array(MAX)))).toHaveLength(MAX);
  expect(collect(frame(new Uint8Array(MAX + 1)))).toBe('oversized');
});
