/** Clients of opaque-pop in a world: with a session that is put in place, or by registering and logging in through the endpoints. */
import { sha256 } from '../../../src/crypto/digest.ts';
import { hmacSha256 } from '../../../src/crypto/mac.ts';
import { randomBytes } from '../../../src/crypto/random.ts';
import { Secret } from '../../../src/core/secret.ts';
import type { IssuerConnection, OutgoingRequest } from '../../../src/core/signer.ts';
import { encodeBase64url } from '../../../src/encoding/base64url.ts';
import { opaquePop } from '../../../src/schemes/opaque-pop/client.ts';
import type { Profile } from '../../../src/schemes/opaque-pop/message.ts';
import { seedMessage } from '../../../src/schemes/opaque-pop/seed-message.ts';
import type { Settings } from '../../../src/schemes/opaque-pop/settings.ts';
import { createSessions } from '../../../src/schemes/opaque-pop/state.ts';
import { type RequestParts, withHeader } from '../../support/auth-request.ts';
import type { SchemeWorld } from '../../support/scheme-world.ts';
import { userRecord } from '../../support/test-users.ts';

export const NAME = 'opaque-pop';
/** The least that settings allow: what it costs is not what is tested. */
export const CHEAP = { memoryKib: 7168, iterations: 1, parallelism: 1 };

export interface Client {
  readonly profile: Profile;
  readonly sid: string;
  /** 64 bytes, 32 for `seed`. */
  readonly key: Uint8Array;
}

/** A client of `alice`, as a login would have left it. */
export async function loggedIn(
  world: SchemeWorld,
  profile: Profile,
  tenant = 'default',
  user = 'alice',
): Promise<Client> {
  const { idleMs, absoluteMs, seedSessionMs } = world.settings as Settings;
  await world.users.save(userRecord(user, { attributes: { role: 'admin' } }), tenant);
  const client = newClient(profile);
  const nowMs = world.clock.nowMs();
  await createSessions(world.resources, idleMs).start(tenant, client.sid, {
    user,
    profile,
    key: new Secret(client.key),
    epoch: 0,
    atMs: nowMs,
    absUntilMs: nowMs + (profile === 'strict' ? absoluteMs : seedSessionMs),
  });
  return client;
}

/** With a session that no server knows. */
export function newClient(profile: Profile): Client {
  return { profile, sid: encodeBase64url(randomBytes(32)), key: randomBytes(profile === 'strict' ? 64 : 32) };
}

/** The request, with a MAC made now. */
export async function signed(world: SchemeWorld, client: Client, request: RequestParts): Promise<RequestParts> {
  // Upwards: rounded down it could lie before the horizon of a store that has just been met.
  if (client.profile === 'seed') return signedAt(Math.ceil(world.clock.nowMs() / 1000), client, request);
  const key = await crypto.subtle.importKey('raw', new Uint8Array(client.key), HMAC, false, ['sign']);
  const [[name, value] = ['', '']] = await opaquePop({ sid: client.sid, key }).sign(outgoing(request), issuerOf(world));
  return withHeader(request, name, value);
}

const HMAC = { name: 'HMAC', hash: 'SHA-256' };

/** As the document's prototype signs it. @param nonce 22 characters there. */
export function signedAt(
  tsSeconds: number,
  { sid, key }: Client,
  request: RequestParts,
  nonce = encodeBase64url(randomBytes(16)),
): RequestParts {
  const ts = String(tsSeconds);
  const path = request.target.split('?', 1)[0] ?? '';
  const mac = hmacSha256(key, seedMessage({ ts, nonce }, request.method, path, sha256(bodyOf(request))));
  const proof = {
    authorization: `Bearer ${sid}`,
    'x-ts': ts,
    'x-nonce': nonce,
    'x-pop': Buffer.from(mac).toString('base64'),
  };
  return Object.entries(proof).reduce((parts, [name, value]) => withHeader(parts, name, value), request);
}

export function issuerOf(world: SchemeWorld): IssuerConnection {
  return {
    post: (tail, body) => world.post(tail, body),
    parameters: async () => world.scheme.discovery.parameters,
    nowMs: () => world.clock.nowMs(),
  };
}

function outgoing(request: RequestParts): OutgoingRequest {
  const body = bodyOf(request);
  return { ...request, body, bodyDigest: sha256(body) };
}

function bodyOf({ body }: RequestParts): Uint8Array {
  return body.kind === 'complete' ? body.bytes : new Uint8Array(0);
}
