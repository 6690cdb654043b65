/** What every scheme must do, in both profiles. */
import { schemeConformance, headerOf, type Change, type SchemeUnderTest } from '../../conformance/scheme.ts';
import { opaquePop } from '../../../src/schemes/opaque-pop/index.ts';
import type { Profile } from '../../../src/schemes/opaque-pop/message.ts';
import { complete, withHeader } from '../../support/auth-request.ts';
import { storesUnderTest } from '../../support/stores.ts';
import { userRecord } from '../../support/test-users.ts';
import { loggedIn, newClient, signed } from './prover.ts';
import { altered } from '../../support/bytes.ts';

const rewritten =
  (name: string, rewrite: (value: string) => string): Change =>
  (proven) =>
    withHeader(proven, name, rewrite(headerOf(proven, name)));
const header = (rewrite: (value: string) => string) => rewritten('authorization', rewrite);
const parameter = (name: string, rewrite: (value: string) => string): Change =>
  header((value) => value.replace(new RegExp(`${name}="([^"]*)"`), (_, old: string) => `${name}="${rewrite(old)}"`));
const doubled =
  (name: string): Change =>
  (proven) => ({ ...proven, headers: [...proven.headers, [name, headerOf(proven, name)]] });

/** Another well-formed value: the character at this place becomes its neighbour. */
const otherAt = (at: number) => (text: string) => altered(text, at);
/** The same bytes with a stray bit set. */
const stray = (text: string) =>
  text.slice(0, -1) +
  String.fromCharCode((text.charCodeAt(text.length - 1) === 0x5f ? 0x2d : text.charCodeAt(text.length - 1)) + 1);

function enterWith(profile: Profile): SchemeUnderTest['enter'] {
  return async (world, tenant = 'default') => {
    const client = await loggedIn(world, profile, tenant);
    // One that comes again and again, as whoever measures would: a new one each time differs by what machines remember.
    const stranger = newClient(profile);
    return {
      prove: (request) => signed(world, client, request),
      forge: (request) => signed(world, { ...newClient(profile), sid: client.sid }, request),
      proveAsStranger: (request) => signed(world, { ...newClient(profile), sid: stranger.sid }, request),
      revoke: () => world.users.save(userRecord('alice', { disabled: true }), tenant),
    };
  };
}

const strict: SchemeUnderTest = {
  title: 'opaque-pop, strict',
  definition: opaquePop,
  proofHeaders: ['authorization'],
  freshness: { aheadMs: 5_000, validForMs: 60_000, leadMs: 5_000 },
  malformed: [
    ['two Authorization headers', doubled('authorization')],
    ['no parameters', header(() => 'OpaquePoP')],
    ['a parameter twice', header((value) => `${value}, ts=1`)],
    ['a trailing comma', header((value) => `${value},`)],
    ['a second scheme', header((value) => `${value}, Bearer abc`)],
    ['sid missing', header((value) => value.replace('sid=', 'sd='))],
    ['ts missing', header((value) => value.replace('ts=', 't='))],
    ['nonce missing', header((value) => value.replace('nonce=', 'nc='))],
    ['mac missing', header((value) => value.replace('mac=', 'mc='))],
    ['ts quoted', header((value) => value.replace(/ts=([0-9]+)/, 'ts="$1"'))],
    ['ts with a leading zero', header((value) => value.replace('ts=', 'ts=0'))],
    ['ts with a sign', header((value) => value.replace('ts=', 'ts=+'))],
    ['ts above 2^53 - 1', header((value) => value.replace(/ts=[0-9]+/, 'ts=9007199254740992'))],
    ['ts bare text', header((value) => value.replace(/ts=[0-9]+/, 'ts=now'))],
    ['sid bare', header((value) => value.replace(/sid="[^"]*"/, 'sid=1'))],
    ['sid one character short', parameter('sid', (sid) => sid.slice(1))],
    ['sid one character long', parameter('sid', (sid) => `${sid}A`)],
    ['sid not canonical', parameter('sid', stray)],
    ['nonce of 15 bytes', parameter('nonce', (nonce) => nonce.slice(2))],
    ['nonce of 17 bytes', parameter('nonce', (nonce) => `${nonce}A`)],
    ['nonce not canonical', parameter('nonce', stray)],
    ['nonce padded', parameter('nonce', (nonce) => `${nonce}==`)],
    ['mac truncated', parameter('mac', (mac) => mac.slice(0, 22))],
    ['mac not canonical', parameter('mac', stray)],
    ['mac in hex', parameter('mac', () => 'ab'.repeat(32))],
    ['mac in the other alphabet', parameter('mac', (mac) => `+${mac.slice(1)}`)],
  ],
  altered: [
    ['another session id', parameter('sid', otherAt(5)), 'unknown_credential'],
    [
      'time, by a millisecond',
      header((value) => value.replace(/ts=([0-9]+)/, (_, ts) => `ts=${Number(ts) + 1}`)),
      'signature_invalid',
    ],
    ['first bytes of the nonce', parameter('nonce', otherAt(0)), 'signature_invalid'],
    ['last bytes of the nonce', parameter('nonce', otherAt(18)), 'signature_invalid'],
    ['first bytes of the MAC', parameter('mac', otherAt(0)), 'signature_invalid'],
    ['last bytes of the MAC', parameter('mac', otherAt(40)), 'signature_invalid'],
  ],
  cost: { verbs: ['get', 'claim'], verifications: 0 },
  secretsOf: (proven) =>
    [/sid="([^"]*)"/, /nonce="([^"]*)"/, /mac="([^"]*)"/].map(
      (part) => part.exec(headerOf(proven, 'authorization'))?.[1] ?? '',
    ),
  enter: enterWith('strict'),
};

