/**
 * How long the front looks at a Check of 2.4 kB before anything is judged: `node bench/decoder.ts`. The least of many rounds, since
 * noise only adds. Goal: 3 µs to read the message; what is asked for afterwards comes on top.
 */
import { Buffer } from 'node:buffer';
import type { Route } from '../src/config/routes.ts';
import { readCheckMessage } from '../src/envoy/check-message.ts';
import { decodeCheck } from '../src/envoy/decode-request.ts';
import type { DecodeSettings } from '../src/envoy/decode-request.ts';
import { encodeCheck } from '../test/envoy-front/check-builder.ts';

const ROUNDS = 50;
const CALLS = 10_000;

const SETTINGS: DecodeSettings = {
  tier: 'A',
  maxRequestBytes: 1_048_576,
  assumeBuffered: false,
  textBody: 'refuse',
  trustedHops: 0,
};
const ROUTE = {
  name: 'api',
  publicOrigins: [{ scheme: 'https', authority: 'api.example.com' }],
  body: 'required',
  refusePathParameters: true,
} as unknown as Route;

const check = Buffer.from(
  encodeCheck({
    method: 'POST',
    path: '/v1/accounts/12345/transfers?dry=0&x=1',
    headers: [
      [
        'user-agent',
        'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
      ],
      ['accept', 'application/json, text/plain;q=0.9, */*;q=0.8'],
      ['accept-language', 'en-US,en;q=0.9'],
      ['accept-encoding', 'gzip, deflate, br'],
      ['content-type', 'application/json'],
      ['content-length', '120'],
      ['cookie', `session=${'c'.repeat(700)}`],
      ['authorization', `ChallengeSignature ${'a'.repeat(420)}`],
      ['x-forwarded-for', '203.0.113.9'],
      ['x-forwarded-proto', 'https'],
      ['x-envoy-external-address', '203.0.113.9'],
      ['x-request-id', 'b9da23d5-3f1e-45a1-a5ef-d365932e12af'],
      ['sec-fetch-site', 'same-origin'],
      ['sec-fetch-mode', 'cors'],
      ['sec-fetch-dest', 'empty'],
      ['referer', 'https://api.example.com/dashboard'],
      ['origin', 'https://api.example.com'],
      ['cache-control', 'no-cache'],
      ['traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'],
    ],
    body: new Uint8Array(120).fill(0x61),
    partial: 'false',
  }),
);

measure('read the message', () => readCheckMessage(check).headers.bytes);
measure('and make an arrival of it (owner, source, route)', () => decodeCheck(check, 1, SETTINGS).receivedAtMs);
measure('and the request, and one header of it', () => {
  const request = decodeCheck(check, 1, SETTINGS).request(ROUTE);
  return (request.headers.single('authorization') ?? '').length;
});

/** @param call returns a number, so that nothing is optimised away. */
function measure(title: string, call: () => number): void {
  let least = Infinity;
  let sum = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const startMs = performance.now();
    for (let i = 0; i < CALLS; i++) sum += call();
    least = Math.min(least, ((performance.now() - startMs) / CALLS) * 1000);
  }
  process.stdout.write(
    `${least.toFixed(2)} µs  ${title} (${check.length} bytes, ${sum > 0 ? CALLS * ROUNDS : 0} calls)\n`,
  );
}
