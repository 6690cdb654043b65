/** Access messages of v1 in the body: where they are taken, when, how often, and for how long after a revocation. */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { DENIAL_CODES } from '../../../../src/core/decision.ts';
import { UNVERIFIABLE_REASONS } from '../../../../src/core/request.ts';
import { complete, newCheckId, type RequestParts, withHeader } from '../../../support/auth-request.ts';
import { codeOf, denialOf, faultOf, outcomeOf } from '../../../support/refused.ts';
import { writesOf } from '../../../support/watched-store.ts';
import { admin, betterAuthWorld, call, newKey, ringKey, RING, START_MS } from '../world.ts';
import {
  accessMessage,
  accessRequest,
  chainMessage,
  created,
  linked,
  loggedIn,
  newActor,
  nonce,
  recoverMessage,
  refresh,
  send,
  type Session,
  unlinkMessage,
  visit,
} from './actor.ts';
import { formatWireTime, parseWireTime } from '../../../../src/schemes/better-auth/message.ts';

async function enter(settings: object = {}) {
  const world = betterAuthWorld({ settings });
  const actor = await created(world);
  const session = await loggedIn(world, actor);
  const proven = (changes?: Parameters<typeof accessMessage>[2]) =>
    accessRequest(accessMessage(session, world.clock.nowMs(), changes));
  world.store.calls.length = 0;
  return { world, actor, session, proven };
}

describe('what is no access message is credentials_missing, and nothing is looked up', () => {
  const rows: readonly (readonly [string, (parts: RequestParts) => RequestParts])[] = [
    ['another method', (parts) => ({ ...parts, method: 'PUT' })],
    ['another media type', (parts) => withHeader(parts, 'content-type', 'text/json')],
    ['no media type', (parts) => withHeader(parts, 'content-type', undefined)],
    ['two media types', (parts) => ({ ...parts, headers: [...parts.headers, ...parts.headers] })],
    ['an empty body', (parts) => ({ ...parts, body: complete('') })],
    ['no body', (parts) => ({ ...parts, body: { kind: 'absent' } })],
    ['JSON without payload', (parts) => ({ ...parts, body: complete('{"signature":""}') })],
    ['JSON without signature', (parts) => ({ ...parts, body: complete('{"payload":{}}') })],
    ['an Authorization header of another kind', (parts) => withHeader(parts, 'authorization', 'Bearer abc')],
  ];
  test.each(rows)('%s', async (_title, change) => {
    const { world, proven } = await enter();
    expect(await codeOf(world.judge(change(proven())))).toBe('credentials_missing');
    expect(world.store.calls).toEqual([]);
  });

  test('a route without the carrier, without the version, or that sees no bodies', async () => {
    const { world, proven } = await enter();
    const options = world.settings as object;
    for (const policy of [
      { options: { ...options, carriers: ['header'] } },
      { options: { ...options, versions: ['v0'] } },
      { body: 'none' as const },
    ])
      expect(await codeOf(world.judge(proven(), { policy }))).toBe('credentials_missing');
    expect(world.store.calls).toEqual([]);
  });

  test('the media type may have parameters and capitals', async () => {
    const { world, proven } = await enter();
    const parts = withHeader(proven(), 'content-type', 'Application/JSON ; charset=utf-8');
    expect(await outcomeOf(world.judge(parts))).toBe('allow');
  });

  test('another method may be listed', async () => {
    const { world, proven } = await enter({ bodyMethods: ['PUT', 'QUERY'] });
    expect(await outcomeOf(world.judge({ ...proven(), method: 'QUERY' }))).toBe('allow');
    expect(await codeOf(world.judge(proven()))).toBe('credentials_missing');
  });
});

