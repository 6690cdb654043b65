/** `process.*`, `envoy.*`, `keys.*`, `issuer.*`, `directory.*`, `rateLimit.*` and `clock.*`: how Checks are judged and by whom. */
import { availableParallelism } from 'node:os';
import * as v from 'valibot';
import { duration, limit, origin, size } from '../../core/settings.ts';
import { choice, file, flag, integer, list, setting, text, unset } from './fields.ts';

const MOST_WORKERS = 64;

/** A word for a number that depends on the machine. */
function workers(word: string, cores: number) {
  return v.pipe(
    v.literal(word),
    v.transform(() => Math.min(cores, MOST_WORKERS)),
  );
}

export const processes = v.strictObject({
  model: setting(
    choice('single', 'multi'),
    'single',
    'How the work is spread over processes. `single`: one for everything, some 100 MB. `multi`: one that holds the listeners, `checkWorkers` that answer Checks, one for clients; it needs a store that they share. `multi` with `deployment: standalone` and Redis.',
  ),
  checkWorkers: setting(
    v.union(
      [workers('auto', availableParallelism()), integer(1, MOST_WORKERS)],
      '"auto" or a whole number from 1 to 64',
    ),
    1,
    'Processes that answer Checks with `process.model: multi`: one event loop fills one core. `auto` is as many as there are cores for this process; it is the default with `deployment: standalone` and Redis.',
  ),
  opaqueWorkers: setting(
    integer(0, 16),
    1,
    'Threads for OPAQUE, started when the first password is registered or checked; never on the loop that answers Checks. One does some 600 logins a second. 0: registration and login are refused as faults, for replicas that only answer Checks.',
  ),
  verify: setting(
    choice('sync', 'threadpool'),
    'sync',
    'Where signatures of Checks are verified. `threadpool` pays only where several cores are free; on one core it is slower.',
  ),
  drainDelay: setting(
    duration({ max: '60s' }),
    '0s',
    'Duration for which a terminating process still answers, so that its address can be withdrawn first: longer than proxies take to notice (docs/operating.md). 5s with `deployment: standalone`.',
  ),
  drainTimeout: setting(
    duration({ min: '100ms', max: '60s' }),
    '8s',
    'Duration after which calls still in flight are cut off (exit 8).',
  ),
  maxInFlight: setting(integer(1, 10_000), 512, 'Checks in flight at once; further ones get 503 at once.'),
  shedDelay: setting(
    duration({ min: '1ms', max: '10s' }),
    '20ms',
    'Event-loop delay, 99th percentile, above which new Checks get 503, so that those already accepted keep their deadline.',
  ),
});

export const envoy = v.strictObject({
  tier: setting(
    choice('A', 'B', 'C'),
    'A',
    'The shape of Check the proxy sends: A raw headers and raw body, B joined headers, C joined headers and a text body. Another shape is a fault.',
  ),
  maxRequestBytes: setting(
    size({ minBytes: 1024, maxBytes: 16 * 1024 * 1024, expected: 'from 1KiB to 16MiB' }),
    '1MiB',
    "Size. MUST equal Envoy's `max_request_bytes`, or bodies cut at the limit can't be told from whole ones.",
  ),
  checkBudget: setting(
    duration({ min: '20ms', max: '5s' }),
    '150ms',
    "Duration within which a Check is answered. Keep it below Envoy's own timeout.",
  ),
  identityPrefix: setting(
    text(/^x-[a-z0-9-]{1,30}-$/, 'a header prefix such as "x-auth-": x-, 1 to 30 of a-z 0-9 -, and - at the end'),
    'x-auth-',
    "Prefix of the headers that carry the identity upstream. Every other header that begins so is removed. Envoy's mutation rules must list it too.",
  ),
  stripCredentials: setting(
    flag(),
    true,
    'Whether the headers that carried the proof are removed from the upstream request: a session id has no business there.',
  ),
  faultResponse: setting(
    choice('denied', 'error'),
    'denied',
    'How a fault is told to Envoy. `error` feeds its error statistics, but lets the request pass where `failure_mode_allow` is true.',
  ),
  assumeBuffered: setting(
    flag(),
    false,
    'Takes it that Envoy buffers bodies on every route, for products that can say so with no context extension. Prove it with `verify-deployment`.',
  ),
  textBody: setting(
    choice('refuse', 'accept-ascii'),
    'refuse',
    'Tier C only: `accept-ascii` takes a body that arrives as text if every byte of it survives that; else it is unverifiable.',
  ),
  trustedHops: setting(
    integer(0, 10),
    0,
    'Entries of `x-forwarded-for` to trust for the source address of rate limits, counted from the right. 0: the address of the connection.',
  ),
  subjectMetadata: setting(
    flag(),
    false,
    "Whether the subject is put into Envoy's dynamic metadata, where access logs and filters can read it.",
  ),
});

