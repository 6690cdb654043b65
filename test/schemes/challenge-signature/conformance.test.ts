/** What every scheme must do, with both kinds of challenge and both algorithms. */
import { schemeConformance, headerOf, type Change, type SchemeUnderTest } from '../../conformance/scheme.ts';
import type { SignatureAlg } from '../../../src/core/directory.ts';
import { challengeSignature } from '../../../src/schemes/challenge-signature/index.ts';
import { withHeader } from '../../support/auth-request.ts';
import { storesUnderTest } from '../../support/stores.ts';
import { userKey, userRecord } from '../../support/test-users.ts';
import { type Client, NAME, newKey, registered, signed } from './prover.ts';
import { altered } from '../../support/bytes.ts';

/** The Authorization header, rewritten. */
function header(rewrite: (value: string) => string): Change {
  return (proven) => withHeader(proven, 'authorization', rewrite(headerOf(proven, 'authorization')));
}

const parameter = (name: string, rewrite: (value: string) => string): Change =>
  header((value) => value.replace(new RegExp(`${name}="([^"]*)"`), (_, old: string) => `${name}="${rewrite(old)}"`));

/** Another well-formed value: the character at this place becomes its neighbour. */
const otherAt = (at: number) => (text: string) => altered(text, at);

function underTest(kind: 'stored' | 'stateless', alg: SignatureAlg, verify: 'sync' | 'threadpool'): SchemeUnderTest {
  return {
    title: `challenge-signature, ${kind}, ${alg}, ${verify}`,
    verify,
    definition: challengeSignature,
    settings: { challenges: kind },
    dummyAlg: alg,
    proofHeaders: ['authorization'],
    freshness: { aheadMs: 5_000, validForMs: 30_000, leadMs: 0 },
    malformed: [
      [
        'two Authorization headers',
        (proven) => ({ ...proven, headers: [...proven.headers, ['authorization', 'Basic abc']] }),
      ],
      ['no parameters', header(() => 'ChallengeSignature')],
      ['a parameter twice', header((value) => `${value}, kid="k1"`)],
      ['a trailing comma', header((value) => `${value},`)],
      ['a second scheme', header((value) => `${value}, Bearer abc`)],
      ['user missing', header((value) => value.replace('user=', 'usr='))],
      ['kid missing', header((value) => value.replace('kid=', 'kd='))],
      ['ch missing', header((value) => value.replace('ch=', 'c='))],
      ['sig missing', header((value) => value.replace('sig=', 's='))],
      ['user bare', header((value) => value.replace(/user="[^"]*"/, 'user=1'))],
      ['user with a slash', parameter('user', (user) => `${user}/k`)],
      ['user of 129 characters', parameter('user', () => 'a'.repeat(129))],
      ['kid with a colon', parameter('kid', (kid) => `${kid}:`)],
      ['kid empty', parameter('kid', () => '')],
      ['ch one character short', parameter('ch', (ch) => ch.slice(1))],
      ['ch one character long', parameter('ch', (ch) => `${ch}A`)],
      ['ch not canonical', parameter('ch', (ch) => `${ch.slice(0, -1)}_`)],
      ['ch of an unknown kind', parameter('ch', (ch) => `Ag${ch.slice(2)}`)],
      ['time of ch above 2^53 - 1', parameter('ch', (ch) => `${ch.slice(0, 1)}CAAAAAAA${ch.slice(9)}`)],
      ['sig padded', parameter('sig', (sig) => `${sig}==`)],
      ['sig with a character outside the alphabet', parameter('sig', (sig) => `+${sig.slice(1)}`)],
    ],
    altered: [
      ['another user', parameter('user', () => 'bob'), 'stale'],
      ['another key of the user', parameter('kid', () => 'k2'), 'signature_invalid'],
      ['a key of another scheme', parameter('kid', () => 'k3'), 'unknown_credential'],
      ['an unknown key', parameter('kid', () => 'k4'), 'unknown_credential'],
      ['nonce of the challenge', parameter('ch', otherAt(20)), 'stale'],
      ['time of the challenge, by a millisecond or so', parameter('ch', otherAt(10)), 'stale'],
      ['last bytes of the challenge', parameter('ch', otherAt(50)), 'stale'],
      ['first bytes of the signature', parameter('sig', otherAt(0)), 'signature_invalid'],
      ['last bytes of the signature', parameter('sig', otherAt(80)), 'signature_invalid'],
    ],
    cost: { verbs: kind === 'stored' ? ['get', 'claim'] : ['claim'], verifications: 1 },
    secretsOf: (proven) =>
      [/ch="([^"]*)"/, /sig="([^"]*)"/].map((part) => part.exec(headerOf(proven, 'authorization'))?.[1] ?? ''),
    withoutRandom: (line) => line.replace(/challenge="[A-Za-z0-9_-]{55}"/, 'challenge="..."'),

    async enter(world, tenant = 'default') {
      const client: Client = { user: 'alice', kid: 'k1', key: newKey(alg), tenant };
      const alice = userRecord('alice', {
        keys: [
          userKey('k1', client.key.publicJwk, [NAME]),
          userKey('k2', newKey(alg).publicJwk, [NAME]),
          userKey('k3', newKey(alg).publicJwk, ['client-challenge']),
        ],
      });
      await world.users.save(alice, tenant);
      await registered(world, 'bob', alg, tenant);
      return {
        prove: (request) => signed(world, client, request),
        forge: (request) => signed(world, { ...client, key: newKey(alg) }, request),
        proveAsStranger: (request) => signed(world, { ...client, user: 'mallory' }, request),
        revoke: () => world.users.save({ ...alice, disabled: true }, tenant),
      };
    },
  };
}

schemeConformance(underTest('stored', 'Ed25519', 'sync'), storesUnderTest);
schemeConformance(underTest('stateless', 'ES256', 'threadpool'), storesUnderTest);
