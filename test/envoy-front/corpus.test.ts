/** EU-16: what real Envoys asked is judged as it was when it was recorded, without any Envoy. */
import { describe, expect, test } from '@jest/globals';
import { parseRing } from '../../src/keys/ring.ts';
import { challengeSignature } from '../../src/schemes/challenge-signature/index.ts';
import { readRecording, RECORDED, verdictIn } from '../envoy/corpus.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { createSchemeWorld } from '../support/scheme-world.ts';
import { userKey, userRecord } from '../support/test-users.ts';
import { createCheckWorld } from './check-world.ts';

describe.each(RECORDED)('Envoy %s', (envoy) => {
  const { recording, messages } = readRecording(envoy);
  const { checks, authority, publicJwk, maxRequestBytes } = recording;

  test('every Check has its verdict', async () => {
    const [first] = checks;
    const clock = createFakeClock((first?.receivedAtMs ?? 0) - 1000);
    const world = createSchemeWorld(challengeSignature, {
      clock,
      settings: { challenges: 'stateless', inBand: false },
      ring: parseRing(new TextEncoder().encode(JSON.stringify(recording.ring))),
    });
    const { handler } = await createCheckWorld({
      world,
      settings: { maxRequestBytes },
      route: { publicOrigins: [{ scheme: 'http', authority }] },
      others: [
        { name: 'feed', body: 'none', schemes: [{ scheme: world.scheme, policy: world.policy({ body: 'none' }) }] },
      ],
    });
    const key = userKey('k1', publicJwk, ['challenge-signature']);
    await world.users.save(userRecord('alice', { attributes: { role: 'admin' }, keys: [key] }));
    const verdicts: string[] = [];
    for (const [index, message] of messages.entries()) {
      const receivedAtMs = checks[index]?.receivedAtMs ?? 0;
      clock.advance(Math.max(0, receivedAtMs - clock.nowMs()));
      const facts = { totalMs: undefined, thisTryMs: undefined, cancelled: { aborted: false } };
      verdicts.push(verdictIn(await handler.handle(message, { ...facts, receivedAtMs })));
    }
    expect(verdicts.map((verdict, index) => `${checks[index]?.what}: ${verdict}`)).toEqual(
      checks.map(({ what, verdict }) => `${what}: ${verdict}`),
    );
  });

  test('they hold both kinds of verdict', () => {
    expect(messages).toHaveLength(checks.length);
    expect(new Set(checks.map(({ verdict }) => verdict))).toEqual(
      new Set([
        'allow alice',
        '401 credentials_missing',
        '401 malformed',
        '401 replayed',
        '401 signature_invalid',
        '403 route_unknown',
        '403 body_unverifiable',
        '413 body_unverifiable',
      ]),
    );
  });
});
