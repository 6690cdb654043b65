/** Kept Checks: bytes, base64 and JSON are one and the same message. */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { readCapture } from '../../src/envoy/capture.ts';
import { readRecording, RECORDED } from '../envoy/corpus.ts';
import { CheckRequest } from './check-builder.ts';

const { messages } = readRecording(RECORDED[0]);
const text = (value: string) => new TextEncoder().encode(value);
const decoded = (bytes: Uint8Array) =>
  CheckRequest.toObject(CheckRequest.decode(bytes), { longs: Number, bytes: String });

describe('a kept Check', () => {
  test('is taken as bytes, as base64 and as JSON, names in either case', () => {
    for (const message of messages) {
      expect(readCapture(message)).toEqual(message);
      expect(readCapture(text(`${Buffer.from(message).toString('base64')}\n`))).toEqual(Buffer.from(message));
      const json = decoded(message);
      expect(decoded(readCapture(text(JSON.stringify(json))))).toEqual(json);
      const camel = JSON.stringify(json).replaceAll(/"([a-z]+(?:_[a-z]+)+)":/g, (_, name: string) => {
        return `"${name.replaceAll(/_([a-z])/g, (__, letter: string) => letter.toUpperCase())}":`;
      });
      expect(decoded(readCapture(text(camel)))).toEqual(json);
    }
  });

  test('may have its time as text, and members that are not ours', () => {
    const json = { attributes: { request: { time: '2023-11-14T22:13:20.25Z', http: { method: 'GET', later: 1 } } } };
    expect(decoded(readCapture(text(JSON.stringify(json))))).toEqual({
      attributes: { request: { time: { seconds: 1_700_000_000, nanos: 250_000_000 }, http: { method: 'GET' } } },
    });
  });

  test.each([
    ['{', 'expected a CheckRequest as bytes, base64 or JSON'],
    ['{"attributes":[]}', 'CheckRequest.attributes: expected an object'],
    ['{"attributes":{"request":{"http":{"method":1}}}}', 'CheckRequest.attributes.request.http.method: expected text'],
    ['{"attributes":{"request":{"http":{"size":"x"}}}}', 'size: expected a whole number'],
    ['{"attributes":{"request":{"time":"soon"}}}', 'time: expected a time such as'],
    ['{"attributes":{"request":{"http":{"header_map":{"headers":{}}}}}}', 'headers: expected a list'],
  ])('as %s is refused: %s', (json, message) => {
    expect(() => readCapture(text(json))).toThrow(message);
  });

  test('of any JSON becomes a message that decodes, or an error with words', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        let bytes: Uint8Array;
        try {
          bytes = readCapture(text(JSON.stringify({ attributes: value })));
        } catch (thrown) {
          expect((thrown as Error).message).toMatch(/expected/);
          return;
        }
        decoded(bytes);
      }),
    );
  });
});