export const keys = v.strictObject({
  ringFile: unset(
    file(),
    'The key ring, JSON, mode 0600; a secret file. Required as soon as a listed scheme needs a key of ours.',
  ),
  reloadInterval: setting(
    duration({ min: '1s', max: '1h' }),
    '10s',
    'Duration between looks at the ring, besides file events.',
  ),
});

const ISSUER_URL = 'an https URL without query, fragment or a slash at the end (http only on loopback)';

export const tokenIssuer = v.strictObject({
  url: unset(
    v.pipe(
      v.string(ISSUER_URL),
      v.regex(
        /^(https:\/\/([a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\])|http:\/\/(localhost|127(\.[0-9]{1,3}){3}|\[::1\]))(:[1-9][0-9]{0,4})?(\/[A-Za-z0-9._~-]{1,64}){0,8}$/,
        ISSUER_URL,
      ),
    ),
    '`iss` of access tokens: who vouches. Required as soon as a listed scheme issues tokens.',
  ),
  audiences: setting(
    list(origin(), { max: 64, of: 'origins' }),
    [],
    'Sites that clients sign for: a login or enrolment signed for another is refused. Empty: key enrolment refuses everyone. Required as soon as a listed scheme issues tokens.',
  ),
});

export const directory = v.strictObject({
  file: unset(file(), 'Fixed users, JSON, for deployments without enrolment. Wins over the store on equal ids.'),
  cacheTtl: setting(
    duration({ max: '60s' }),
    '5s',
    'Duration for which a user record is cached: the longest time a revocation takes to reach other replicas. Shorter costs store reads.',
  ),
  staleOnFault: setting(
    duration({ max: '1h' }),
    '0s',
    'Duration for which a cached user may serve while the store is down, on routes with `storeFree: allow` only. A revocation takes as long to arrive.',
  ),
  dummyAlg: setting(
    choice('Ed25519', 'ES256'),
    'Ed25519',
    'Algorithm verified against for unknown users. Set it to what most users have, so that unknown ones cost the same.',
  ),
});

export const rateLimit = v.strictObject({
  perSource: setting(
    limit(),
    { rate: '50/s', burst: 200 },
    'Checks per address and route, before any cryptography. In each replica; raise it where many clients share an address.',
  ),
  perCredential: setting(
    limit(),
    { rate: '200/s', burst: 400 },
    'Checks per address, scheme and credential: holds a runaway client, and a stranger elsewhere cannot use up its share.',
  ),
  issuer: setting(
    limit(),
    { rate: '10/s', burst: 20 },
    'Issuer calls per address, and again per address, scheme and user. Endpoints with a bucket of their own are not counted here.',
  ),
  maxBuckets: setting(
    integer(1000, 1_000_000),
    100_000,
    'Buckets kept; the least recently used goes, and starts full when it comes back.',
  ),
});

export const clock = v.strictObject({
  skew: setting(
    duration({ min: '1s', max: '30s' }),
    '5s',
    'Largest difference between the clocks of two replicas, or of a replica and the store. Not a tolerance for clients; raising it lengthens the refusals after a store loss.',
  ),
  maxStoreOffset: setting(
    duration({ min: '1ms', max: '30s' }),
    '5s',
    "Offset from the store's clock beyond which Checks are faults. At most `clock.skew`, which is also its default.",
  ),
});

export type Processes = v.InferOutput<typeof processes>;
export type EnvoySettings = v.InferOutput<typeof envoy>;
export type RateLimits = v.InferOutput<typeof rateLimit>;
