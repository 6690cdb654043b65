/** Settings of `schemes.better-auth`: unit, default and reason of each stand in its description, which the reference prints. */
import * as v from 'valibot';
import { duration, limit, origin } from '../../core/settings.ts';
import { attributesSetting } from './attributes.ts';
import { publicKey } from './fields.ts';

const described = <S extends v.GenericSchema>(schema: S, text: string) => v.pipe(schema, v.description(text));
const integer = (min: number, max: number) => {
  const expected = `an integer from ${min} to ${max}`;
  return v.pipe(v.number(expected), v.integer(expected), v.minValue(min, expected), v.maxValue(max, expected));
};
const flag = () => v.boolean('true or false');
const some = <T extends string>(options: readonly T[], what: string) =>
  v.pipe(
    v.array(v.picklist(options, `one of ${options.join(', ')}`), `a list of ${what}`),
    v.minLength(1, `at least one of ${options.join(', ')}`),
  );
const pathPrefix = (pattern: RegExp, expected: string) => v.pipe(v.string(expected), v.regex(pattern, expected));

const v1Settings = v.strictObject({
  pathPrefix: v.optional(
    described(
      pathPrefix(
        /^(\/[a-z0-9][a-z0-9._~-]{0,62}){0,8}$/,
        'a path such as "/auth", lower case, without a slash at the end, or nothing',
      ),
      'Before the paths of v1. Public clients use the root of one origin.',
    ),
    '',
  ),
  registration: v.optional(
    described(
      v.picklist(['open', 'token', 'closed'], '"open", "token" or "closed"'),
      'Who may create an account: everybody, as in the public protocol; holders of an invitation, in the header `countersign-registration`; nobody.',
    ),
    'open',
  ),
  maxDevices: v.optional(described(integer(1, 12), 'Devices of one account. Bounds the record.'), 8),
  unusedAccountLifetime: v.optional(
    described(
      duration({ min: '1h', max: '3650d' }),
      'After which an account is gone that never made a session: open registration would fill the store.',
    ),
    '30d',
  ),
  recoveryGrace: v.optional(
    described(
      duration({ max: '90d' }),
      'How long a replaced recovery key still works. Above zero a thief of an unlocked device can be undone, but a leaked recovery key lives longer too.',
    ),
    '0s',
  ),
});

const PARAMETERS_EXPECTED =
  'Argon2id parameters such as "$argon2id$v=19$m=262144,t=3,p=4$", from m=19456,t=2,p=1 to m=1048576,t=10,p=16';

const v0Settings = v.strictObject({
  pathPrefix: v.optional(
    described(
      pathPrefix(
        /^(\/[a-z0-9][a-z0-9._~-]{0,62}){1,8}$/,
        'a path such as "/better-auth/v0", lower case, without a slash at the end',
      ),
      'Before the paths of v0.',
    ),
    '/better-auth/v0',
  ),
  maxDevices: v.optional(described(integer(1, 12), 'Devices of one account. Bounds the record.'), 8),
  registrationLifetime: v.optional(
    described(duration({ min: '1d', max: '7d' }), 'How long registration material may be used.'),
    '3d',
  ),
  allowWithoutRotation: v.optional(
    described(
      flag(),
      'Whether a device may register without committing to a next key: such a key can never be replaced.',
    ),
    true,
  ),
  rotationEndsSessions: v.optional(
    described(flag(), 'Whether rotating a device ends its sessions. Rotation is the answer to a stolen key.'),
    true,
  ),
  passphrase: v.optional(
    described(flag(), 'Whether passphrase keys may be registered and used. Needs a ring key of use `pepper`.'),
    true,
  ),
  passphraseParameters: v.optional(
    described(
      v.pipe(
        v.string(PARAMETERS_EXPECTED),
        v.regex(/^\$argon2id\$v=19\$m=\d{1,7},t=\d{1,2},p=\d{1,2}\$$/, PARAMETERS_EXPECTED),
        v.check((text) => {
          const [m = 0, t = 0, p = 0] = (text.match(/(?<=[mtp]=)\d+/g) ?? []).map(Number);
          return m >= 19_456 && m <= 1_048_576 && t >= 2 && t <= 10 && p >= 1 && p <= 16;
        }, PARAMETERS_EXPECTED),
      ),
      'How clients stretch a passphrase; told with its salt. The server never runs it.',
    ),
    '$argon2id$v=19$m=262144,t=3,p=4$',
  ),
});

const limits = v.strictObject({
  peer: v.optional(
    described(
      limit(),
      "Messages to the issuer per address; stands in place of `rateLimit.issuer` on this scheme's paths.",
    ),
    { rate: '200/s', burst: 400 },
  ),
  createPerPeer: v.optional(described(limit(), 'Accounts made per address: they cost storage.'), {
    rate: '2/s',
    burst: 60,
  }),
  challengePerAccountAndPeer: v.optional(
    described(
      limit(),
      'Challenges per address and account; with the address, so that a stranger can not keep the owner from one.',
    ),
    { rate: '1/s', burst: 10 },
  ),
  passphrasePerAccountAndPeer: v.optional(described(limit(), 'Failed passphrase logins per address and account.'), {
    rate: '20/h',
    burst: 5,
  }),
  passphrasePerAccount: v.optional(
    described(
      limit(),
      'The same per account from all addresses: the bound on guessing. A delay, never a lock without end.',
    ),
    { rate: '50/h', burst: 50 },
  ),
});

