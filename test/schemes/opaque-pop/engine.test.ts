/** The product's engine against a second one of another library, and its life in threads, from source and from the build. */
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as fc from 'fast-check';
import type { Fault } from '../../../src/core/fault.ts';
import { Secret } from '../../../src/core/secret.ts';
import { randomBytes } from '../../../src/crypto/random.ts';
import { createEngine, type OpaqueEngine } from '../../../src/schemes/opaque-pop/engine.ts';
import { OPAQUE_BYTES } from '../../../src/schemes/opaque-pop/message.ts';
import { createSetup } from '../../../src/schemes/opaque-pop/setup.ts';
import { cropped, welchT } from '../../conformance/scheme.ts';
import { isLong } from '../../support/long.ts';
import { codeOf, faultOf, outcomeOf } from '../../support/refused.ts';
import { CHEAP } from './prover.ts';
import { referenceClient, referenceEngine } from './reference-engine.ts';

const opened: { close(): void }[] = [];
afterEach(() => opened.splice(0).forEach((engine) => engine.close()));

let setup: Secret<Uint8Array>;
beforeAll(async () => {
  setup = new Secret(await createSetup());
});

function product(threads = 1) {
  const jobs: string[] = [];
  const engine = createEngine({
    threads,
    random: randomBytes,
    clock: { nowMs: () => 0, monotonicMs: () => performance.now() },
    observe: (_name, { op = '' }) => void jobs.push(op),
    level() {},
  });
  opened.push(engine);
  return { engine, jobs };
}

async function registered(engine: OpaqueEngine, user: string, password: string): Promise<Uint8Array> {
  const { request, finish } = referenceClient(password, CHEAP).startRegistration();
  return finish(await engine.registrationResponse(setup, user, request));
}

describe('the two engines are one server: registered at', () => {
  test.each([
    ['the product, login at the reference', true, false],
    ['the reference, login at the product', false, true],
    ['the product, login at the product', true, true],
    ['the reference, login at the reference', false, false],
  ])('%s', async (_title, registerAtProduct, loginAtProduct) => {
    const { engine } = product();
    const [first, second] = [registerAtProduct, loginAtProduct].map((atProduct) =>
      atProduct ? engine : referenceEngine(),
    ) as [OpaqueEngine, OpaqueEngine];
    const record = await registered(first, 'alice', 'correct horse');
    const login = referenceClient('correct horse', CHEAP).startLogin();
    const { ke2, state } = await second.loginStart(setup, 'alice', record, login.ke1);
    const finished = await login.finish(ke2);
    expect(finished).not.toBeNull();
    expect(await second.loginFinish(state, finished?.ke3 ?? new Uint8Array(64))).toEqual(finished?.sessionKey);
    expect(await second.loginFinish(state, randomBytes(64))).toBeNull();

    const wrong = referenceClient('another', CHEAP).startLogin();
    expect(await wrong.finish((await second.loginStart(setup, 'alice', record, wrong.ke1)).ke2)).toBeNull();
  });
});

test('a record serves one user: the credential identifier is part of it', async () => {
  const { engine } = product();
  const record = await registered(engine, 'alice', 'correct horse');
  const login = referenceClient('correct horse', CHEAP).startLogin();
  expect(await login.finish((await engine.loginStart(setup, 'bob', record, login.ke1)).ke2)).toBeNull();
});

test('a made-up answer has the size of a real one, opens for no password, and its login is never finished', async () => {
  const { engine } = product();
  const login = referenceClient('correct horse', CHEAP).startLogin();
  const { ke2, state } = await engine.loginStart(setup, 'nobody', null, login.ke1);
  expect(ke2).toHaveLength(OPAQUE_BYTES.ke2);
  expect(await login.finish(ke2)).toBeNull();
  expect(await engine.loginFinish(state, randomBytes(64))).toBeNull();
});

test('two logins of one message differ wherever the server is free: nonces, key share, mask', async () => {
  const { engine } = product();
  const record = await registered(engine, 'alice', 'correct horse');
  const { ke1 } = referenceClient('correct horse', CHEAP).startLogin();
  for (const given of [record, null]) {
    const [one, two] = [
      (await engine.loginStart(setup, 'alice', given, ke1)).ke2,
      (await engine.loginStart(setup, 'alice', given, ke1)).ke2,
    ];
    expect(one.subarray(0, 32)).toEqual(two.subarray(0, 32));
    for (const [from, to] of [
      [32, 64],
      [64, 192],
      [192, 224],
      [224, 256],
      [256, 320],
    ] as const)
      expect(one.subarray(from, to)).not.toEqual(two.subarray(from, to));
  }
});

