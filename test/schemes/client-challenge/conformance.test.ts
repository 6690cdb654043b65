/** What every scheme must do, as far as a bearer token can; with tokens of both algorithms, and of the shared secret. */
import type { SignatureAlg } from '../../../src/core/directory.ts';
import { utf8 } from '../../../src/encoding/bytes.ts';
import { encodeBase64url } from '../../../src/encoding/base64url.ts';
import { clientChallenge } from '../../../src/schemes/client-challenge/index.ts';
import { type Change, headerOf, schemeConformance, type SchemeUnderTest } from '../../conformance/scheme.ts';
import { withHeader } from '../../support/auth-request.ts';
import { b64 } from '../../support/bytes.ts';
import { userRecord } from '../../support/test-users.ts';
import { carrying, newKey, registered, SETTINGS, tokenOf } from './prover.ts';

/** The token, rewritten by its parts. */
function parts(rewrite: (header: string, payload: string, signature: string) => string): Change {
  return (proven) => {
    const [header = '', payload = '', signature = ''] = headerOf(proven, 'authorization').slice(7).split('.');
    return withHeader(proven, 'authorization', `Bearer ${rewrite(header, payload, signature)}`);
  };
}

/** Members of a part, added or replaced; what was signed no longer is. */
const withMembers = (part: string, members: object) =>
  encodeBase64url(utf8(JSON.stringify({ ...(JSON.parse(new TextDecoder().decode(b64(part))) as object), ...members })));
const inHeader = (members: object): Change => parts((h, p, s) => `${withMembers(h, members)}.${p}.${s}`);
const inClaims = (members: object): Change => parts((h, p, s) => `${h}.${withMembers(p, members)}.${s}`);
const otherBit = (text: string) => (text.startsWith('A') ? 'B' : 'A') + text.slice(1);

function underTest(alg: SignatureAlg, verify: 'sync' | 'threadpool'): SchemeUnderTest {
  return {
    title: `client-challenge, ${alg}, ${verify}`,
    verify,
    definition: clientChallenge,
    settings: SETTINGS,
    dummyAlg: alg,
    isToken: true,
    proofHeaders: ['authorization'],
    malformed: [
      [
        'two Authorization headers',
        (proven) => ({ ...proven, headers: [...proven.headers, ['authorization', 'Basic abc']] }),
      ],
      ['two parts', parts((h, p) => `${h}.${p}`)],
      ['four parts', parts((h, p, s) => `${h}.${p}.${s}.${s}`)],
      ['five parts, as an encrypted token has', parts((h, p, s) => `${h}.${p}.${s}.${s}.${s}`)],
      ['an empty signature', parts((h, p) => `${h}.${p}.`)],
      ['an empty header', parts((_h, p, s) => `.${p}.${s}`)],
      ['a blank before the token', parts((h, p, s) => ` ${h}.${p}.${s}`)],
      ['a comma behind it', parts((h, p, s) => `${h}.${p}.${s},`)],
      ['padding', parts((h, p, s) => `${h}.${p}.${s}==`)],
      ['stray bits in the signature', parts((h, p, s) => `${h}.${p}.${s.slice(0, -1)}${s.endsWith('B') ? 'C' : 'B'}`)],
      ['a header that is no JSON', parts((_h, p, s) => `${encodeBase64url(utf8('{'))}.${p}.${s}`)],
      ['claims that are a list', parts((h, _p, s) => `${h}.${encodeBase64url(utf8('[]'))}.${s}`)],
      ['a member more in the header', inHeader({ cty: 'JWT' })],
      ['jwk in the header', inHeader({ jwk: newKey().publicJwk })],
      ['kid missing', parts((_h, p, s) => `${encodeBase64url(utf8('{"alg":"EdDSA","typ":"at+jwt"}'))}.${p}.${s}`)],
      ['kid of another type', inHeader({ kid: 1 })],
    ],
    altered: [
      ['alg none', inHeader({ alg: 'none' }), 'signature_invalid'],
      ['another alg', inHeader({ alg: 'HS256' }), 'signature_invalid'],
      ['another typ', inHeader({ typ: 'JWT' }), 'signature_invalid'],
      ['an unknown kid', inHeader({ kid: 'k' }), 'unknown_credential'],
      ['another subject', inClaims({ sub: 'bob' }), 'signature_invalid'],
      ['a later end', inClaims({ exp: 1_700_003_600 }), 'signature_invalid'],
      ['first bits of the signature', parts((h, p, s) => `${h}.${p}.${otherBit(s)}`), 'signature_invalid'],
    ],
    cost: { verbs: [], verifications: 1 },
    secretsOf: (proven) => headerOf(proven, 'authorization').slice(7).split('.'),

    async enter(world, tenant = 'default') {
      const key = newKey(alg);
      await registered(world, 'alice', key, { tenant });
      const fresh = () => tokenOf(world, key, tenant);
      return {
        prove: async (request) => carrying(request, await fresh()),
        // Of a key that is not in the ring, under the name of one that is: only the signature tells.
        forge: async (request) => parts((h, p, s) => `${h}.${p}.${otherBit(s)}`)(carrying(request, await fresh())),
        proveAsStranger: async (request) =>
          parts((h, p, s) => `${withMembers(h, { kid: 'stranger' })}.${withMembers(p, { sub: 'mallory' })}.${s}`)(
            carrying(request, await fresh()),
          ),
        revoke: () => world.users.save(userRecord('alice', { disabled: true }), tenant),
      };
    },
  };
}

schemeConformance(underTest('Ed25519', 'sync'), []);
schemeConformance(underTest('ES256', 'threadpool'), []);