export const settings = v.pipe(
  v.strictObject({
    versions: v.optional(described(some(['v0', 'v1'], 'versions'), 'Wire versions spoken. A route may set it.'), [
      'v0',
      'v1',
    ]),
    carriers: v.optional(
      described(
        some(['body', 'header'], 'carriers'),
        'Where access messages travel: as the whole body, or as the header `BetterAuth` beside a body of the API. A route may set it.',
      ),
      ['body', 'header'],
    ),
    bodyMethods: v.optional(
      described(
        v.pipe(
          v.array(v.pipe(v.string(), v.regex(/^[A-Z][A-Z0-9-]{0,31}$/, 'a method in upper case')), 'a list of methods'),
          v.minLength(1, 'at least one method'),
        ),
        'Methods whose body may be an access message. A route may set it.',
      ),
      ['POST'],
    ),
    audience: v.optional(
      described(
        origin(),
        'Written into tokens as `aud` and demanded of them. Set it: without it tokens of two deployments that share keys mix.',
      ),
    ),
    accessLifetime: v.optional(described(duration({ min: '1m', max: '24h' }), 'Life of an access token.'), '15m'),
    refreshLifetime: v.optional(
      described(duration({ min: '15m', max: '30d' }), 'Life of a session, counted from its first token.'),
      '12h',
    ),
    challengeLifetime: v.optional(
      described(duration({ min: '5s', max: '300s' }), 'How long a login challenge may be answered.'),
      '60s',
    ),
    accessWindow: v.optional(
      described(
        duration({ min: '1s', max: '30s' }),
        'Oldest accepted access message. Seen nonces are kept for as long, so raising it raises the store in proportion.',
      ),
      '30s',
    ),
    maxBodyBytes: v.optional(
      described(integer(1024, 1_048_576), 'Bytes of an access message; beyond it 413. Work before authentication.'),
      65_536,
    ),
    maxTokenChars: v.optional(described(integer(512, 65_536), 'Characters of a token.'), 8192),
    maxTokenBytes: v.optional(described(integer(512, 262_144), 'Bytes of an inflated token.'), 16_384),
    maxJsonDepth: v.optional(described(integer(10, 64), 'Depth of JSON in messages and tokens.'), 32),
    tokenCacheEntries: v.optional(
      described(
        integer(1, 1_000_000),
        'Tokens whose signature was verified and is not verified again; about 1 KiB each.',
      ),
      10_000,
    ),
    allowUnsignedQuery: v.optional(
      described(
        flag(),
        'Whether an access message in the body may come with a query, which it does not sign. A route may set it.',
      ),
      false,
    ),
    requireTargetMember: v.optional(
      described(
        flag(),
        'Whether the signed `request` must hold `target` with authority, method and target of the request that carries it. A route may set it.',
      ),
      false,
    ),
    defaultAttributes: v.optional(
      described(attributesSetting(), 'Attributes of every token; those of the account go over them.'),
      {},
    ),
    issuer: v.optional(
      described(
        v.picklist(['local', 'external'], '"local" or "external"'),
        'Whether this deployment issues tokens, or only judges those of an issuer elsewhere, by `trustedAccessKeys`.',
      ),
      'local',
    ),
    trustedAccessKeys: v.optional(
      described(
        v.pipe(v.array(publicKey('trustedAccessKeys'), 'a list of keys'), v.maxLength(4, 'at most 4 keys')),
        'Access-signing keys of the issuer elsewhere, as CESR words `1AAI`.',
      ),
      [],
    ),
    revocation: v.optional(
      described(
        v.picklist(['record', 'markers'], '"record" or "markers"'),
        'What tells a revoked token: the account records, which issuer and sidecar share, or marks put by the issuer elsewhere. v0 knows records only.',
      ),
      'record',
    ),
    publishMarkers: v.optional(
      described(flag(), 'Whether the issuer also puts marks, for sidecars that can not read the records.'),
      false,
    ),
    v1: v.optional(described(v1Settings, 'Wire version v1.'), {}),
    v0: v.optional(described(v0Settings, 'Wire version v0.'), {}),
    limits: v.optional(described(limits, 'Buckets.'), {}),
  }),
  v.check(
    ({ issuer, trustedAccessKeys }) => (issuer === 'external') === trustedAccessKeys.length > 0,
    'trustedAccessKeys with issuer: external, and only then',
  ),
  v.check(
    ({ issuer, revocation }) => (issuer === 'external') === (revocation === 'markers'),
    'revocation: markers with issuer: external, and only then: records of an issuer elsewhere are not here',
  ),
  v.check(
    ({ revocation, versions }) => revocation === 'record' || !versions.includes('v0'),
    'versions: [v1] with revocation: markers, which v0 does not know',
  ),
  v.transform(({ accessLifetime, refreshLifetime, challengeLifetime, accessWindow, v1, v0, ...rest }) => ({
    ...rest,
    accessLifetimeMs: accessLifetime,
    refreshLifetimeMs: refreshLifetime,
    challengeLifetimeMs: challengeLifetime,
    accessWindowMs: accessWindow,
    v1: {
      pathPrefix: v1.pathPrefix,
      registration: v1.registration,
      maxDevices: v1.maxDevices,
      unusedAccountLifetimeMs: v1.unusedAccountLifetime,
      recoveryGraceMs: v1.recoveryGrace,
    },
    v0: {
      pathPrefix: v0.pathPrefix,
      maxDevices: v0.maxDevices,
      registrationLifetimeMs: v0.registrationLifetime,
      allowWithoutRotation: v0.allowWithoutRotation,
      rotationEndsSessions: v0.rotationEndsSessions,
      passphrase: v0.passphrase,
      passphraseParameters: v0.passphraseParameters,
    },
  })),
);

export type Settings = v.InferOutput<typeof settings>;
export type WireVersion = Settings['versions'][number];

/** Members that a route may override. */
export const PER_ROUTE = [
  'versions',
  'carriers',
  'bodyMethods',
  'allowUnsignedQuery',
  'requireTargetMember',
] as const satisfies readonly (keyof Settings)[];
