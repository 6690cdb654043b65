/** Enrolment by invitation and by the operator, lookup, revocation, the permit for first use. */
import { describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { CountersignError } from '../../../src/core/client-error.ts';
import { StoreFault } from '../../../src/core/fault.ts';
import { HttpProblem } from '../../../src/core/http.ts';
import { randomBytes } from '../../../src/crypto/random.ts';
import { toHex } from '../../../src/encoding/bytes.ts';
import { timeScrambled } from '../../../src/schemes/time-scrambled/index.ts';
import { newCheckId } from '../../support/auth-request.ts';
import { codeOf, faultOf, rejectionOf } from '../../support/refused.ts';
import { createSchemeWorld, type SchemeWorld } from '../../support/scheme-world.ts';
import { exchange, REQUEST } from './exchange.ts';
import { clientOf, enrolled, issuerOf, memoryChains, NAME, proven } from './prover.ts';
import { enrolChains, keepEnrolment, makeChains } from '../../../src/schemes/time-scrambled/client-enrol.ts';
import { parseLane } from '../../../src/schemes/time-scrambled/client-state.ts';

const CREDENTIALS = `/admin/v1/credentials/${NAME}`;

function setup(settings: object = {}) {
  return createSchemeWorld(timeScrambled, { settings });
}

/** @throws {v.ValiError} for a body that its schema refuses. */
async function admin(world: SchemeWorld, method: 'PUT' | 'POST', path: string, body: object) {
  const found = world.scheme.endpoints.find(
    (one) => one.listener === 'admin' && one.method === method && one.path === path,
  );
  if (found?.body === undefined) throw new Error(`no call ${method} ${path}`);
  const answer = await found.handle({
    body: v.parse(found.body, body),
    raw: new Uint8Array(0),
    header: () => undefined,
    source: '127.0.0.1',
    owner: newCheckId(),
    receivedAtMs: world.clock.nowMs(),
    signal: new AbortController().signal,
  });
  return { status: answer.status, body: answer.body as Record<string, unknown> };
}

const anchor = () => toHex(randomBytes(64));
const invite = (world: SchemeWorld, replace = false, user = 'alice') =>
  world.resources.invitations
    .issue('default', { scheme: NAME, user, replace, ttlMs: 60_000 })
    .then(({ token }) => token);
const wish = { id: 'client-1', length: 100, lanes: 3 };

const chainOf = (subject: string, changes: object = {}) => ({
  subject,
  keyId: 'client-1',
  profile: 'keyed',
  n: 100,
  anchors: [anchor(), anchor()],
  ...changes,
});

describe('by invitation', () => {
  test("the chain is the invited user's, all lanes of it, and the time key is told", async () => {
    const world = setup();
    const storage = memoryChains();
    await enrolChains(issuerOf(world), storage, { ...wish, invitation: await invite(world) });
    const client = clientOf('client-1', storage);
    expect(await Promise.all(Array.from({ length: 6 }, () => exchange(world, client)))).toEqual(Array(6).fill('allow'));
  });

  test('answers what a client must know', async () => {
    const world = setup({ window: '10s', maxSkip: 5, maxChain: 1000, allowAhead: false });
    const answer = await world.post('enrol', { invitation: await invite(world), id: 'a', n: 100, anchors: [anchor()] });
    expect(answer).toEqual({
      id: 'a',
      profile: 'keyed',
      timeKey: expect.stringMatching(/^[0-9a-f]{64}$/),
      windowMs: 10_000,
      allowAhead: false,
      maxSkip: 5,
      maxChain: 1000,
    });
  });

  test('where only seed is enabled the chain is one of seed, without a time key', async () => {
    const world = setup({ profiles: ['seed'] });
    const answer = await world.post('enrol', { invitation: await invite(world), id: 'a', n: 100, anchors: [anchor()] });
    expect(answer).toMatchObject({ profile: 'seed', timeKey: null, allowAhead: false });
  });

  test('signature_invalid for an invitation that is spent, expired, of another scheme or none', async () => {
    const world = setup();
    const enrol = (invitation: string) =>
      codeOf(world.post('enrol', { invitation, id: `id-${newCheckId()}`, n: 100, anchors: [anchor()] }));
    const spent = await invite(world);
    await world.post('enrol', { invitation: spent, id: 'a', n: 100, anchors: [anchor()] });
    expect(await enrol(spent)).toBe('signature_invalid');
    expect(await enrol('A'.repeat(43))).toBe('signature_invalid');
    const other = { scheme: 'opaque-pop', user: 'alice', replace: false, ttlMs: 60_000 };
    expect(await enrol((await world.resources.invitations.issue('default', other)).token)).toBe('signature_invalid');
    const late = await invite(world);
    world.clock.advance(60_000);
    expect(await enrol(late)).toBe('signature_invalid');
  });

  test('conflict for an id that is taken, also by the same user, unless the invitation says replace', async () => {
    const world = setup();
    await enrolled(world);
    const again = async (replace: boolean, user: string) =>
      world.post('enrol', {
        invitation: await invite(world, replace, user),
        id: 'client-1',
        n: 100,
        anchors: [anchor()],
      });
    expect(await rejectionOf(again(false, 'alice'))).toMatchObject({ code: 'conflict' });
    expect(await rejectionOf(again(true, 'mallory'))).toMatchObject({ code: 'conflict' });
    expect(await again(true, 'alice')).toMatchObject({ id: 'client-1' });
  });

  test.each([
    ['revoked', { epoch: 1 }],
    ['deleted', { epoch: 1, deleted: true }],
  ])('conflict, and no chain, when the user is %s while the invitation is being used', async (_title, changes) => {
    const world = setup();
    await world.resources.users.ensure('default', 'alice');
    const { invitations } = world.resources;
    const spend: typeof invitations.spend = async (...which) => {
      const invited = await invitations.spend(...which);
      await world.users.update('default', 'alice', (record) => record && { ...record, ...changes });
      return invited;
    };
    const invitation = await invite(world);
    Object.assign(world.resources, { invitations: { ...invitations, spend } });
    const enrol = world.post('enrol', { invitation, id: 'a', n: 100, anchors: [anchor()] });
    expect(await rejectionOf(enrol)).toMatchObject({ code: 'conflict' });
    expect(await world.store.get(world.resources.storeKey('h', 'default', 'chain', 'a'))).toBeNull();
  });

  test('of 8 who enrol one id at once exactly one gets it', async () => {
    const world = setup();
    const attempts = await Promise.allSettled(
      Array.from({ length: 8 }, async (_, at) =>
        world.post('enrol', {
          invitation: await invite(world, false, `u${at}`),
          id: 'a',
          n: 100,
          anchors: [anchor(), anchor()],
        }),
      ),
    );
    expect(attempts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  test('replacing ends all lanes of before, those that the new one does not have among them', async () => {
    const world = setup();
    const before = await enrolled(world, { lanes: 3 });
    const storage = memoryChains();
    await enrolChains(issuerOf(world), storage, { ...wish, lanes: 2, invitation: await invite(world, true) });
    expect(await Promise.all([1, 2, 3].map(() => exchange(world, before)))).toEqual(Array(3).fill('signature_invalid'));
    const client = clientOf('client-1', storage);
    expect(await Promise.all([1, 2, 3].map(() => exchange(world, client)))).toEqual(Array(3).fill('allow'));
    expect(await world.store.get(world.resources.storeKey('h', 'default', 'chain', 'client-1/2'))).toBeNull();
  });

  test('requests of the chains that give way, on lanes beside the first, do not stop the new ones', async () => {
    const world = setup();
    await enrolled(world, { lanes: 2 });
    const lane = world.resources.storeKey('h', 'default', 'chain', 'client-1/1');
    const swap = world.store.swap.bind(world.store);
    let races = 0;
    world.store.swap = async (key, ...rest) => {
      const text = await world.store.get(lane);
      if (key.text === lane.text && (races += 1) === 1) await swap(lane, text, `${text} `, Infinity);
      return swap(key, ...rest);
    };
    const storage = memoryChains();
    await enrolChains(issuerOf(world), storage, { ...wish, lanes: 2, invitation: await invite(world, true) });
    expect(races).toBe(2);
    const client = clientOf('client-1', storage);
    expect(await Promise.all([1, 2].map(() => exchange(world, client)))).toEqual(['allow', 'allow']);
  });

  test('is a fault recovering while the horizon lies ahead, and the invitation is not spent', async () => {
    const world = setup();
    const invitation = await invite(world);
    world.store.horizon = world.clock.nowMs() + 1500;
    const enrol = () => world.post('enrol', { invitation, id: 'a', n: 100, anchors: [anchor()] });
    const fault = await faultOf(enrol());
    expect([fault.reason, fault.retryAfterSeconds]).toEqual(['recovering', 2]);
    world.clock.advance(1500);
    expect(await enrol()).toMatchObject({ id: 'a' });
  });

  test.each([
    ['no anchors', { anchors: [] }],
    ['65 anchors', { anchors: Array.from({ length: 65 }, anchor) }],
    ['an anchor twice', { anchors: ['ab'.repeat(64), 'ab'.repeat(64)] }],
    ['an anchor in upper case', { anchors: ['AB'.repeat(64)] }],
    ['an anchor too short', { anchors: ['ab'.repeat(63)] }],
    ['a chain of length 1', { n: 1 }],
    ['a chain above maxChain', { n: 65_537 }],
    ['a fraction', { n: 2.5 }],
    ['an id with a lane', { id: 'a/1' }],
    ['an invitation of another form', { invitation: 'x' }],
    ['an unknown member', { more: 1 }],
  ])('refuses %s', async (_title, changes) => {
    const world = setup();
    const body = { invitation: 'A'.repeat(43), id: 'a', n: 100, anchors: [anchor()], ...changes };
    expect(await rejectionOf(world.post('enrol', body))).toBeInstanceOf(v.ValiError);
  });
});

describe('by the operator', () => {
  test('a chain is put, looked up with its index, and revoked with all its lanes', async () => {
    const world = setup();
    const storage = memoryChains();
    const { n, anchors } = await makeChains(storage, wish);
    const put = await admin(world, 'PUT', CREDENTIALS, chainOf('alice', { n, anchors }));
    expect([put.status, put.body['timeKey']]).toEqual([201, expect.stringMatching(/^[0-9a-f]{64}$/)]);
    await keepEnrolment(storage, put.body);
    const client = clientOf('client-1', storage);
    expect(await exchange(world, client)).toBe('allow');
    const about = { subject: 'alice', keyId: 'client-1' };
    expect(await admin(world, 'POST', `${CREDENTIALS}/lookup`, about)).toEqual({
      status: 200,
      body: { ...about, profile: 'keyed', n: 99, atMs: world.clock.nowMs() },
    });
    const held = await proven(world, client, REQUEST);
    expect(await admin(world, 'POST', `${CREDENTIALS}/revoke`, about)).toEqual({ status: 200, body: {} });
    expect(await codeOf(world.judge(held))).toBe('unknown_credential');
    expect(await Promise.all([1, 2, 3].map(() => exchange(world, client)))).toEqual(Array(3).fill('signature_invalid'));
    for (const call of ['lookup', 'revoke'])
      expect(await rejectionOf(admin(world, 'POST', `${CREDENTIALS}/${call}`, about))).toMatchObject({
        code: 'not_found',
      });
  });

  /** Runs once, just before a write of this lane that the test waits for. */
  function before(world: SchemeWorld, id: string, nth: number, happens: () => Promise<unknown>) {
    const { text } = world.resources.storeKey('h', 'default', 'chain', id);
    const swap = world.store.swap.bind(world.store);
    let seen = 0;
    world.store.swap = async (key, ...rest) => {
      if (key.text === text && (seen += 1) === nth) await happens();
      return swap(key, ...rest);
    };
  }
  const lanesLeft = async (world: SchemeWorld) =>
    (
      await Promise.all(
        ['client-1', 'client-1/1', 'client-1/2'].map((id) =>
          world.store.get(world.resources.storeKey('h', 'default', 'chain', id)),
        ),
      )
    ).filter((text) => text !== null && text !== '{}');

  test.each([1, 2])('revoking while the chain is enrolled anew leaves no lane of either (write %d)', async (nth) => {
    const world = setup();
    await admin(world, 'PUT', CREDENTIALS, chainOf('alice'));
    const anew = chainOf('alice', { replace: true, anchors: [anchor(), anchor(), anchor()] });
    before(world, 'client-1', nth, () => admin(world, 'PUT', CREDENTIALS, anew));
    const about = { subject: 'alice', keyId: 'client-1' };
    expect((await admin(world, 'POST', `${CREDENTIALS}/revoke`, about)).status).toBe(200);
    expect(await lanesLeft(world)).toEqual([]);
  });

  test('conflict for an enrolment that is revoked before its last lane is written, and it leaves no lane', async () => {
    const world = setup();
    const about = { subject: 'alice', keyId: 'client-1' };
    before(world, 'client-1/1', 1, () => admin(world, 'POST', `${CREDENTIALS}/revoke`, about));
    const put = admin(world, 'PUT', CREDENTIALS, chainOf('alice', { anchors: [anchor(), anchor(), anchor()] }));
    expect(await rejectionOf(put)).toMatchObject({ code: 'conflict' });
    expect(await lanesLeft(world)).toEqual([]);
  });

  test('a chain in use is revoked, though its head moves meanwhile', async () => {
    const world = setup();
    const client = await enrolled(world);
    before(world, 'client-1', 1, () => exchange(world, client));
    const about = { subject: 'alice', keyId: 'client-1' };
    expect((await admin(world, 'POST', `${CREDENTIALS}/revoke`, about)).status).toBe(200);
    expect(await lanesLeft(world)).toEqual([]);
  });

  test('what is left of a revocation that failed passes nothing more, and can be revoked once more', async () => {
    const world = setup();
    const client = await enrolled(world, { lanes: 2 });
    const about = { subject: 'alice', keyId: 'client-1' };
    world.store.before = (verb) => {
      if (verb === 'delete') throw new StoreFault('timeout', 'of the test');
    };
    await rejectionOf(admin(world, 'POST', `${CREDENTIALS}/revoke`, about));
    world.store.before = () => undefined;
    const held = await proven(world, client, REQUEST);
    expect(await codeOf(world.judge(held))).toBe('out_of_sync');
    expect((await admin(world, 'POST', `${CREDENTIALS}/revoke`, about)).status).toBe(200);
    expect(await lanesLeft(world)).toEqual([]);
  });

  test('a seed chain has no time key', async () => {
    const world = setup({ profiles: ['keyed', 'seed'] });
    const { body } = await admin(world, 'PUT', CREDENTIALS, chainOf('alice', { profile: 'seed' }));
    expect(body).toMatchObject({ profile: 'seed', timeKey: null });
  });

  test('conflict for an id that is taken, unless it says replace and the user is the same', async () => {
    const world = setup();
    await admin(world, 'PUT', CREDENTIALS, chainOf('alice'));
    for (const body of [chainOf('alice'), chainOf('bob', { replace: true })]) {
      const refused = await rejectionOf(admin(world, 'PUT', CREDENTIALS, body));
      expect(refused).toBeInstanceOf(HttpProblem);
      expect(refused).toMatchObject({ code: 'conflict' });
    }
    expect((await admin(world, 'PUT', CREDENTIALS, chainOf('alice', { replace: true }))).status).toBe(201);
  });

  test("another user's chain is not found", async () => {
    const world = setup();
    await admin(world, 'PUT', CREDENTIALS, chainOf('alice'));
    for (const call of ['lookup', 'revoke']) {
      const refused = rejectionOf(
        admin(world, 'POST', `${CREDENTIALS}/${call}`, { subject: 'bob', keyId: 'client-1' }),
      );
      expect(await refused).toMatchObject({ code: 'not_found' });
    }
  });

  test.each([
    ['a profile that is not enabled', chainOf('alice', { profile: 'seed' })],
    ['no profile', { ...chainOf('alice'), profile: undefined }],
    ['an unknown member', chainOf('alice', { more: 1 })],
    ['a subject that is none', chainOf('a/b')],
  ])('refuses %s', async (_title, body) => {
    expect(await rejectionOf(admin(setup(), 'PUT', CREDENTIALS, body))).toBeInstanceOf(v.ValiError);
  });

  test('ending the sessions of the user ends the chain: revoked', async () => {
    const world = setup();
    const client = await enrolled(world);
    await world.resources.users.raiseEpoch('default', 'alice');
    expect(await exchange(world, client)).toBe('revoked');
  });

  test('the permit for first use lasts as long as it says, at most an hour', async () => {
    const world = setup({ profiles: ['seed'], seedFirstUse: 'permit' });
    const other = setup({ profiles: ['seed'] });
    const client = await enrolled(other);
    expect(await admin(world, 'POST', 'first-use', { forMs: 1000 })).toEqual({ status: 200, body: {} });
    world.clock.advance(1000);
    expect(await codeOf(world.judge(await proven(world, client, REQUEST)))).toBe('out_of_sync');
    await admin(world, 'POST', 'first-use', { forMs: 1000 });
    expect((await world.judge(await proven(world, client, REQUEST))).subject).toBe('client-1');
    for (const forMs of [0, 3_600_001, 1.5])
      expect(await rejectionOf(admin(world, 'POST', 'first-use', { forMs }))).toBeInstanceOf(v.ValiError);
  });
});

describe('what the client keeps before it is enrolled', () => {
  test('an enrolment whose answer was lost is tried again with the same anchors; nothing signs before', async () => {
    const storage = memoryChains();
    const first = await makeChains(storage, wish);
    expect(await makeChains(storage, wish)).toEqual(first);
    const world = setup();
    const signing = clientOf('client-1', storage).signer.sign(
      { ...REQUEST, body: new Uint8Array(0), bodyDigest: new Uint8Array(0) },
      issuerOf(world),
    );
    expect(await rejectionOf(signing)).toMatchObject({ code: 'key_unusable' });
  });

  test('chains in use give way only when told so', async () => {
    const world = setup();
    const { storage } = await enrolled(world);
    expect(await rejectionOf(makeChains(storage, wish))).toMatchObject({ code: 'key_unusable' });
    expect((await makeChains(storage, { ...wish, replace: true })).anchors).toHaveLength(3);
  });

  test('chains in use are back when the server refuses those that were to replace them, and wait when its answer is lost', async () => {
    const world = setup();
    const { storage } = await enrolled(world, { lanes: 2 });
    const before = await storage.read();
    const replaced = async (failure: Error) => {
      const issuer = { ...issuerOf(world), post: () => Promise.reject(failure) };
      const invitation = await invite(world, true);
      return rejectionOf(enrolChains(issuer, storage, { ...wish, replace: true, invitation }));
    };
    const refusal = new CountersignError('signature_invalid', 'refused', { status: 401 });
    expect(await replaced(refusal)).toBe(refusal);
    expect(await storage.read()).toEqual(before);
    expect(await exchange(world, clientOf('client-1', storage))).toBe('allow');
    for (const unknown of [new CountersignError('unavailable', 'fault', { status: 503 }), new Error('no answer')]) {
      expect(await replaced(unknown)).toBe(unknown);
      expect((await storage.read()).map((text) => parseLane(text).isEnrolled)).toEqual([false, false, false]);
    }
  });

  test('an answer about another chain, or none, is answer_invalid and changes nothing', async () => {
    const storage = memoryChains();
    await makeChains(storage, wish);
    const right = { id: 'client-1', profile: 'keyed', timeKey: 'ab'.repeat(32), windowMs: 30_000, maxSkip: 64 };
    const before = await storage.read();
    for (const change of [
      { id: 'other' },
      { profile: 'x' },
      { timeKey: null },
      { timeKey: 'ab' },
      { windowMs: '30s' },
      { maxSkip: null },
    ])
      expect(await rejectionOf(keepEnrolment(storage, { ...right, ...change }))).toMatchObject({
        code: 'answer_invalid',
      });
    expect(await storage.read()).toEqual(before);
    await keepEnrolment(storage, right);
  });

  test('the answer to an earlier enrolment does not touch chains in use', async () => {
    const { storage } = await enrolled(setup());
    const before = await storage.read();
    const answer = { id: 'client-1', profile: 'seed', timeKey: null, windowMs: 30_000, maxSkip: 64 };
    expect(await rejectionOf(keepEnrolment(storage, answer))).toMatchObject({ code: 'key_unusable' });
    expect(await storage.read()).toEqual(before);
  });

  test('chains of lengths that no server takes are refused before anything is kept', async () => {
    for (const length of [0, 1, 2.5, 65_537]) {
      const storage = memoryChains();
      expect(await rejectionOf(makeChains(storage, { ...wish, length }))).toMatchObject({ code: 'key_unusable' });
      expect(await storage.read()).toEqual([]);
    }
  });

  test('0 and 65 lanes are refused', async () => {
    for (const lanes of [0, 65, 1.5])
      expect(await rejectionOf(makeChains(memoryChains(), { ...wish, lanes }))).toMatchObject({ code: 'key_unusable' });
  });
});