describe('the body', () => {
  test.each(UNVERIFIABLE_REASONS)(
    'is refused with body_unverifiable, before anything is looked up: %s',
    async (why) => {
      const { world, proven } = await enter();
      const denial = await denialOf(world.judge({ ...proven(), body: { kind: 'unverifiable', why } }));
      expect([denial.code, denial.form.status]).toEqual([
        'body_unverifiable',
        why === 'partial' || why === 'at_limit' ? 413 : 403,
      ]);
      expect(world.store.calls).toEqual([]);
    },
  );

  test.each([
    [0, 'allow'],
    [1, 'malformed'],
  ])('%i bytes above the cap: %s (BA-29)', async (above, outcome) => {
    const { world, session } = await enter({ maxBodyBytes: 4096 });
    const bare = accessMessage(session, world.clock.nowMs(), { request: () => '' });
    const padding = 'x'.repeat(4096 - bare.length + above);
    const body = accessMessage(session, world.clock.nowMs(), { request: () => padding });
    expect(body).toHaveLength(4096 + above);
    if (outcome === 'allow') return expect(await outcomeOf(world.judge(accessRequest(body)))).toBe('allow');
    const denial = await denialOf(world.judge(accessRequest(body)));
    expect([denial.code, denial.form.status]).toEqual(['malformed', 413]);
  });

  test('property: no changed byte passes, but where JSON itself does not care', async () => {
    const { world, proven, session } = await enter();
    const parts = proven();
    const bytes = parts.body.kind === 'complete' ? parts.body.bytes : new Uint8Array(0);
    const change = fc.record({ at: fc.nat({ max: bytes.length - 1 }), by: fc.integer({ min: 1, max: 255 }) });
    await fc.assert(
      fc.asyncProperty(change, async ({ at, by }) => {
        const changed = Uint8Array.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ by;
        const outcome = await outcomeOf(world.judge({ ...parts, body: complete(changed) }));
        expect([
          'malformed',
          'signature_invalid',
          'credentials_missing',
          'unknown_credential',
          'stale',
          'not_yet_valid',
        ]).toContain(outcome);
      }),
    );
    expect(await outcomeOf(world.judge(parts))).toBe('allow');
    expect(session.token).not.toBe('');
  });

  test('property: of any bytes the answer is a refusal, never a fault', async () => {
    const { world, proven } = await enter();
    const parts = proven();
    const text = parts.body.kind === 'complete' ? new TextDecoder().decode(parts.body.bytes) : '';
    const edits = fc.record({ at: fc.nat(), removed: fc.nat({ max: 40 }), inserted: fc.string({ maxLength: 5 }) });
    const bodies = fc.oneof(
      fc.json(),
      fc.uint8Array({ maxLength: 300 }),
      edits.map(({ at, removed, inserted }) => {
        const start = at % text.length;
        return text.slice(0, start) + inserted + text.slice(start + removed);
      }),
    );
    await fc.assert(
      fc.asyncProperty(bodies, async (body) => {
        const outcome = await outcomeOf(world.judge({ ...parts, body: complete(body) }, { checkId: 'A'.repeat(22) }));
        expect([...Object.keys(DENIAL_CODES), 'allow']).toContain(outcome);
      }),
    );
  });

  test('is verified as it was written: floats, big integers, escapes, order (BA-04)', async () => {
    const { world, session } = await enter();
    const { token, keys } = session;
    const time = formatWireTime(world.clock.nowMs(), 3);
    const payload = `{"request":{"n":1.0e1,"big":12345678901234567890,"t":"\\u00e9\\/"},"access":{"token":"${token}","nonce":"${nonce()}" ,"timestamp":"${time}"}}`;
    const body = `{"signature":"${keys[0]!.sign(payload)}","payload":${payload}}`;
    expect(await outcomeOf(world.judge(accessRequest(body)))).toBe('allow');
  });
});

describe('the target, which the body does not sign (W8)', () => {
  test('a query is malformed, unless the route allows it', async () => {
    const { world, proven } = await enter();
    for (const target of ['/foo?a=b', '/foo?']) {
      expect(await codeOf(world.judge({ ...proven(), target }))).toBe('malformed');
      const policy = { options: { ...(world.settings as object), allowUnsignedQuery: true } };
      expect(await outcomeOf(world.judge({ ...proven(), target }, { policy }))).toBe('allow');
    }
  });

  test('with requireTargetMember the signed target is that of the request, exactly', async () => {
    const { world, proven } = await enter({ requireTargetMember: true });
    const right = { authority: 'api.example.com', method: 'POST', target: '/foo/bar' };
    const asked = (target: unknown) => world.judge(proven({ request: () => ({ target, amount: 5 }) }));
    expect(await outcomeOf(asked(right))).toBe('allow');
    for (const wrong of [
      undefined,
      null,
      'x',
      [right],
      { ...right, authority: 'evil.example.com' },
      { ...right, method: 'PUT' },
      { ...right, target: '/foo/bar/' },
      { ...right, scheme: 'https' },
      { authority: right.authority, method: right.method },
    ])
      expect(await codeOf(asked(wrong))).toBe('malformed');
    expect(await codeOf(world.judge(proven({ request: () => 5 })))).toBe('malformed');
    expect(await codeOf(world.judge(proven()))).toBe('malformed');
  });

  test('without a query a message passes at another path: it does not say where it belongs', async () => {
    const { world, proven } = await enter();
    expect(await outcomeOf(world.judge({ ...proven(), target: '/elsewhere' }))).toBe('allow');
  });
});

