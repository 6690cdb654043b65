/**
 * CT-18 for `token-signing`: the operator rotates by the commands while logins and requests run, two replicas read the ring at different
 * moments, and a foreign verifier knows only the JWKS it fetched last. Nobody is refused. `npm run test:long` does it for ten minutes.
 */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { copyFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import { systemClock } from '../../src/core/clock.ts';
import type { Scheme } from '../../src/core/scheme.ts';
import { jwks } from '../../src/issuer/jwks.ts';
import { openKeyring, type OpenKeyring } from '../../src/keys/key-ring.ts';
import { readRingFile, writeRingFile } from '../../src/keys/ring-file.ts';
import { clientChallenge } from '../../src/schemes/client-challenge/index.ts';
import {
  AUDIENCE,
  carrying,
  GET,
  newKey,
  registered,
  SETTINGS,
  strictLogin,
} from '../schemes/client-challenge/prover.ts';
import { countersign, createFolder, type Folder } from '../commands/rig.ts';
import { authRequest, newCheckId } from '../support/auth-request.ts';
import { checkCall } from '../support/check-call.ts';
import { isLong } from '../support/long.ts';
import { outcomeOf } from '../support/refused.ts';
import { createSchemeWorld, ISSUER_URL } from '../support/scheme-world.ts';

const ROTATIONS = isLong ? 60 : 3;
/** How long each state of affairs lasts. */
const PHASE_MS = isLong ? 3_000 : 150;
const PUBLISH_MS = 10 * 60_000;

let folder: Folder;
const opened: OpenKeyring[] = [];
beforeEach(() => {
  folder = createFolder();
});
afterEach(() => {
  for (const ring of opened.splice(0)) ring.close();
  folder.remove();
});

interface Replica {
  readonly keyring: OpenKeyring;
  readonly scheme: Scheme;
}

test(
  `${ROTATIONS} rotations under load: no request is refused, and none that should be passes`,
  async () => {
    const world = createSchemeWorld(clientChallenge, { settings: SETTINGS, clock: systemClock });
    const key = newKey();
    await registered(world, 'alice', key);
    const [ours, theirs] = [join(folder.path, 'ring.json'), join(folder.path, 'other-ring.json')];
    await command('generate', '--ring', ours, '--use', 'token-signing', '--alg', 'Ed25519');
    await command('generate', '--ring', ours, '--use', 'token-signing', '--alg', 'Ed25519');
    await waitTenMinutes(ours);
    await copyFile(ours, theirs);
    const replicas = [await open(ours), await open(theirs)] as const;

    async function open(file: string): Promise<Replica> {
      const keyring = await openKeyring({
        file,
        clock: systemClock,
        reloadIntervalMs: 1000,
        onChange() {},
        onError: unexpected,
      });
      opened.push(keyring);
      return { keyring, scheme: clientChallenge.create(world.settings, { ...world.resources, keyring }) };
    }

    const logIn = async ({ scheme }: Replica): Promise<string> => {
      const endpoint = scheme.endpoints.find(({ path }) => path === 'token');
      const nowMs = Date.now();
      if (endpoint === undefined) throw new Error('no endpoint token');
      const { body } = await endpoint.handle({
        body: { ...strictLogin(key, nowMs), tenant: 'default' },
        raw: new Uint8Array(0),
        header: () => undefined,
        source: '',
        owner: newCheckId(),
        receivedAtMs: nowMs,
        signal: new AbortController().signal,
      });
      return (body as { token: string }).token;
    };
    const judge = async ({ scheme }: Replica, token: string) =>
      outcomeOf(
        (async () => scheme.verify(authRequest(carrying(GET, token), Date.now()), world.policy(), checkCall()))(),
      );
    const publishedBy = ({ keyring }: Replica) => createLocalJWKSet(jwks(keyring).members as unknown as JSONWebKeySet);

    let published = publishedBy(replicas[1]);
    const tokens: string[] = [];
    const refusals: string[] = [];
    let judged = 0;
    const end = new AbortController();
    /** Each replica's newest token, and one of all before, at each replica and at the foreign verifier. */
    const load = async () => {
      while (!end.signal.aborted) {
        const fresh = await Promise.all(replicas.map(logIn));
        tokens.push(...fresh);
        for (const token of [...fresh, tokens[Math.floor(Math.random() * tokens.length)] ?? '']) {
          for (const outcome of await Promise.all(replicas.map((replica) => judge(replica, token)))) {
            judged += 1;
            if (outcome !== 'allow') refusals.push(outcome);
          }
          await jwtVerify(token, published, { issuer: ISSUER_URL, audience: AUDIENCE }).catch((thrown: unknown) =>
            refusals.push(String(thrown)),
          );
        }
        await sleep(5);
      }
    };
    const running = load();

    for (let rotation = 0; rotation < ROTATIONS; rotation += 1) {
      const before = replicas[0].keyring.active('token-signing').kid;
      await command('rotate', '--ring', ours, '--use', 'token-signing');
      await until(() => replicas[0].keyring.active('token-signing').kid !== before);
      // One replica signs with what the other still calls next, and the foreign verifier has it from before.
      expect(replicas[1].keyring.active('token-signing').kid).toBe(before);
      const alreadyJudged = judged;
      await sleep(PHASE_MS);
      await until(() => judged > alreadyJudged + 12);
      await copyFile(ours, `${theirs}.new`);
      await rename(`${theirs}.new`, theirs);
      await until(() => replicas[1].keyring.active('token-signing').kid !== before);
      await sleep(PHASE_MS);
      published = publishedBy(replicas[rotation % 2 === 0 ? 1 : 0]);
      await waitTenMinutes(ours);
    }
    end.abort();
    await running;
    expect(refusals).toEqual([]);

    // Ended early, a key is refused by who has heard of it; what it did not sign passes.
    const leaked = replicas[0].keyring.active('token-signing').kid;
    const stolen = await logIn(replicas[0]);
    await command('retire', '--ring', ours, '--kid', leaked);
    await until(() => replicas[0].keyring.active('token-signing').kid !== leaked);
    expect(await judge(replicas[0], stolen)).toBe('unknown_credential');
    expect(await judge(replicas[1], stolen)).toBe('allow');
    expect(await judge(replicas[0], await logIn(replicas[0]))).toBe('allow');
    await copyFile(ours, `${theirs}.new`);
    await rename(`${theirs}.new`, theirs);
    await until(() => replicas[1].keyring.active('token-signing').kid !== leaked);
    expect(await judge(replicas[1], stolen)).toBe('unknown_credential');
  },
  isLong ? 900_000 : 120_000,
);

async function command(...args: string[]): Promise<void> {
  const { exit, stderr } = await countersign(['keys', ...args]);
  if (exit !== 0) throw new Error(`keys ${args.join(' ')}: ${exit} ${stderr}`);
}

/** A key is published for ten minutes before it signs; here they pass at once. */
async function waitTenMinutes(file: string): Promise<void> {
  const ring = await readRingFile(file);
  await writeRingFile(
    file,
    ring.map((key) => (key.state === 'next' ? { ...key, createdAtMs: key.createdAtMs - PUBLISH_MS } : key)),
  );
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(20);
}

function unexpected(error: unknown): never {
  throw new Error('the ring could not be read', { cause: error });
}
