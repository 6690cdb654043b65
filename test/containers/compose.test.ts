/** The Compose files as shipped, but for the port, brought up and attacked from outside: only Envoy is there to be reached (OP-22). */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { inviteBy, makeComposeFiles } from '../../scripts/compose/files.ts';
import { docker } from '../../scripts/docker.ts';
import { freePort } from '../../scripts/processes.ts';
import { root } from '../../scripts/tool.ts';
import { createClient, enrol, generateKeyPair, signingKey, type Client } from '../../src/client/index.ts';
import { challengeSignature } from '../../src/schemes/challenge-signature/client.ts';
import { IMAGE } from './world.ts';

const MAX_BODY = 1024 * 1024;

interface Composed {
  readonly url: string;
  readonly alice: Client;
  docker(...args: readonly string[]): Promise<string>;
  stop(): Promise<void>;
}

/** A copy beside the original, with another port and another project name: yours may be up. */
async function bringUp(file: string): Promise<Composed> {
  const folder = await mkdtemp(join(tmpdir(), 'cs-compose-'));
  await cp(join(root, 'deploy'), folder, { recursive: true, filter: (from) => !/secrets|envoy[.]compose/.test(from) });
  const port = await freePort();
  for (const name of [file, 'config.compose.yaml', 'config.memory.yaml']) {
    const text = await readFile(join(folder, name), 'utf8');
    const moved = text
      .replaceAll('127.0.0.1:10000:', `127.0.0.1:${port}:`)
      .replaceAll(/(127[.]0[.]0[.]1|localhost):10000/g, `$1:${port}`)
      .replace(/build: .*deploy\/Dockerfile.*\n/, '\n');
    await writeFile(join(folder, name), moved);
  }
  const made = await makeComposeFiles(folder);
  const env = { ...made.env, COUNTERSIGN_IMAGE: IMAGE };
  const base = ['compose', '--project-name', `countersign-test-${port}`, '--file', join(folder, file)];
  const stop = async () => {
    await docker([...base, 'down', '--volumes', '--timeout', '1'], { env });
    await rm(folder, { recursive: true, force: true });
  };
  const url = `http://127.0.0.1:${port}`;
  try {
    await docker([...base, 'up', '--detach', '--wait', '--build'], { env });
    const key = await signingKey(await generateKeyPair('Ed25519'));
    const exec = [...base, 'exec', '-T', 'countersign'];
    const invitation = await inviteBy(exec, '/run/secrets/admin_token', 'alice', env);
    await enrol({ baseUrl: url, scheme: 'challenge-signature', invitation, kid: 'k1', key });
    const alice = createClient({ baseUrl: url, signer: challengeSignature({ user: 'alice', kid: 'k1', key }) });
    // A store that has just started refuses for some seconds.
    const passes = () =>
      alice.fetch('/a').then(
        () => true,
        () => false,
      );
    for (let attempt = 0; !(await passes()) && attempt < 100; attempt += 1) await sleep(250);
    return { url, alice, docker: (...args) => docker([...base, ...args], { env }), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

describe.each(['compose.yaml', 'compose.memory.yaml'])('%s', (file) => {
  let up: Composed;
  beforeAll(async () => {
    up = await bringUp(file);
  }, 300_000);
  afterAll(() => up?.stop(), 60_000);

  async function sign(target = '/transfer', body?: Uint8Array<ArrayBuffer>) {
    const { url, method, headers } = await up.alice.signRequest(target, { method: 'POST', ...(body && { body }) });
    return { url, method, headers };
  }
  const status = async (url: string | URL, init?: RequestInit) => (await fetch(url, init)).status;

  test('allows what is signed, and the upstream sees who it was whatever the client claims', async () => {
    const { url, method, headers } = await sign();
    headers.set('x-auth-subject', 'root');
    headers.append('X-Auth-Role', 'admin');
    const answer = await fetch(url, { method, headers });
    expect(answer.status).toBe(200);
    const seen = ((await answer.json()) as { headers: [string, string][] }).headers.filter(([name]) =>
      /^x-auth-/i.test(name),
    );
    expect(seen).toContainEqual(['x-auth-subject', 'alice']);
    expect(JSON.stringify(seen)).not.toMatch(/root|admin/);
  });

  test('refuses nothing signed, garbage, a second use, and all but one of many at once', async () => {
    expect(await status(`${up.url}/transfer`)).toBe(401);
    expect(await status(`${up.url}/transfer`, { headers: { authorization: 'ChallengeSignature garbage' } })).toBe(401);
    const { url, ...init } = await sign();
    const statuses = await Promise.all(Array.from({ length: 10 }, () => status(url, init)));
    expect(statuses.toSorted()).toEqual([200, ...Array.from({ length: 9 }, () => 401)]);
    expect(await status(url, init)).toBe(401);
  });

  test('refuses what was changed after signing: method, path, query, host, body', async () => {
    const bytes = new Uint8Array([1, 2, 0x21, 0xff]);
    const { url, method, headers } = await sign('/transfer?to=bob', bytes);
    const other = bytes.with(2, 0xff);
    const port = new URL(url).port;
    expect(await status(url, { method: 'PUT', headers, body: bytes })).toBe(401);
    expect(await status(`${up.url}/transfers?to=bob`, { method, headers, body: bytes })).toBe(401);
    expect(await status(`${up.url}/transfer?to=eve`, { method, headers, body: bytes })).toBe(401);
    expect(await status(`http://localhost:${port}/transfer?to=bob`, { method, headers, body: bytes })).toBe(401);
    expect(await status(url, { method, headers, body: other })).toBe(401);
    expect(await status(url, { method, headers })).toBe(401);
    expect(await status(url, { method, headers, body: bytes })).toBe(200); // Nothing of that has spent it.
  });

  test('takes a body of exactly the limit and none beyond', async () => {
    const whole = new Uint8Array(MAX_BODY);
    const { url, ...init } = await sign('/upload', whole);
    expect(await status(url, { ...init, body: whole })).toBe(200);
    const more = new Uint8Array(MAX_BODY + 1);
    const beyond = await sign('/upload', more);
    expect(await status(beyond.url, { method: 'POST', headers: beyond.headers, body: more })).toBe(413);
  });

  test('paths in disguise are refused or judged as what they are', async () => {
    for (const path of ['/%2e%2e/transfer', '/a%2ftransfer', '//transfer', '/./transfer', '/auth/../transfer'])
      expect([400, 401, 404]).toContain(await raw(up.url, path));
  });

  test('nothing but Envoy can be reached: no admin port, no issuer, no Redis', async () => {
    const published = await up.docker('ps', '--format', '{{.Publishers}}');
    const ports = [...published.matchAll(/ ([0-9]+) tcp/g)].map(([, port]) => port);
    expect(new Set(ports.filter((port) => port !== '0'))).toEqual(new Set([new URL(up.url).port]));
    expect(await status(`${up.url}/admin/v1/status`)).toBe(401); // A path of the application like any other.
    expect(await status(`${up.url}/metrics`)).toBe(401);
  });

  test('survives the end of countersign: 503 meanwhile, nothing passes twice afterwards', async () => {
    const { url, ...init } = await sign();
    expect(await status(url, init)).toBe(200);
    await up.docker('stop', 'countersign');
    expect(await status(url, init)).toBe(503);
    await up.docker('up', '--detach', '--wait');
    expect(await status(url, init)).not.toBe(200);
  }, 120_000);
});

/** Sends a path as it is; `fetch` would tidy it. @returns the status. */
function raw(url: string, path: string): Promise<number> {
  const { hostname, port, host } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => {
      socket.write(`GET ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
    });
    let answer = '';
    socket.setEncoding('latin1').on('data', (chunk) => (answer += String(chunk)));
    socket.on('error', reject);
    socket.on('end', () => resolve(Number(/^HTTP\/1.1 ([0-9]{3})/.exec(answer)?.[1])));
  });
}
