/** Starts and stops the programs of the demonstration; whatever happens, nothing that was started here stays behind. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { env } from 'node:process';

interface Running {
  readonly name: string;
  readonly child: ChildProcess;
  readonly logFile: string;
}

const running: Running[] = [];
const WAIT_MS = 60_000;
const LOOK_MS = 50;
const STOP_MS = 5000;

export function startProcess(name: string, command: string, args: readonly string[], logFile: string): void {
  const log = openSync(logFile, 'a', 0o600);
  const child = spawn(command, args, { stdio: ['ignore', log, log] });
  child.on('error', () => undefined); // Seen by `whenAnswers`: it never comes up.
  running.push({ name, child, logFile });
}

/** @throws {Error} with one line that names the log, when the program has ended or does not answer. */
export async function whenAnswers(name: string, url: string): Promise<void> {
  const untilMs = performance.now() + WAIT_MS;
  while (performance.now() < untilMs) {
    const one = running.find((candidate) => candidate.name === name);
    if (one?.child.pid === undefined || one.child.exitCode !== null || one.child.signalCode !== null)
      throw new Error(`${name} ended: ${lastLine(one?.logFile)}`);
    const answer = await fetch(url).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer?.ok === true) return;
    await new Promise((done) => setTimeout(done, LOOK_MS));
  }
  throw new Error(`${name} does not answer at ${url}; its log is below .demo`);
}

function lastLine(file: string | undefined): string {
  if (file === undefined) return 'it could not be started';
  return readFileSync(file, 'utf8').trimEnd().split('\n').at(-1) ?? '';
}

/** In the order of a drain: who asks before who answers. */
export async function stopAll(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
  for (const one of running.toReversed()) await end(one, signal);
  running.length = 0;
}

/** One of them; its name is free then. */
export async function stopProcess(name: string, signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
  const at = running.findIndex((one) => one.name === name);
  const [one] = at < 0 ? [] : running.splice(at, 1);
  if (one !== undefined) await end(one, signal);
}

async function end({ child }: Running, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const ended = new Promise((done) => child.once('exit', done));
  child.kill(signal);
  const cut = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await ended;
  clearTimeout(cut);
}

/**
 * Below the ports that the kernel gives to outgoing connections: one of those may be taken before it is listened on. Each worker
 * of the tests has a part of its own, since between looking and listening another could look too.
 */
const PARTS = 8;
const PART = { size: 2750, first: 10_000 + 2750 * (Number(env['JEST_WORKER_ID'] ?? 0) % PARTS) };
let looked = randomInt(PART.size);

/** A loopback port that nobody listens on. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < PART.size; tries += 1) {
    looked = (looked + 1) % PART.size;
    const port = PART.first + looked;
    if (await isFree(port)) return port;
  }
  throw new Error('no port is free');
}

export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.on('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
