/**
 * What one scheme shows in the demonstration: requests through Envoy with the verdict each must have. One file per scheme beside this
 * one; `scenes.ts` lists them, `../demo.ts` brings up what they play on.
 */
import { readFileSync } from 'node:fs';
import type { KeyOrder } from '../../src/keys/ring-changes.ts';

export interface Scene {
  /** Name of the scheme, and of its part of the configuration. */
  readonly scheme: string;
  /** `schemes.<name>` of the configuration. */
  readonly settings: object;
  /** Keys that the ring must hold for it; one of each use is made. */
  ringKeys?(): Promise<readonly RingKeyOrder[]>;
  /** Endpoints of the issuer outside of `/auth`: whole paths, which Envoy must route to it. */
  readonly issuerPaths?: readonly string[];
  /** For `curl` in the terminal, behind `--scheme <name>`; where the client keeps its credentials is up to the scene. */
  readonly terminal: string;
  /** Registers a client and shows one request allowed and some refused, through `stage.show`. */
  play(stage: Stage): Promise<void>;
}

export type RingKeyOrder = Pick<KeyOrder, 'use' | 'alg' | 'setup'>;

export interface Addresses {
  readonly envoy: string;
  readonly issuer: string;
  readonly admin: string;
  readonly adminTokenFile: string;
}

export interface Stage extends Addresses {
  /** Absolute path of `.demo`, for what a client keeps. */
  readonly folder: string;
  /** Calls the admin API. @returns the members of the answer. @throws {Error} any answer but 2xx. */
  callAdmin(method: 'PUT' | 'POST', path: string, body: object): Promise<Readonly<Record<string, unknown>>>;
  say(line: string): void;
  /** Sends a request and prints whether its verdict, `200` or `401 replayed`, is the expected one. */
  show(what: string, expected: string, request: DemoRequest): Promise<void>;
}

export interface DemoRequest {
  readonly url: string | URL;
  readonly method: string;
  readonly headers: Headers;
  readonly body: string;
}

/** @returns the stage, and whether every verdict was right until now. */
export function createStage(addresses: Addresses, folder: string): { stage: Stage; areRight(): boolean } {
  let areRight = true;
  const say = (line: string) => void process.stdout.write(`${line}\n`);
  const stage: Stage = {
    ...addresses,
    folder,
    say,
    callAdmin: (method, path, body) => callAdmin(addresses, method, path, body),
    async show(what, expected, request) {
      const { verdict, seen } = await send(request);
      const isRight = verdict === expected;
      areRight &&= isRight;
      say(
        `  ${isRight ? 'ok  ' : 'FAIL'} ${what.padEnd(44)} ${verdict}${isRight ? '' : `, expected ${expected}`}${seen}`,
      );
    },
  };
  return { stage, areRight: () => areRight };
}

async function send({ url, ...init }: DemoRequest): Promise<{ verdict: string; seen: string }> {
  const answer = await fetch(url, init);
  const members = (await answer.json().catch(() => ({}))) as { code?: string; headers?: [string, string][] };
  if (!answer.ok) return { verdict: `${answer.status} ${members.code ?? ''}`, seen: '' };
  const subject = members.headers?.find(([name]) => name.toLowerCase() === 'x-auth-subject')?.[1];
  return { verdict: String(answer.status), seen: ` (the upstream saw x-auth-subject: ${subject ?? 'nothing'})` };
}

async function callAdmin({ admin, adminTokenFile }: Addresses, method: string, path: string, body: object) {
  const answer = await fetch(`${admin}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${readFileSync(adminTokenFile, 'utf8').trim()}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as Readonly<Record<string, unknown>>;
}
