/** `listeners.*`: where the three fronts listen and what protects them. */
import * as v from 'valibot';
import { duration, origin, size } from '../../core/settings.ts';
import { address, addressPerWorker, file, flag, integer, list, setting, text, unset } from './fields.ts';

const checkTls = v.strictObject({
  certFile: v.pipe(file(), v.description('Certificate chain of the listener, PEM. Read again when it changes.')),
  keyFile: v.pipe(file(), v.description('Its private key, PEM; a secret file. Read again when it changes.')),
  clientCaFile: v.pipe(file(), v.description('Certificates of the authorities that sign client certificates, PEM.')),
  allowedSans: v.pipe(
    list(text(/^[\x21-\x7e]{1,512}$/, 'a subject alternative name without blanks'), {
      min: 1,
      max: 64,
      of: 'subject alternative names',
    }),
    v.description('Clients that may ask: one of the names in their certificate must equal one of these as a whole.'),
  ),
});

const check = v.strictObject({
  address: setting(
    addressPerWorker(),
    '127.0.0.1:9001',
    'Where Envoy asks. With `process.model: multi` it may hold `{worker}`, which stands for 1, 2, ...: each worker has an address of its own then, and Envoy an endpoint for each. Off loopback it needs `tls`, `meshTls` or `insecure.plaintextCheck`: whoever can call Check can spend one-time values.',
  ),
  socketMode: setting(
    text(/^0[0-7]{3}$/, 'an octal mode in quotes, such as "0660"'),
    '0660',
    'Mode of a unix socket, octal, in quotes. Proxy and countersign need a group in common.',
  ),
  maxConcurrentStreams: setting(
    integer(1, 65_535),
    1024,
    'Checks that one connection may have open. Envoy opens one connection per worker thread, so connections are few.',
  ),
  maxConnectionAge: setting(
    v.union(
      [
        v.pipe(
          v.literal('off'),
          v.transform(() => null),
        ),
        duration({ min: '10s', max: '24h' }),
      ],
      '"off" or a duration from 10s to 24h',
    ),
    'off',
    'Duration, or `off`. Behind a virtual IP set 5m, so that connections spread again after a scale-out.',
  ),
  tls: unset(checkTls, 'Mutual TLS, 1.3 or later. All four members are needed; there is no server-only TLS here.'),
  meshTls: setting(
    flag(),
    false,
    'Allows plaintext off loopback because a mesh proxy in this pod ends mutual TLS. It needs STRICT peer authentication there; nothing here can check that.',
  ),
});

const issuer = v.strictObject({
  enabled: setting(flag(), true, 'Whether challenges, logins, tokens and enrolment are served at all.'),
  address: setting(
    address(),
    '127.0.0.1:8080',
    'Where clients obtain credentials, through Envoy, on routes without the filter.',
  ),
  pathPrefix: setting(
    text(/^(\/[a-z0-9][a-z0-9._~-]{0,62}){1,8}$/, 'a path such as "/auth", lower case, without a slash at the end'),
    '/auth',
    'Endpoints are `<prefix>/<scheme>/<endpoint>`. Paths that a scheme fixes itself and `/.well-known/*` stay at the root.',
  ),
  tls: unset(
    v.strictObject({
      certFile: v.pipe(file(), v.description('Certificate chain, PEM. Read again when it changes.')),
      keyFile: v.pipe(file(), v.description('Its private key, PEM; a secret file. Read again when it changes.')),
    }),
    'Server TLS. Absent: plaintext, for a proxy in front.',
  ),
  trustedHops: setting(
    integer(0, 10),
    0,
    'Entries of `x-forwarded-for` to trust, counted from the right. Too many and clients choose the address that rate limits count.',
  ),
  bodyBytes: setting(
    size({ minBytes: 1024, maxBytes: 1024 * 1024, expected: 'from 1KiB to 1MiB' }),
    '64KiB',
    'Size of the largest request body; beyond it 413.',
  ),
  headersTimeout: setting(
    duration({ min: '100ms', max: '60s' }),
    '5s',
    'Duration until all headers must be there. Ends slow-loris connections.',
  ),
  requestTimeout: setting(
    duration({ min: '100ms', max: '120s' }),
    '10s',
    'Duration until the whole request must be there.',
  ),
  keepAliveTimeout: setting(
    duration({ min: '100ms', max: '120s' }),
    '5s',
    'Duration that an idle connection stays open.',
  ),
  maxConnections: setting(integer(1, 100_000), 1024, 'Connections at a time; further ones are closed at once.'),
  cors: setting(
    v.strictObject({
      origins: setting(
        list(origin(), { max: 64, of: 'origins' }),
        [],
        'Web pages that may call the issuer. Exact match; there is no wildcard.',
      ),
    }),
    {},
    'Cross-origin calls from browsers.',
  ),
});

const admin = v.strictObject({
  address: setting(
    address(),
    '127.0.0.1:9090',
    'Metrics, health and the admin API. Metrics and health ask for no token: keep the port private.',
  ),
  tokenFile: unset(
    file(),
    'Bearer token of the admin API; a secret file. Absent: the API answers 404, metrics and health stay. Off loopback it needs `insecure.wideAdmin`.',
  ),
});

export const listeners = v.strictObject({
  check: setting(check, {}, 'The ext_authz listener.'),
  issuer: setting(issuer, {}, 'The HTTP listener for clients.'),
  admin: setting(admin, {}, 'The HTTP listener for operators.'),
});

export type Listeners = v.InferOutput<typeof listeners>;
export type CheckListener = v.InferOutput<typeof check>;
export type IssuerListener = v.InferOutput<typeof issuer>;
export type AdminListener = v.InferOutput<typeof admin>;