describe('time', () => {
  test.each([
    [-5_001, 'not_yet_valid'],
    [-5_000, 'allow'],
    [0, 'allow'],
    [30_000, 'allow'],
    [30_001, 'stale'],
  ])('a message judged %i ms after its time: %s (BA-15)', async (ageMs, outcome) => {
    const { world, session } = await enter();
    world.clock.advance(60_000);
    const body = accessMessage(session, world.clock.nowMs() - ageMs);
    expect(await outcomeOf(world.judge(accessRequest(body)))).toBe(outcome);
  });

  test('of two clocks that differ by less than 5 s, the smaller difference is what clients may be ahead', async () => {
    const { world, session } = await enter();
    const { scheme } = world;
    expect(scheme.discovery.parameters).toMatchObject({ accessWindowMs: 30_000 });
    const body = accessMessage(session, world.clock.nowMs() + 5_000);
    expect(await outcomeOf(world.judge(accessRequest(body)))).toBe('allow');
  });

  test.each([
    ['2026-02-29T00:00:00Z', 'malformed'],
    ['2026-13-01T00:00:00Z', 'malformed'],
    ['2026-00-01T00:00:00Z', 'malformed'],
    ['2026-01-00T00:00:00Z', 'malformed'],
    ['2026-01-02T24:00:00Z', 'malformed'],
    ['2026-01-02T03:60:00Z', 'malformed'],
    ['2026-01-02T03:04:60Z', 'malformed'],
    ['2026-01-02 03:04:05Z', 'malformed'],
    ['2026-01-02t03:04:05z', 'malformed'],
    ['2026-01-02T03:04:05.Z', 'malformed'],
    ['2026-01-02T03:04:05.1234567890Z', 'malformed'],
    ['2026-01-02T03:04:05,123Z', 'malformed'],
    ['+002026-01-02T03:04:05Z', 'malformed'],
    ['NaN', 'malformed'],
    ['0000-01-01T00:00:00Z', 'stale'],
    ['9999-12-31T23:59:59Z', 'not_yet_valid'],
  ])('timestamp %s: %s (BA-15)', async (timestamp, outcome) => {
    const { world, proven } = await enter();
    expect(await codeOf(world.judge(proven({ access: { timestamp } })))).toBe(outcome);
  });

  test('property: a time that is written is read again, with 0 to 9 digits, as the platform reads it', () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date(0), max: new Date('9999-12-31T23:59:59.999Z'), noInvalidDate: true }),
        (date) => {
          const text = date.toISOString();
          expect(parseWireTime(text)).toBe(date.getTime());
          expect(parseWireTime(text.replace('Z', '999999Z'))).toBe(date.getTime());
          expect(parseWireTime(formatWireTime(date.getTime(), 0))).toBe(Math.floor(date.getTime() / 1000) * 1000);
        },
      ),
    );
  });

  test('property: of any text the reading is a time that is written so, or none', () => {
    const texts = fc.oneof(fc.string(), fc.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/));
    fc.assert(
      fc.property(texts, (text) => {
        const ms = parseWireTime(text);
        if (ms !== undefined) expect(formatWireTime(ms, 0).slice(0, 19)).toBe(text.slice(0, 19));
      }),
    );
  });

  test.each([
    [-1, 'stale'],
    [0, 'allow'],
  ])('the horizon has passed by %i ms before the message could have been spent: %s (BA-31)', async (ms, outcome) => {
    const { world, session } = await enter();
    world.clock.advance(60_000);
    const madeMs = world.clock.nowMs() - 10_000;
    world.store.horizon = madeMs - 5_000 - ms;
    const body = accessMessage(session, madeMs);
    expect(await outcomeOf(world.judge(accessRequest(body)))).toBe(outcome);
  });

  test('while no message made now could pass it is a fault that says how long (BA-31)', async () => {
    const { world, proven } = await enter();
    world.store.horizon = world.clock.nowMs() + 1_000;
    const fault = await faultOf(world.judge(proven()));
    expect([fault.reason, fault.retryAfterSeconds]).toEqual(['recovering', 6]);
  });
});