const without =
  (name: string): Change =>
  (proven) =>
    withHeader(proven, name, undefined);

const seed: SchemeUnderTest = {
  title: 'opaque-pop, seed',
  definition: opaquePop,
  // So short that Redis' horizon can be waited for.
  settings: { profiles: ['seed'], seedWindow: '5s' },
  // Its MAC covers no query, so requests have none.
  request: {
    source: '203.0.113.9',
    method: 'POST',
    scheme: 'https',
    authority: 'api.example.com',
    target: '/transfer',
    headers: [['content-type', 'application/json']],
    body: complete('{"amount":50,"to":"bob@example.com"}'),
  },
  uncovered: { scheme: 'allow', authority: 'allow', query: 'malformed', 'query removed': 'allow' },
  proofHeaders: ['x-pop', 'authorization', 'x-ts', 'x-nonce'],
  freshness: { aheadMs: 5_000, validForMs: 5_000, leadMs: 5_000 },
  malformed: [
    ['two Authorization headers', doubled('authorization')],
    ['two X-TS headers', doubled('x-ts')],
    ['two X-NONCE headers', doubled('x-nonce')],
    ['two X-POP headers', doubled('x-pop')],
    ['X-TS missing', without('x-ts')],
    ['X-NONCE missing', without('x-nonce')],
    ['X-POP missing', without('x-pop')],
    ['session id not canonical', header(stray)],
    ['X-TS of nine digits', rewritten('x-ts', (ts) => ts.slice(1))],
    ['X-TS in milliseconds', rewritten('x-ts', (ts) => `${ts}000`)],
    ['X-TS with a leading zero', rewritten('x-ts', (ts) => `0${ts.slice(1)}`)],
    ['X-TS with an underscore', rewritten('x-ts', (ts) => `1_${ts.slice(2)}`)],
    ['X-TS with a sign', rewritten('x-ts', (ts) => `+${ts.slice(1)}`)],
    ['X-NONCE of 15 characters', rewritten('x-nonce', (nonce) => nonce.slice(0, 15))],
    ['X-NONCE of 65 characters', rewritten('x-nonce', () => 'A'.repeat(65))],
    ['X-NONCE with a slash', rewritten('x-nonce', (nonce) => `/${nonce.slice(1)}`)],
    ['X-NONCE with a new line', rewritten('x-nonce', (nonce) => `${nonce}\n`)],
    ['X-POP without padding', rewritten('x-pop', (mac) => mac.slice(0, -1))],
    ['X-POP in base64url', rewritten('x-pop', (mac) => `_${mac.slice(1)}`)],
    ['X-POP in hex', rewritten('x-pop', () => 'ab'.repeat(32))],
    ['X-POP truncated', rewritten('x-pop', (mac) => `${mac.slice(0, 23)}=`)],
    ['X-POP not canonical', rewritten('x-pop', (mac) => `${stray(mac.slice(0, -1))}=`)],
    ['a percent sign in the path', (proven) => ({ ...proven, target: '/trans%66er' })],
    ['a query', (proven) => ({ ...proven, target: '/transfer?a=1' })],
    ['an empty query', (proven) => ({ ...proven, target: '/transfer?' })],
  ],
  altered: [
    ['another session id', header((value) => `Bearer ${otherAt(5)(value.slice(7))}`), 'unknown_credential'],
    ['time, by a second', rewritten('x-ts', (ts) => String(Number(ts) + 1)), 'signature_invalid'],
    ['nonce', rewritten('x-nonce', otherAt(0)), 'signature_invalid'],
    ['nonce lengthened', rewritten('x-nonce', (nonce) => `${nonce}A`), 'signature_invalid'],
    ['MAC', rewritten('x-pop', otherAt(0)), 'signature_invalid'],
  ],
  cost: { verbs: ['get', 'claim'], verifications: 0 },
  secretsOf: (proven) => ['x-nonce', 'x-pop'].map((name) => headerOf(proven, name)),
  enter: enterWith('seed'),
};

schemeConformance(strict, storesUnderTest);
schemeConformance(seed, storesUnderTest);
