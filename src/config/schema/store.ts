/** `store.*`: which store, and how Redis is reached. There is no default type: a silent memory store would lose replay protection across replicas. */
import * as v from 'valibot';
import { duration } from '../../core/settings.ts';
import { HIDDEN, choice, file, inlineSecret, integer, list, required, setting, text, unset } from './fields.ts';

const memory = v.strictObject({
  maxEntries: setting(
    integer(1000, 10_000_000),
    1_000_000,
    'Records kept; beyond it every write is a fault `full`, never an eviction. A million take about 400 MB at worst.',
  ),
});

const REDIS_URL =
  '"redis://host:port", "rediss://host:port" or "unix:///absolute/path", without user, password, database or options';

const redisUrl = v.pipe(
  v.string(REDIS_URL),
  v.regex(
    /^(rediss?:\/\/([A-Za-z0-9.-]{1,253}|\[[0-9a-fA-F:.]{2,45}\])(:[1-9][0-9]{0,4})?|unix:\/\/\/[\x21-\x7e]{1,106})$/,
    REDIS_URL,
  ),
  v.metadata(HIDDEN), // The place where a password would stand by mistake.
);

const redisTls = v.strictObject({
  caFile: unset(file(), "Authorities that sign the server's certificate, PEM. Absent: those that Node trusts."),
  certFile: unset(file(), 'Client certificate, PEM. Needs `keyFile`.'),
  keyFile: unset(file(), 'Its private key, PEM; a secret file.'),
  serverName: unset(
    text(/^[A-Za-z0-9.-]{1,253}$/, 'a host name'),
    "Name that the server's certificate must carry. Absent: the host of the URL.",
  ),
});

const redis = v.strictObject({
  mode: setting(
    choice('single', 'sentinel', 'cluster'),
    'single',
    'One server, a primary found through Sentinels, or a Cluster.',
  ),
  urls: required(
    list(redisUrl, { min: 1, max: 32, of: 'Redis URLs' }),
    'The server, the Sentinels, or seeds of the Cluster. Plaintext off loopback needs `insecure.plaintextRedis`. No proxy in between: it would hide the process behind it.',
  ),
  sentinelName: unset(
    text(/^[A-Za-z0-9._-]{1,64}$/, "the primary's name, 1 to 64 of A-Z a-z 0-9 . _ -"),
    "The primary's name. Required with, and only with, `mode: sentinel`.",
  ),
  database: setting(integer(0, 15), 0, 'Number of the database; 0 in a Cluster.'),
  usernameFile: unset(file(), 'User name; a secret file, read again on every connect.'),
  passwordFile: unset(
    file(),
    'Password; a secret file, read again on every connect, so it can rotate without a restart.',
  ),
  password: unset(inlineSecret(), 'Password in clear, for laptops. Needs `insecure.inlineSecrets`.'),
  sentinelUsernameFile: unset(file(), 'User name towards the Sentinels; a secret file.'),
  sentinelPasswordFile: unset(file(), 'Password towards the Sentinels; a secret file.'),
  tls: setting(redisTls, {}, 'For `rediss://` URLs, 1.2 or later. The server is always verified.'),
  keyPrefix: setting(
    text(/^[A-Za-z0-9._:-]{1,32}$/, '1 to 32 of A-Z a-z 0-9 . _ : -'),
    'cs:',
    "First characters of every key. Two deployments on one database need two prefixes, or they spend each other's proofs; the ACL must name it.",
  ),
  lanes: setting(
    integer(1, 256),
    1,
    'Hash tags that keys are spread over, so that a Cluster can share the load. 64 with `mode: cluster`. Changing it forgets spent proofs.',
  ),
  commandTimeout: setting(
    duration({ min: '10ms', max: '1s' }),
    '50ms',
    'Duration after which a command is a fault. Keep it well below `envoy.checkBudget`.',
  ),
  socketTimeout: setting(
    duration({ min: '50ms', max: '60s' }),
    '500ms',
    'Duration with commands unanswered after which the connection is given up: a hung primary keeps its socket open.',
  ),
  connectTimeout: setting(duration({ min: '50ms', max: '60s' }), '500ms', 'Duration of one attempt to connect.'),
  durable: setting(
    v.strictObject({
      replicas: setting(
        integer(0, 5),
        0,
        'Replicas that must have a registration or revocation before it is answered. 1 with `mode: sentinel` or `cluster`.',
      ),
      timeout: setting(
        duration({ min: '10ms', max: '10s' }),
        '200ms',
        'Duration to wait for them. Issuer, admin, and in `time-scrambled` the Check that begins or renews a chain, which ends at its own budget all the same.',
      ),
    }),
    {},
    'Writes that must survive a failover.',
  ),
});

const STORE_TYPE = '"redis" or "memory"';

export const store = v.variant(
  'type',
  [
    v.strictObject({
      type: required(
        v.literal('redis', STORE_TYPE),
        'Where one-time values, sessions and users are kept. `redis`: shared by all replicas.',
      ),
      redis: required(redis, 'How Redis is reached.'),
    }),
    v.strictObject({
      type: required(
        v.literal('memory', STORE_TYPE),
        'Where one-time values, sessions and users are kept. `memory`: one process, and everything is forgotten when it ends.',
      ),
      memory: setting(memory, {}, 'The embedded store.'),
    }),
  ],
  STORE_TYPE,
);

export type StoreSettings = v.InferOutput<typeof store>;
export type RedisSettings = v.InferOutput<typeof redis>;
