/** What every scheme must do, by the header form. */
import type { DenialCode } from '../../../src/core/decision.ts';
import { betterAuth } from '../../../src/schemes/better-auth/index.ts';
import { formatV0Token } from '../../../src/schemes/better-auth/token.ts';
import { packToken } from '../../../src/schemes/better-auth/token-text.ts';
import { type Change, headerOf, schemeConformance, type SchemeUnderTest } from '../../conformance/scheme.ts';
import { withHeader } from '../../support/auth-request.ts';
import { ringWith } from '../../support/key-ring.ts';
import type { SchemeWorld } from '../../support/scheme-world.ts';
import { storesUnderTest } from '../../support/stores.ts';
import { admin, entered, label, newKey, refreshed, withHeaderProof, type Access } from './v0/prover.ts';
import { altered } from '../../support/bytes.ts';

/** The Authorization header, rewritten. */
function header(rewrite: (value: string) => string): Change {
  return (proven) => withHeader(proven, 'authorization', rewrite(headerOf(proven, 'authorization')));
}

const parameter = (name: string, rewrite: (value: string) => string): Change =>
  header((value) => value.replace(new RegExp(`${name}="([^"]*)"`), (_, old: string) => `${name}="${rewrite(old)}"`));

/** Another well-formed value: the character at this place becomes its neighbour. */
const otherAt = (at: number) => (text: string) => altered(text, at);

const malformed: SchemeUnderTest['malformed'] = [
  [
    'two Authorization headers',
    (proven) => ({ ...proven, headers: [...proven.headers, ['authorization', 'Basic abc']] }),
  ],
  ['no parameters', header(() => 'BetterAuth')],
  ['a parameter twice', header((value) => `${value}, ts="1"`)],
  ['a trailing comma', header((value) => `${value},`)],
  ['a second scheme', header((value) => `${value}, Bearer abc`)],
  ...['token', 'ts', 'nonce', 'sig'].map(
    (name) => [`${name} missing`, header((value) => value.replace(`${name}=`, 'x='))] as const,
  ),
  ['ts bare', header((value) => value.replace(/ts="([0-9]*)"/, 'ts=$1'))],
  ['ts with a leading zero', parameter('ts', (ts) => `0${ts}`)],
  ['ts negative', parameter('ts', (ts) => `-${ts}`)],
  ['ts with a fraction', parameter('ts', (ts) => `${ts}.5`)],
  ['ts above 2^53 - 1', parameter('ts', () => '9999999999999999')],
  ['nonce of 23 characters', parameter('nonce', (nonce) => nonce.slice(0, -1))],
  ['nonce under another code', parameter('nonce', (nonce) => `0B${nonce.slice(2)}`)],
  ['nonce with a blank', parameter('nonce', (nonce) => `${nonce.slice(0, -1)} `)],
  ['sig under another code', parameter('sig', (sig) => `0B${sig.slice(2)}`)],
  ['sig with a pad that is not zero', parameter('sig', (sig) => `0Iz${sig.slice(3)}`)],
  ['sig one character short', parameter('sig', (sig) => sig.slice(0, -1))],
  ['token of 89 characters', parameter('token', (token) => token.slice(0, 89))],
  ['token padded', parameter('token', (token) => `${token}=`)],
  ['token in the other alphabet', parameter('token', (token) => `${token.slice(0, -1)}+`)],
  ['token without its signature', parameter('token', (token) => token.slice(88))],
  ['token cut short', parameter('token', (token) => token.slice(0, -4))],
  ['token with bytes behind it', parameter('token', (token) => `${token}AAAA`)],
];

function underTest(verify: 'sync' | 'threadpool'): SchemeUnderTest {
  let other: Access | undefined;
  const tampered: readonly (readonly [string, Change, DenialCode])[] = [
    ['another token of the session', parameter('token', () => other?.token ?? ''), 'signature_invalid'],
    [
      'time, by some milliseconds',
      parameter('ts', (ts) => ts.slice(0, -1) + ((Number(ts.at(-1)) + 1) % 10)),
      'signature_invalid',
    ],
    ['nonce', parameter('nonce', otherAt(10)), 'signature_invalid'],
    ['r of the signature', parameter('sig', otherAt(10)), 'signature_invalid'],
    ['s of the signature', parameter('sig', otherAt(80)), 'signature_invalid'],
  ];
  return {
    title: `better-auth, header form, v0, ${verify}`,
    definition: betterAuth,
    verify,
    dummyAlg: 'ES256',
    isOfOneTenant: true,
    proofHeaders: ['authorization'],
    freshness: { aheadMs: 5_000, validForMs: 30_000, leadMs: 5_000 },
    malformed,
    altered: tampered,
    cost: { verbs: ['get', 'get', 'get', 'claim'], verifications: 1 },
    secretsOf: (proven) =>
      ['token', 'nonce', 'sig'].map(
        (name) => new RegExp(`${name}="([^"]*)"`).exec(headerOf(proven, 'authorization'))?.[1] ?? '',
      ),

    async enter(world) {
      world.ring = ringWith('response-signing', 'access-signing', 'pepper');
      const client = await entered(world);
      other = await refreshed(world, client.session);
      return {
        prove: async (request) => withHeaderProof(world, client, request),
        // Of a token that nobody has seen, as a stranger's is.
        forge: async (request) =>
          withHeaderProof(world, await refreshed(world, client.session), request, { signer: newKey() }),
        proveAsStranger: async (request) => withHeaderProof(world, strangersToken(world), request),
        revoke: async () => {
          await admin(world, 'v0/revoke', { subject: client.device.accountId, device: client.device.deviceId });
        },
      };
    },
  };
}

/** Right in every form, signed by a key that is not the server's. */
function strangersToken(world: SchemeWorld): Access {
  const [key, server] = [newKey(), newKey()];
  const issuedAtMs = world.clock.nowMs() - (world.clock.nowMs() % 1000);
  const times = { issuedAtMs, expiryMs: issuedAtMs + 900_000 };
  const json = formatV0Token({ accountId: label(), publicKey: key.word, ...times, attributes: {} });
  return { key, json, token: packToken(server.sign(json), json) };
}

schemeConformance(underTest('sync'), storesUnderTest);
schemeConformance(underTest('threadpool'), storesUnderTest);
