/** Tokens made by hand: by a key of the ring or by any other, saying whatever a test wants them to say. */
import type { RingKey } from '../../src/core/keyring.ts';
import { sign } from '../../src/crypto/signatures.ts';
import { encodeBase64url } from '../../src/encoding/base64url.ts';
import { utf8 } from '../../src/encoding/bytes.ts';
import { privateJwk } from '../../src/keys/ring.ts';
import { ISSUER_URL, START_MS, type SchemeWorld } from '../support/scheme-world.ts';

export const ISSUED_AT = START_MS / 1000;

/** Of a user `alice` at the world's start; members that are undefined are left out. */
export function claims(changes: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    iss: ISSUER_URL,
    aud: 'https://api.example.com',
    sub: 'alice',
    iat: ISSUED_AT,
    exp: ISSUED_AT + 600,
    jti: 'EBESExQVFhcYGRobHB0eHw',
    epoch: 0,
    key: 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k',
    ...changes,
  };
}

export function ringKeyOf(world: Pick<SchemeWorld, 'ring'>): RingKey {
  const key = world.ring.find(({ use }) => use === 'token-signing');
  if (key === undefined) throw new Error('the ring has no token-signing key');
  return key;
}

/** Signed by a key of the ring, in its algorithm, whatever the header says. @param header JSON text, or members over the right ones. */
export function signedToken(key: RingKey, payload: object | string, header: object | string = {}): string {
  const right = { alg: key.alg === 'ES256' ? 'ES256' : 'EdDSA', kid: key.kid, typ: 'at+jwt' };
  const headerText = typeof header === 'string' ? header : JSON.stringify({ ...right, ...header });
  const payloadText = typeof payload === 'string' ? payload : JSON.stringify(payload);
  const input = `${part(headerText)}.${part(payloadText)}`;
  return `${input}.${encodeBase64url(sign(privateJwk(key), utf8(input)))}`;
}

export function part(text: string): string {
  return encodeBase64url(utf8(text));
}
