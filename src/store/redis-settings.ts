/**
 * The `store.redis` section as the store takes it, durations in milliseconds. Its schema is the configuration's; what the topology
 * decides when the section is silent is decided here.
 */
import type { Secret } from '../core/secret.ts';

export interface RedisSettings {
  readonly mode: 'single' | 'sentinel' | 'cluster';
  /** `redis://`, `rediss://`, `unix://`: the server, the Sentinels, or seeds of the Cluster. */
  readonly urls: readonly string[];
  readonly sentinelName?: string | undefined;
  readonly database: number;
  readonly usernameFile?: string | undefined;
  readonly passwordFile?: string | undefined;
  /** In clear in the configuration file: for laptops. */
  readonly password?: Secret<string> | undefined;
  readonly sentinelUsernameFile?: string | undefined;
  readonly sentinelPasswordFile?: string | undefined;
  readonly tls?: RedisTlsSettings | undefined;
  readonly keyPrefix: string;
  readonly lanes?: number | undefined;
  readonly commandTimeout: number;
  readonly socketTimeout: number;
  readonly connectTimeout: number;
  readonly durable: { readonly replicas?: number | undefined; readonly timeout: number };
}

export interface RedisTlsSettings {
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  readonly serverName?: string | undefined;
}

export interface RedisAddress {
  readonly host: string;
  readonly port: number;
  /** Of a unix socket, instead of host and port. */
  readonly path?: string;
  readonly isTls: boolean;
}

export function lanesOf(settings: RedisSettings): number {
  return settings.lanes ?? (settings.mode === 'cluster' ? 64 : 1);
}

/** Acknowledgements that a durable write waits for. */
export function durableReplicasOf(settings: RedisSettings): number {
  return settings.durable.replicas ?? (settings.mode === 'single' ? 0 : 1);
}

/** @throws {RangeError} for a URL with parts that would be ignored: credentials belong into files, the database into its setting. */
export function parseRedisUrl(text: string, defaultPort: number): RedisAddress {
  const url = URL.parse(text);
  const known = url !== null && ['redis:', 'rediss:', 'unix:'].includes(url.protocol);
  if (!known) throw new RangeError('store.redis.urls: expected redis://, rediss:// or unix://');
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new RangeError('store.redis.urls: expected an address alone, without credentials or parameters');
  }
  if (url.protocol === 'unix:') return { host: '', port: 0, path: decodeURIComponent(url.pathname), isTls: false };
  if (url.pathname !== '' && url.pathname !== '/') {
    throw new RangeError('store.redis.urls: the database is store.redis.database');
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  return { host, port: url.port === '' ? defaultPort : Number(url.port), isTls: url.protocol === 'rediss:' };
}
