/**
 * How the client library must behave, in its own words. Each deviation from its defaults is there so that a command of unknown fate
 * is never sent again behind our back, and so that a dead server is noticed within half a second.
 */
import type { ClusterOptions, RedisOptions } from 'ioredis';
import { isIP } from 'node:net';
import { parseRedisUrl, type RedisAddress, type RedisSettings } from './redis-settings.ts';

const SENTINEL_PORT = 26_379;
const SERVER_PORT = 6_379;

/** Reads one secret or PEM file; throws when it can't. */
export type ReadSecret = (file: string) => string;

/** What is read from files, on every connect: a rotation needs no restart. */
export interface FreshOptions {
  username: string | null;
  password: string | null;
  tls?: object;
  sentinelUsername?: string | null;
  sentinelPassword?: string | null;
  sentinelTLS?: object;
}

/** Of one connection to a single server, or to the master that the Sentinels name. */
export function redisOptions(settings: RedisSettings, socketTimeoutMs: number): RedisOptions {
  const common = nodeOptions(settings, socketTimeoutMs);
  if (settings.mode === 'sentinel') {
    return {
      ...common,
      db: settings.database,
      sentinels: addresses(settings).map(({ host, port }) => ({ host, port })),
      name: settings.sentinelName ?? '',
      role: 'master',
      enableTLSForSentinelMode: usesTls(settings),
      failoverDetector: true,
      updateSentinels: true,
      sentinelCommandTimeout: 500,
      // No retry inside: the link's own loop reads the secrets first.
      sentinelRetryStrategy: () => null,
      sentinelReconnectStrategy: backoffMs,
    };
  }
  const [address] = addresses(settings);
  if (address === undefined) throw new RangeError('store.redis.urls: expected one address');
  const target = address.path === undefined ? { host: address.host, port: address.port } : { path: address.path };
  return { ...common, db: settings.database, ...target };
}

export function clusterOptions(settings: RedisSettings, socketTimeoutMs: number) {
  return {
    lazyConnect: true,
    enableOfflineQueue: false,
    scaleReads: 'master',
    maxRedirections: 3,
    retryDelayOnMoved: 0,
    retryDelayOnTryAgain: 20,
    retryDelayOnClusterDown: 0,
    // A closed connection leaves commands of unknown fate: they fail here, and the slot map is refreshed by the link.
    retryDelayOnFailover: 0,
    slotsRefreshInterval: 5_000,
    slotsRefreshTimeout: 500,
    clusterRetryStrategy: () => null,
    redisOptions: { ...nodeOptions(settings, socketTimeoutMs), replyMapping: 'resp3' as const },
  } satisfies ClusterOptions;
}

export function addresses(settings: RedisSettings): readonly RedisAddress[] {
  const defaultPort = settings.mode === 'sentinel' ? SENTINEL_PORT : SERVER_PORT;
  return settings.urls.map((url) => parseRedisUrl(url, defaultPort));
}

/** @throws what `readSecret` throws. */
export function freshOptions(settings: RedisSettings, readSecret: ReadSecret): FreshOptions {
  const read = (file: string | undefined) => (file === undefined ? null : readSecret(file));
  const fresh: FreshOptions = {
    username: read(settings.usernameFile),
    password: settings.password?.reveal() ?? read(settings.passwordFile),
  };
  if (settings.mode === 'sentinel') {
    fresh.sentinelUsername = read(settings.sentinelUsernameFile);
    fresh.sentinelPassword = read(settings.sentinelPasswordFile);
  }
  if (usesTls(settings)) {
    fresh.tls = tlsOptions(settings, readSecret);
    if (settings.mode === 'sentinel') fresh.sentinelTLS = fresh.tls;
  }
  return fresh;
}

/** Milliseconds before attempt `attempt` (0, 1, ...): doubling from 50 to 1000, times a random 0.5 to 1, so that there is no herd. */
export function backoffMs(attempt: number): number {
  return Math.min(50 * 2 ** Math.min(attempt, 10), 1_000) * (0.5 + Math.random() / 2);
}

function usesTls(settings: RedisSettings): boolean {
  return addresses(settings).some((address) => address.isTls);
}

function tlsOptions(settings: RedisSettings, readSecret: ReadSecret): object {
  const { caFile, certFile, keyFile, serverName } = settings.tls ?? {};
  const host = addresses(settings)[0]?.host ?? '';
  const name = serverName ?? (settings.mode === 'single' && isIP(host) === 0 ? host : undefined);
  return {
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true,
    ...(name !== undefined && { servername: name }),
    ...(caFile !== undefined && { ca: readSecret(caFile) }),
    ...(certFile !== undefined && { cert: readSecret(certFile) }),
    ...(keyFile !== undefined && { key: readSecret(keyFile) }),
  };
}

function nodeOptions(settings: RedisSettings, socketTimeoutMs: number) {
  return {
    lazyConnect: true,
    connectionName: 'countersign',
    protocol: 3 as const,
    disableClientInfo: true,
    enableOfflineQueue: false,
    enableAutoPipelining: false,
    enableReadyCheck: true,
    maxLoadingRetryTime: 1_000,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    // The link reconnects, so that secrets are read first.
    retryStrategy: () => null,
    reconnectOnError: (error: Error) => (/^(READONLY|NOAUTH)/.test(error.message) ? (1 as const) : false),
    connectTimeout: settings.connectTimeout,
    disconnectTimeout: 500,
    socketTimeout: socketTimeoutMs,
    keepAlive: 5_000,
    noDelay: true,
  };
}
