/** What every scheme must do, in both profiles. What `seed` does not cover stands in its table: it is what the profile is known for. */
import { type Change, headerOf, schemeConformance, type SchemeUnderTest } from '../../conformance/scheme.ts';
import { timeScrambled } from '../../../src/schemes/time-scrambled/index.ts';
import type { Profile } from '../../../src/schemes/time-scrambled/message.ts';
import { withHeader } from '../../support/auth-request.ts';
import { storesUnderTest } from '../../support/stores.ts';
import { enrolled, pretender, proven } from './prover.ts';

const WINDOW_MS = 3_000;

function header(rewrite: (value: string) => string): Change {
  return (parts) => withHeader(parts, 'authorization', rewrite(headerOf(parts, 'authorization')));
}

const quoted = (name: string, rewrite: (value: string) => string): Change =>
  header((value) => value.replace(new RegExp(`\\b${name}="([^"]*)"`), (_, old: string) => `${name}="${rewrite(old)}"`));

const bare = (name: string, rewrite: (value: number) => string): Change =>
  header((value) =>
    value.replace(new RegExp(`\\b${name}=([0-9]+)`), (_, old: string) => `${name}=${rewrite(Number(old))}`),
  );

const without = (name: string): Change =>
  header((value) => value.replace(new RegExp(`, ${name}=("[^"]*"|[0-9]+)`), ''));
const added = (text: string): Change => header((value) => `${value}, ${text}`);
const otherAt = (at: number) => (text: string) =>
  text.slice(0, at) + (text[at] === 'a' ? 'b' : 'a') + text.slice(at + 1);

const X = 'ab'.repeat(64);

