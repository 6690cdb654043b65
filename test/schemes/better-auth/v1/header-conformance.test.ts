/** What every scheme must do, by the header form with tokens of v1. Its grammar is tried with those of v0. */
import { randomBytes } from '../../../../src/crypto/random.ts';
import { sha256 } from '../../../../src/crypto/digest.ts';
import { decode, encode } from '../../../../src/encoding/cesr.ts';
import { betterAuth } from '../../../../src/schemes/better-auth/index.ts';
import { formatHeaderProof, headerSignedBytes } from '../../../../src/schemes/better-auth/message-header.ts';
import { formatV1Token } from '../../../../src/schemes/better-auth/token.ts';
import { packToken } from '../../../../src/schemes/better-auth/token-text.ts';
import { type Change, headerOf, schemeConformance, type SchemeUnderTest } from '../../../conformance/scheme.ts';
import { type RequestParts, withHeader } from '../../../support/auth-request.ts';
import type { SchemeWorld } from '../../../support/scheme-world.ts';
import { storesUnderTest } from '../../../support/stores.ts';
import { type Key, newKey, RING, vectorKey } from '../world.ts';
import { created, nonce, send, unlinkMessage } from './actor.ts';

interface Access {
  readonly key: Key;
  readonly json: string;
  readonly token: string;
}

const SERVER = vectorKey('access-server');

/** As the issuer would mint it. */
function minted(world: SchemeWorld, whose: { identity: string; device: string }, server = SERVER): Access {
  const key = newKey();
  const issuedAtMs = world.clock.nowMs();
  const json = formatV1Token({
    ...whose,
    serverIdentity: server.word,
    publicKey: key.word,
    rotationHash: encode('E', randomBytes(32)),
    issuedAtMs,
    expiryMs: issuedAtMs + 900_000,
    refreshExpiryMs: issuedAtMs + 43_200_000,
    attributes: {},
  });
  return { key, json, token: packToken(server.sign(json), json) };
}

function proven(world: SchemeWorld, { token, json, key }: Access, request: RequestParts, signer = key): RequestParts {
  const body = request.body.kind === 'complete' ? request.body.bytes : new Uint8Array(0);
  const proof = { timestampMs: world.clock.nowMs(), nonce: nonce() };
  const bytes = headerSignedBytes(sha256(json), proof, request, sha256(body));
  const signature = decode(signer.sign(bytes), ['0I']).raw;
  return withHeader(request, 'authorization', formatHeaderProof({ token, ...proof, signature }));
}

const parameter =
  (name: string, rewrite: (value: string) => string): Change =>
  (parts) => {
    const value = headerOf(parts, 'authorization');
    const changed = value.replace(new RegExp(`${name}="([^"]*)"`), (_, old: string) => `${name}="${rewrite(old)}"`);
    return withHeader(parts, 'authorization', changed);
  };

function underTest(verify: 'sync' | 'threadpool'): SchemeUnderTest {
  let other: Access | undefined;
  return {
    title: `better-auth, header form, v1, ${verify}`,
    definition: betterAuth,
    verify,
    dummyAlg: 'ES256',
    isOfOneTenant: true,
    proofHeaders: ['authorization'],
    freshness: { aheadMs: 5_000, validForMs: 30_000, leadMs: 5_000 },
    malformed: [
      ['a token of 89 characters', parameter('token', (token) => token.slice(0, 89))],
      ['a token with bytes behind it', parameter('token', (token) => `${token}AAAA`)],
    ],
    altered: [
      ['another token of the account', parameter('token', () => other?.token ?? ''), 'signature_invalid'],
      ['the time', parameter('ts', (ts) => String(Number(ts) + 1)), 'signature_invalid'],
      ['the nonce', parameter('nonce', () => nonce()), 'signature_invalid'],
    ],
    cost: { verbs: ['get', 'claim'], verifications: 1 },
    secretsOf: (parts) =>
      ['token', 'nonce', 'sig'].map(
        (name) => new RegExp(`${name}="([^"]*)"`).exec(headerOf(parts, 'authorization'))?.[1] ?? '',
      ),
    async enter(world) {
      world.ring = RING;
      const actor = await created(world);
      const access = minted(world, actor);
      other = minted(world, actor);
      const stranger = () => ({ identity: encode('E', randomBytes(32)), device: encode('E', randomBytes(32)) });
      return {
        prove: async (request) => proven(world, access, request),
        // Of a token that nobody has seen, as a stranger's is.
        forge: async (request) => proven(world, minted(world, actor), request, newKey()),
        proveAsStranger: async (request) => proven(world, minted(world, stranger(), newKey()), request),
        revoke: () => send(world, '/device/unlink', unlinkMessage(actor, actor.device)).then(() => undefined),
      };
    },
  };
}

schemeConformance(underTest('sync'), storesUnderTest);
schemeConformance(underTest('threadpool'), storesUnderTest);