test('property: any bytes of the right length are answered or malformed, a record a fault, and the thread lives', async () => {
  const { engine } = product();
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  const { ke1 } = referenceClient('x', CHEAP).startLogin();
  await fc.assert(
    fc.asyncProperty(bytes(32), bytes(192), bytes(96), bytes(64), async (request, record, hostile, ke3) => {
      const outcomes = [
        await outcomeOf(engine.registrationResponse(setup, 'alice', request)),
        await outcomeOf(engine.loginStart(setup, 'alice', null, hostile)),
      ];
      for (const outcome of outcomes) expect(['allow', 'malformed']).toContain(outcome);
      const withRecord = engine.loginStart(setup, 'alice', record, ke1).then(() => 'answered');
      expect(['answered', 'protocol']).toContain(await withRecord.catch((thrown: Fault) => thrown.reason));
      expect(await engine.loginFinish(new Secret(randomBytes(128)), ke3)).toBeNull();
    }),
  );
});

test('a setup that is none is a fault key_source, whatever the message', async () => {
  const { engine } = product();
  const none = new Secret(new Uint8Array(128).fill(0xff));
  const { ke1 } = referenceClient('x', CHEAP).startLogin();
  expect((await faultOf(engine.loginStart(none, 'alice', null, ke1))).reason).toBe('key_source');
  expect((await faultOf(engine.registrationResponse(none, 'alice', ke1.subarray(0, 32)))).reason).toBe('key_source');
});

test('the identity element is malformed: it would make every password one', async () => {
  const { engine } = product();
  const { ke1 } = referenceClient('x', CHEAP).startLogin();
  expect(await codeOf(engine.registrationResponse(setup, 'alice', new Uint8Array(32)))).toBe('malformed');
  const noShare = Uint8Array.from(ke1);
  noShare.fill(0, 64);
  expect(await codeOf(engine.loginStart(setup, 'alice', null, noShare))).toBe('malformed');
});

test('each job is timed under its own name', async () => {
  const { engine, jobs } = product();
  const record = await registered(engine, 'alice', 'correct horse');
  const { ke1 } = referenceClient('x', CHEAP).startLogin();
  const { state } = await engine.loginStart(setup, 'alice', record, ke1);
  await engine.loginFinish(state, randomBytes(64));
  expect(jobs).toEqual(['registration_response', 'login_start', 'login_finish']);
});

test('a setup has 128 bytes and is another one each time', async () => {
  const [one, two] = [await createSetup(), await createSetup()];
  expect([one.length, two.length]).toEqual([128, 128]);
  expect(one).not.toEqual(two);
});

test('the build has the thread beside the engine and runs it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-build-'));
  try {
    await symlink(join(process.cwd(), 'node_modules'), join(folder, 'node_modules'));
    await symlink(join(process.cwd(), 'package.json'), join(folder, 'package.json'));
    const tsc = [
      'node_modules/typescript/bin/tsc',
      '-p',
      'tsconfig.build.json',
      '--outDir',
      join(folder, 'dist'),
      '--declaration',
      'false',
    ];
    // Other parts of the source may be at fault for what this says; what was written is what is tested.
    await promisify(execFile)(process.execPath, tsc).catch(() => undefined);
    const engine = join(folder, 'dist', 'schemes', 'opaque-pop', 'engine.js');
    expect(await readFile(engine, 'utf8')).toContain('./thread.js');
    const program = `
      import { createEngine } from ${JSON.stringify(engine)};
      import { Secret } from ${JSON.stringify(join(folder, 'dist', 'core', 'secret.js'))};
      const engine = createEngine({ threads: 1, random: (n) => new Uint8Array(n), clock: { monotonicMs: () => 0 }, observe() {}, level() {} });
      const setup = new Secret(Uint8Array.from(Buffer.from(process.argv[1], 'hex')));
      const response = await engine.registrationResponse(setup, '1234', Uint8Array.from(Buffer.from(process.argv[2], 'hex')));
      process.stdout.write(String(response.length));
      engine.close();`;
    const request = referenceClient('x', CHEAP).startRegistration().request;
    const args = ['--input-type=module', '-e', program, '--', hexOf(setup.reveal()), hexOf(request)];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    expect(stdout).toBe('64');
  } finally {
    await rm(folder, { recursive: true });
  }
}, 60_000);

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

if (isLong) {
  test('9. times of known and unknown users do not differ: Welch t below 4.5 over 20,000 interleaved starts', async () => {
    const { engine } = product();
    const record = await registered(engine, 'alice', 'correct horse');
    const { ke1 } = referenceClient('x', CHEAP).startLogin();
    const times: [number[], number[]] = [[], []];
    for (let sample = 0; sample < 20_400; sample += 1) {
      const which = Math.random() < 0.5 ? 0 : 1;
      const start = performance.now();
      await engine.loginStart(setup, 'alice', which === 0 ? record : null, ke1);
      if (sample >= 400) times[which].push(performance.now() - start);
    }
    expect(Math.abs(welchT(cropped(times[0]), cropped(times[1])))).toBeLessThan(4.5);
  }, 600_000);
}
