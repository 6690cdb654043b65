/** EU-05 in the handler: whatever a broken encoder makes of a verdict, the prepared deny leaves instead, and it is counted. */
import { expect, jest, test } from '@jest/globals';
import { deniedResponse, okResponse } from '../../src/envoy/check-response.ts';

const encoder = await import('../../src/envoy/answer.ts');
let doctored: { intent: 'allow' | 'deny'; bytes: Uint8Array } = { intent: 'deny', bytes: new Uint8Array(0) };
jest.unstable_mockModule('../../src/envoy/answer.ts', () => ({ ...encoder, renderAnswer: () => doctored }));
const { checkOf, createCheckWorld } = await import('./check-world.ts');

const ALLOW = okResponse({ set: [['x-auth-subject', 'root']], remove: [], toClient: [], metadata: {} });
const DENY = deniedResponse({ grpcCode: 16, status: 401, headers: [], body: '', metadata: {}, as: 2 });
const join = (...parts: readonly Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]));

test.each<[string, typeof doctored]>([
  ['no bytes at all', { intent: 'deny', bytes: new Uint8Array(0) }],
  ['an allow where a refusal was meant', { intent: 'deny', bytes: ALLOW }],
  ['a refusal where an allow was meant', { intent: 'allow', bytes: DENY }],
  ['code 0', { intent: 'deny', bytes: Uint8Array.of(0x0a, 0x02, 0x08, 0x00, ...DENY.subarray(4)) }],
  ['a refusal without its status', { intent: 'deny', bytes: DENY.subarray(4) }],
  ['an ok response beside a refusal', { intent: 'deny', bytes: join(DENY, ALLOW.subarray(2)) }],
])('%s', async (_what, made) => {
  doctored = made;
  const { send, proven, events } = await createCheckWorld();
  for (const request of [await proven(), { ...(await proven()), headers: [] }]) {
    const view = await send(checkOf(request));
    expect([view.allowed, view.grpcCode, view.status]).toEqual([false, 14, 503]);
  }
  expect(events).toEqual(['encodeAssertionFailed', 'encodeAssertionFailed']);
});

test('what was meant leaves as it is', async () => {
  doctored = { intent: 'deny', bytes: DENY };
  const { send, proven, events } = await createCheckWorld();
  expect((await send(checkOf(await proven()))).status).toBe(401);
  expect(events).toEqual([]);
});