describe('once (BA-16)', () => {
  test('the same message again is replayed, its retry passes', async () => {
    const { world, proven } = await enter();
    const parts = proven();
    const checkId = newCheckId();
    expect((await world.judge(parts, { checkId })).retried).toBe(false);
    expect((await world.judge(parts, { checkId })).retried).toBe(true);
    expect(await codeOf(world.judge(parts))).toBe('replayed');
  });

  test('another message of the same key with its nonce is replayed, one of another key is not', async () => {
    const { world, actor, session } = await enter();
    const used = nonce();
    const other = await loggedIn(world, actor);
    expect(await outcomeOf(visit(world, session, { nonce: used }))).toBe('allow');
    expect(await codeOf(visit(world, session, { nonce: used, request: () => ({ other: true }) }))).toBe('replayed');
    expect(await outcomeOf(visit(world, other, { nonce: used }))).toBe('allow');
  });

  test('a wrong message spends nothing', async () => {
    const { world, proven, session } = await enter();
    const used = nonce();
    expect(await codeOf(visit(world, session, { nonce: used, signer: newKey() }))).toBe('signature_invalid');
    expect(writesOf(world.store)).toEqual([]);
    expect(await outcomeOf(world.judge(proven({ nonce: used })))).toBe('allow');
  });

  test('one dated ahead is remembered for as long as it is fresh', async () => {
    const { world, session } = await enter();
    const parts = accessRequest(accessMessage(session, world.clock.nowMs() + 5_000));
    expect(await outcomeOf(world.judge(parts))).toBe('allow');
    world.clock.advance(35_000);
    expect(await codeOf(world.judge(parts))).toBe('replayed');
    world.clock.advance(1);
    expect(await codeOf(world.judge(parts))).toBe('stale');
  });

  test('costs one read, one claim and, with a known token, one signature verification', async () => {
    const { world, proven } = await enter();
    await world.judge(proven());
    world.store.calls.length = 0;
    const before = world.verifications;
    await world.judge(proven());
    expect(world.store.calls.map(({ verb }) => verb)).toEqual(['get', 'claim']);
    expect(world.verifications - before).toBe(1);
  });
});

describe('revocation between two accesses (BA-18)', () => {
  test.each(['unlink', 'recover', 'delete'])('%s: the second is revoked', async (how) => {
    const world = betterAuthWorld();
    const actor = await created(world);
    const second = await linked(world, actor);
    const session = await loggedIn(world, second);
    expect(await outcomeOf(visit(world, session))).toBe('allow');
    if (how === 'unlink') await send(world, '/device/unlink', unlinkMessage(actor, second.device));
    if (how === 'recover') await send(world, '/account/recover', recoverMessage(actor, newActor(actor.identity)));
    if (how === 'delete') await send(world, '/account/delete', chainMessage(actor));
    expect(await codeOf(visit(world, session))).toBe('revoked');
    // Only the holder of the key learns it.
    expect(await codeOf(visit(world, session, { signer: newKey() }))).toBe('signature_invalid');
  });

  test('a route of another tenant knows nobody', async () => {
    const { world, proven } = await enter();
    expect(await codeOf(world.judge(proven(), { policy: { tenant: 'other' } }))).toBe('unknown_credential');
  });
});

