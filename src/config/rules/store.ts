/** One store for all that share a public origin, reached in a way that nobody reads or alters. */
import { isLoopbackHost } from '../../core/address.ts';
import type { Path } from '../config-error.ts';
import type { RedisSettings } from '../schema.ts';
import type { Rule, RuleContext } from './rule.ts';

/** Each process would accept the same proof once. */
const oneMemory: Rule = {
  needs: ['process', 'store'],
  check({ process, store }, { refuse }) {
    const { model, checkWorkers } = process;
    const why = 'with store.type memory: each worker would have a memory of its own and accept the same proof once';
    if (model === 'multi' && store.type === 'memory') refuse(['process', 'model'], `expected "single" ${why}`);
    if (model === 'multi' || checkWorkers === 1) return;
    refuse(
      ['process', 'checkWorkers'],
      store.type === 'memory'
        ? `expected 1 ${why}`
        : 'expected 1 with process.model single: there is one process for everything',
    );
  },
};

const clocks: Rule = {
  needs: ['clock'],
  check({ clock }, { refuse }) {
    if (clock.maxStoreOffset > clock.skew) refuse(['clock', 'maxStoreOffset'], 'expected at most clock.skew');
  },
};

const freshMemory: Rule = {
  needs: ['store', 'insecure'],
  check({ store, insecure }, { refuse }) {
    if (insecure.freshMemoryStore && store.type !== 'memory') {
      refuse(['insecure', 'freshMemoryStore'], 'expected false: it is about store.type memory');
    }
  },
};

const redisRules: Rule = {
  needs: ['store', 'insecure'],
  check({ store, insecure }, { refuse }) {
    if (store.type !== 'redis') return;
    const refuseAt = (path: Path, message: string) => refuse(['store', 'redis', ...path], message);
    topology(store.redis, refuseAt);
    credentials(store.redis, insecure.inlineSecrets, refuseAt);
    transport(store.redis, insecure.plaintextRedis, refuseAt);
  },
};

function topology(redis: RedisSettings, refuse: RuleContext['refuse']): void {
  const { mode, urls } = redis;
  if (mode === 'single' && urls.length > 1) refuse(['urls'], 'expected one URL with mode single');
  if (mode !== 'single' && urls.some((url) => url.startsWith('unix:')))
    refuse(['urls'], `expected no unix socket with mode ${mode}`);
  if (mode === 'cluster' && redis.database !== 0) refuse(['database'], 'expected 0 in a Cluster');
  if (mode === 'sentinel') {
    if (redis.sentinelName === undefined)
      refuse(['sentinelName'], "expected the primary's name, which mode sentinel needs");
    return;
  }
  for (const key of ['sentinelName', 'sentinelUsernameFile', 'sentinelPasswordFile'] as const) {
    if (redis[key] !== undefined) refuse([key], 'expected only with mode sentinel: it would have no effect');
  }
}

function credentials(redis: RedisSettings, allowInline: boolean, refuse: RuleContext['refuse']): void {
  if (redis.password === undefined) return;
  if (!allowInline) refuse(['password'], 'expected passwordFile: secrets are files (insecure.inlineSecrets waives it)');
  if (redis.passwordFile !== undefined) refuse(['password'], 'expected either password or passwordFile');
}

function transport(redis: RedisSettings, allowPlaintext: boolean, refuse: RuleContext['refuse']): void {
  const { urls, tls } = redis;
  for (const [index, url] of urls.entries()) {
    const host = /^redis:\/\/(?:\[([^\]]*)\]|([^:]*))/.exec(url);
    if (host === null || allowPlaintext || isLoopbackHost(host[1] ?? host[2] ?? '')) continue;
    refuse(['urls', index], 'expected rediss:// off loopback (insecure.plaintextRedis waives it)');
  }
  const secure = urls.filter((url) => url.startsWith('rediss:')).length;
  if (secure !== 0 && secure !== urls.length) refuse(['urls'], 'expected rediss:// in all URLs or in none');
  if (secure === 0 && Object.keys(tls).length > 0)
    refuse(['tls'], 'expected only with rediss:// URLs: it would have no effect');
  if ((tls.certFile === undefined) !== (tls.keyFile === undefined))
    refuse(['tls'], 'expected certFile and keyFile together');
}

export const storeRules: readonly Rule[] = [oneMemory, clocks, freshMemory, redisRules];