const MALFORMED: SchemeUnderTest['malformed'] = [
  ['two Authorization headers', (parts) => ({ ...parts, headers: [...parts.headers, ['authorization', 'Basic abc']] })],
  ['no parameters', header(() => 'TimeScrambled')],
  ['a parameter twice', added('m=1')],
  ['a trailing comma', header((value) => `${value},`)],
  ['id missing', header((value) => value.replace('id=', 'i='))],
  ['id bare', header((value) => value.replace(/id="[^"]*"/, 'id=1'))],
  ['id of 129 characters', quoted('id', () => 'a'.repeat(129))],
  ['id with two slashes', quoted('id', (id) => `${id}/1/1`)],
  ['id with a space', quoted('id', (id) => `${id} `)],
  ['lane 0 written out', quoted('id', (id) => `${id}/0`)],
  ['lane 01', quoted('id', (id) => `${id}/01`)],
  ['lane 64', quoted('id', (id) => `${id}/64`)],
  ['lane empty', quoted('id', (id) => `${id}/`)],
  ['s missing', without('s')],
  ['s quoted', header((value) => value.replace('s=0', 's="0"'))],
  ['s = 3', bare('s', () => '3')],
  ['s = 1 without a new anchor', bare('s', () => '1')],
  ['s = 2 without a new anchor', bare('s', () => '2')],
  ['m missing', without('m')],
  ['m = 2', bare('m', () => '2')],
  ['n = 0, which would be the secret', bare('n', () => '0')],
  ['n above the longest chain', bare('n', () => '65537')],
  ['n quoted', header((value) => value.replace(/\bn=([0-9]+)/, 'n="$1"'))],
  ['x1 missing', without('x1')],
  ['x1 short', quoted('x1', (x1) => x1.slice(2))],
  ['x1 long', quoted('x1', (x1) => `${x1}00`)],
  ['x1 in upper case', quoted('x1', (x1) => x1.toUpperCase())],
  ['x1 with a character that is none', quoted('x1', (x1) => `g${x1.slice(1)}`)],
  ['x2 and nn on an ordinary request', added(`x2="${X}", nn=1000`)],
  ['nn alone', added('nn=1000')],
  ['x2 alone', header((value) => `${value.replace('s=0', 's=1')}, x2="${X}"`)],
  ['c on an ordinary request', added(`c="${X}"`)],
  ['nn = 1', header((value) => `${value.replace('s=0', 's=1')}, x2="${X}", nn=1, c="${X}"`)],
];

function underTest(
  profile: Profile,
  special: Pick<SchemeUnderTest, 'malformed' | 'altered'> & Partial<SchemeUnderTest>,
): SchemeUnderTest {
  return {
    title: `time-scrambled, ${profile}`,
    definition: timeScrambled,
    settings: { profiles: [profile], window: '3s', limits: { resync: { rate: '1000/s', burst: 100_000 } } },
    proofHeaders: ['authorization'],
    leadMs: 2 * WINDOW_MS,
    cost: { verbs: ['get', 'swap'], verifications: 0 },
    secretsOf: (parts) =>
      [/x1="([^"]*)"/, /, b="([^"]*)"/].flatMap((part) => part.exec(headerOf(parts, 'authorization'))?.[1] ?? []),
    withoutRandom: (line) => line.replace(/y1="[0-9a-f]{128}"/, 'y1="..."'),
    ...special,
    malformed: [...MALFORMED, ...special.malformed],

    async enter(world, tenant = 'default') {
      const client = await enrolled(world, { tenant });
      const forger = await pretender('client-1', profile, WINDOW_MS);
      const stranger = await pretender('nobody', profile, WINDOW_MS);
      return {
        prove: (request) => proven(world, client, request),
        forge: (request) => proven(world, forger, request),
        proveAsStranger: (request) => proven(world, stranger, request),
        async revoke() {
          await world.users.update(tenant, 'alice', (record) => record && { ...record, epoch: record.epoch + 1 });
        },
      };
    },
  };
}

const keyed = underTest('keyed', {
  malformed: [
    ['n missing', without('n')],
    ['b missing: the form of seed', without('b')],
    ['b short', quoted('b', (b) => b.slice(2))],
    ['b in upper case', quoted('b', (b) => b.toUpperCase())],
    ['both b and c', header((value) => `${value.replace('s=0', 's=1')}, x2="${X}", nn=1000, c="${X}"`)],
  ],
  altered: [
    ['another chain', quoted('id', () => 'client-2'), 'unknown_credential'],
    ['another lane', quoted('id', (id) => `${id}/1`), 'unknown_credential'],
    ['s, with an anchor', header((value) => `${value.replace('s=0', 's=1')}, x2="${X}", nn=1000`), 'signature_invalid'],
    ['m', bare('m', (m) => String(1 - m)), 'signature_invalid'],
    ['n', bare('n', (n) => String(n - 1)), 'signature_invalid'],
    ['x1', quoted('x1', otherAt(0)), 'signature_invalid'],
    ['first characters of b', quoted('b', otherAt(0)), 'signature_invalid'],
    ['last characters of b', quoted('b', otherAt(63)), 'signature_invalid'],
  ],
});

const seed = underTest('seed', {
  codes: { forged: 'out_of_sync', unknown: 'out_of_sync' },
  uncovered: Object.fromEntries(
    [
      'method',
      'scheme',
      'authority',
      'path',
      'query',
      'query removed',
      'border of authority and path',
      'one bit of the body',
      'body emptied',
      'body removed',
      'body lengthened',
      'target',
      'body',
    ].map((part) => [part, 'allow'] as const),
  ),
  malformed: [
    ['b: the form of keyed', added(`b="${'ab'.repeat(32)}"`)],
    ['a new anchor without its commitment', header((value) => `${value.replace('s=0', 's=1')}, x2="${X}", nn=1000`)],
    ['c short', header((value) => `${value.replace('s=0', 's=1')}, x2="${X}", nn=1000, c="${X.slice(2)}"`)],
  ],
  altered: [
    ['another chain', quoted('id', () => 'client-2'), 'out_of_sync'],
    ['another lane', quoted('id', (id) => `${id}/1`), 'out_of_sync'],
    ['m', bare('m', (m) => String(1 - m)), 'out_of_sync'],
    ['n', bare('n', (n) => String(n - 1)), 'out_of_sync'],
    ['first characters of x1', quoted('x1', otherAt(0)), 'out_of_sync'],
    ['last characters of x1', quoted('x1', otherAt(127)), 'out_of_sync'],
  ],
});

schemeConformance(keyed, storesUnderTest);
schemeConformance(seed, storesUnderTest);
