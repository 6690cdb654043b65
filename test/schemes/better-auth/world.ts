/** better-auth in a world of its own, with the issuer's front as far as it matters: raw bodies in, the protocol's own refusals out. */
import * as v from 'valibot';
import { Denial, wireCode } from '../../../src/core/decision.ts';
import { Fault } from '../../../src/core/fault.ts';
import type { KeyState, KeyUse, RingKey } from '../../../src/core/keyring.ts';
import type { Answer, Endpoint } from '../../../src/core/scheme.ts';
import { HttpProblem } from '../../../src/core/http.ts';
import { Secret } from '../../../src/core/secret.ts';
import { importPoint } from '../../../src/crypto/p256-point.ts';
import { generateKeyPair, sign, thumbprint, type PrivateJwk } from '../../../src/crypto/signatures.ts';
import { encodeBase64url } from '../../../src/encoding/base64url.ts';
import { utf8 } from '../../../src/encoding/bytes.ts';
import { decode, encode } from '../../../src/encoding/cesr.ts';
import { compressPoint } from '../../../src/encoding/p256.ts';
import { betterAuth } from '../../../src/schemes/better-auth/index.ts';
import { newCheckId } from '../../support/auth-request.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { createSchemeWorld, type SchemeWorld, type WorldOptions } from '../../support/scheme-world.ts';
import vectors from '../../vectors/better-auth.json' with { type: 'json' };

export { vectors };

/** A P-256 key as its owner has it. */
export interface Key {
  /** CESR word `1AAI`. */
  readonly word: string;
  readonly privateJwk: PrivateJwk;
  /** @returns a CESR word `0I`. */
  sign(text: string | Uint8Array): string;
}

export function newKey(): Key {
  return keyOf(generateKeyPair('ES256').privateJwk);
}

/** Of the vectors, by name. */
export function vectorKey(name: string): Key {
  const { seed, publicKey } = vectors.keys[name as keyof typeof vectors.keys];
  const publicJwk = importPoint(decode(publicKey, ['1AAI']).raw);
  if (publicJwk === undefined) throw new Error(`no point: ${name}`);
  return keyOf({ ...publicJwk, d: encodeBase64url(decode(seed, ['Q']).raw) });
}

function keyOf(privateJwk: PrivateJwk): Key {
  const { d: _, ...publicJwk } = privateJwk;
  if (publicJwk.kty !== 'EC') throw new Error('not P-256');
  return {
    word: encode('1AAI', compressPoint(publicJwk)),
    privateJwk,
    sign: (text) => encode('0I', sign(privateJwk, typeof text === 'string' ? utf8(text) : text)),
  };
}

export function ringKey(
  use: KeyUse,
  { privateJwk }: Key,
  state: KeyState = 'active',
  retireAtMs: number | null = null,
): RingKey {
  const { d: _, ...publicJwk } = privateJwk;
  const kid = encodeBase64url(thumbprint(publicJwk));
  const material = new Secret(utf8(JSON.stringify(privateJwk)));
  return { kid, use, alg: 'ES256', state, activateAtMs: null, retireAtMs, material };
}

const PEPPER: RingKey = {
  kid: 'CwsLCwsLCwsLCwsLCwsLCw',
  use: 'pepper',
  alg: null,
  state: 'active',
  activateAtMs: null,
  retireAtMs: null,
  material: new Secret(new Uint8Array(32).fill(0x0b)),
};

/** The ring of the vectors. */
export const RING: readonly RingKey[] = [
  ringKey('response-signing', vectorKey('response-server')),
  ringKey('access-signing', vectorKey('access-server')),
  PEPPER,
];

export const START_MS = vectors.clockMs;

export function betterAuthWorld({ settings = {}, ...options }: WorldOptions = {}): SchemeWorld {
  return createSchemeWorld(betterAuth, {
    clock: createFakeClock(START_MS),
    ring: RING,
    settings: { audience: vectors.settings.audience, ...settings },
    ...options,
  });
}

export interface Reply {
  readonly status: number;
  readonly text: string;
  /** Parsed text. */
  readonly json: unknown;
  readonly headers: ReadonlyMap<string, string>;
  /** The denial's, where there was one: it never leaves the process. */
  readonly code: string | undefined;
  /** Of an error body of v1. */
  readonly error: string | undefined;
}

export interface CallOptions {
  readonly source?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly listener?: 'issuer' | 'admin';
  readonly method?: 'GET' | 'POST';
}

/** One call of an endpoint by its whole path, answered as the front would. @throws whatever is no refusal, no fault. */
export async function call(
  world: SchemeWorld,
  path: string,
  text: string | Uint8Array,
  options: CallOptions = {},
): Promise<Reply> {
  const { source = '203.0.113.9', headers = {}, listener = 'issuer', method = 'POST' } = options;
  const endpoint = world.scheme.endpoints.find(
    (one) => one.path === path && one.listener === listener && one.method === method,
  );
  if (endpoint === undefined) throw new Error(`no endpoint ${method} ${path}`);
  try {
    const answer = await endpoint.handle({
      body: parsedBody(endpoint, text),
      raw: typeof text === 'string' ? new TextEncoder().encode(text) : text,
      header: (name) => headers[name],
      source,
      owner: newCheckId(),
      receivedAtMs: world.clock.nowMs(),
      signal: new AbortController().signal,
    });
    return replyOf(answer, undefined);
  } catch (thrown) {
    return refusalReply(endpoint, thrown);
  }
}

function replyOf({ status, body, headers = [] }: Answer, code: string | undefined): Reply {
  const text = ArrayBuffer.isView(body) ? new TextDecoder().decode(body as Uint8Array) : JSON.stringify(body);
  const json: unknown = text.startsWith('{') ? JSON.parse(text) : {};
  const error = (json as { error?: { code?: string } }).error?.code;
  return { status, text, json, headers: new Map(headers), code, error };
}

function refusalReply(endpoint: Endpoint, thrown: unknown): Reply {
  const body = (status: number, code: string, hint?: unknown) =>
    endpoint.problem?.(status, code, hint) ?? { status, code };
  if (thrown instanceof Denial) {
    const { form, code, options } = thrown;
    return replyOf({ status: form.issuer, body: body(form.issuer, wireCode(code), options.hint) }, code);
  }
  if (thrown instanceof HttpProblem)
    return replyOf({ status: thrown.status, body: body(thrown.status, thrown.code) }, thrown.code);
  if (thrown instanceof Fault)
    return replyOf({ status: 503, body: body(503, 'unavailable') }, `fault ${thrown.reason}`);
  throw thrown;
}

function parsedBody(endpoint: Endpoint, text: string | Uint8Array): unknown {
  if (endpoint.body === undefined) return undefined;
  const parsed = v.safeParse(
    endpoint.body,
    JSON.parse(typeof text === 'string' ? text : new TextDecoder().decode(text)),
  );
  if (!parsed.success) throw new Denial('malformed', 'members that the endpoint does not take');
  return parsed.output;
}

/** A call of the admin API. */
export function admin(world: SchemeWorld, path: string, body: object): Promise<Reply> {
  return call(world, `/admin/v1/${path}`, JSON.stringify(body), { listener: 'admin' });
}