describe('tokens of an issuer elsewhere', () => {
  const access = RING[1]!;

  /** An issuer with a store of its own, and a sidecar that has its public key and nothing else. */
  async function apart(publishMarkers = false) {
    const issuer = betterAuthWorld({ settings: { publishMarkers } });
    const actor = await created(issuer);
    const second = await linked(issuer, actor);
    const session = await loggedIn(issuer, second);
    const { json } = await call(issuer, '/better-auth/keys', '', { method: 'GET' });
    const trusted = (json as { access: { publicKey: string }[] }).access.map(({ publicKey }) => publicKey);
    const sidecar = betterAuthWorld({
      clock: issuer.clock,
      ring: [],
      settings: { versions: ['v1'], issuer: 'external', trustedAccessKeys: trusted, revocation: 'markers' },
      ...(publishMarkers && { store: issuer.store }),
    });
    return { issuer, actor, second, session, sidecar };
  }

  test('pass by its public key alone; there are no endpoints but the marks', async () => {
    const { session, sidecar } = await apart();
    expect((await visit(sidecar, session)).subject).toMatch(/^E/);
    expect(sidecar.scheme.endpoints.map(({ listener, path }) => [listener, path])).toEqual([
      ['admin', '/admin/v1/better-auth/v1/markers'],
    ]);
  });

  test.each(['device', 'identity'])('a mark of the %s revokes, until every token is old', async (which) => {
    const { session, sidecar, second } = await apart();
    expect(await outcomeOf(visit(sidecar, session))).toBe('allow');
    const body = { subject: second.identity, ...(which === 'device' && { device: second.device }) };
    expect((await admin(sidecar, 'better-auth/v1/markers', body)).status).toBe(200);
    expect(await codeOf(visit(sidecar, session))).toBe('revoked');
    sidecar.clock.advance(900_000);
    expect(await codeOf(visit(sidecar, session))).toBe('revoked');
    sidecar.clock.advance(1);
    expect(await codeOf(visit(sidecar, session))).toBe('stale');
  });

  test('a mark of another device does not', async () => {
    const { session, sidecar, second, actor } = await apart();
    await admin(sidecar, 'better-auth/v1/markers', { subject: second.identity, device: actor.device });
    expect(await outcomeOf(visit(sidecar, session))).toBe('allow');
  });

  test('tokens from before the horizon are stale: their marks may be lost', async () => {
    const { session, sidecar } = await apart();
    sidecar.clock.advance(60_000);
    sidecar.store.horizon = START_MS;
    expect(await codeOf(visit(sidecar, session))).toBe('stale');
    sidecar.store.horizon = START_MS - 5_000;
    expect(await outcomeOf(visit(sidecar, session))).toBe('allow');
  });

  test.each(['unlink', 'recover', 'delete', 'admin'])(
    'with publishMarkers the issuer marks by itself: %s',
    async (how) => {
      const { issuer, actor, second, session, sidecar } = await apart(true);
      expect(await outcomeOf(visit(sidecar, session))).toBe('allow');
      if (how === 'unlink') await send(issuer, '/device/unlink', unlinkMessage(actor, second.device));
      if (how === 'recover') await send(issuer, '/account/recover', recoverMessage(actor, newActor(actor.identity)));
      if (how === 'delete') await send(issuer, '/account/delete', chainMessage(actor));
      if (how === 'admin') await admin(issuer, 'better-auth/v1/revoke', { subject: actor.identity, sessions: true });
      expect(await codeOf(visit(sidecar, session))).toBe('revoked');
    },
  );

  test('keys that are not trusted are unknown', async () => {
    const { session } = await apart();
    const other = betterAuthWorld({
      ring: [],
      settings: {
        versions: ['v1'],
        issuer: 'external',
        trustedAccessKeys: [newKey().word],
        revocation: 'markers',
      },
    });
    expect(await codeOf(visit(other, session))).toBe('unknown_credential');
    expect(access.use).toBe('access-signing');
  });
});

describe('keys of the ring (BA-20)', () => {
  const response = RING[0]!;
  const [old, successor] = [newKey(), newKey()];

  test('next, active, retired, gone: no false refusal before, none accepted after', async () => {
    const world = betterAuthWorld();
    world.ring = [response, ringKey('access-signing', old), ringKey('access-signing', successor, 'next')];
    const actor = await created(world);
    const session = await loggedIn(world, actor);
    expect(await outcomeOf(visit(world, session))).toBe('allow');

    const end = world.clock.nowMs() + 3_600_000;
    world.ring = [response, ringKey('access-signing', successor), ringKey('access-signing', old, 'retired', end)];
    expect(await outcomeOf(visit(world, session))).toBe('allow');
    const later: Session = await loggedIn(world, actor);
    // A replica that has read the ring earlier knows the new key as next.
    world.ring = [response, ringKey('access-signing', old), ringKey('access-signing', successor, 'next')];
    expect(await outcomeOf(visit(world, later))).toBe('allow');

    world.ring = [response, ringKey('access-signing', successor)];
    expect(await codeOf(visit(world, session))).toBe('unknown_credential');
    expect(await outcomeOf(visit(world, later))).toBe('allow');
    // The session itself ended with its key: its refresh names it.
    await expect(refresh(world, session)).rejects.toThrow('401');
    await refresh(world, later);
  });

  test('a ring without the key is a fault of the issuer, not of its client', async () => {
    const world = betterAuthWorld();
    const actor = await created(world);
    world.ring = [];
    await expect(send(world, '/device/rotate', chainMessage(actor))).rejects.toThrow('503');
    world.ring = RING;
    // The change was made; asked for again it is answered.
    await send(world, '/device/rotate', chainMessage(actor));
  });
});
