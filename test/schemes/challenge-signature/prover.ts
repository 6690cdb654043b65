/** Clients of challenge-signature in a world: the library's own signer, with the issuer's endpoint behind it. */
import type { IssuerConnection, SigningKey } from '../../../src/core/signer.ts';
import type { SignatureAlg } from '../../../src/core/directory.ts';
import { sha256 } from '../../../src/crypto/digest.ts';
import { generateKeyPair, sign } from '../../../src/crypto/signatures.ts';
import { challengeSignature } from '../../../src/schemes/challenge-signature/client.ts';
import { type RequestParts, withHeader } from '../../support/auth-request.ts';
import type { SchemeWorld } from '../../support/scheme-world.ts';
import { userKey, userRecord } from '../../support/test-users.ts';

export const NAME = 'challenge-signature';

export function newKey(alg: SignatureAlg = 'Ed25519'): SigningKey {
  const { privateJwk, publicJwk } = generateKeyPair(alg);
  return { alg, publicJwk, sign: async (message) => sign(privateJwk, message) };
}

export interface Client {
  readonly user: string;
  readonly kid: string;
  readonly key: SigningKey;
  readonly tenant?: string;
}

/** A client whose key is registered. */
export async function registered(
  world: SchemeWorld,
  user: string,
  alg?: SignatureAlg,
  tenant = 'default',
): Promise<Client> {
  const key = newKey(alg);
  const record = userRecord(user, { attributes: { role: 'admin' }, keys: [userKey('k1', key.publicJwk, [NAME])] });
  await world.users.save(record, tenant);
  return { user, kid: 'k1', key, tenant };
}

/** The request, signed with a challenge of its own. */
export async function signed(world: SchemeWorld, client: Client, request: RequestParts): Promise<RequestParts> {
  const [[name, value] = ['', '']] = await challengeSignature(client).sign(outgoing(request), issuerOf(world));
  return withHeader(request, name, value);
}

/** The request, signed with this challenge. */
export async function signedWith(challenge: string, client: Client, request: RequestParts): Promise<RequestParts> {
  const issuer = { post: async () => ({ challenge }), parameters: async () => ({}), nowMs: () => 0 };
  const [[name, value] = ['', '']] = await challengeSignature(client).sign(outgoing(request), issuer);
  return withHeader(request, name, value);
}

function issuerOf(world: SchemeWorld): IssuerConnection {
  return {
    post: (tail, body) => world.post(tail, body),
    parameters: async () => world.scheme.discovery.parameters,
    nowMs: () => world.clock.nowMs(),
  };
}

function outgoing(request: RequestParts) {
  const body = request.body.kind === 'complete' ? request.body.bytes : new Uint8Array(0);
  return { ...request, body, bodyDigest: sha256(body) };
}
