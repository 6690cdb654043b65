/** Redis behind TLS: who the server is, is verified; certificates and authorities are read anew on each dial (SF-15). */
import { afterEach, expect, test } from '@jest/globals';
import type { Store } from '../../src/core/store.ts';
import { storeKey } from '../../src/crypto/store-key.ts';
import { type Certificate, createAuthority } from '../support/certificates.ts';
import { startRedis } from '../support/redis.ts';
import { redisStoreOn, until, untilServing } from '../support/redis-store.ts';
import { startTlsFront, type TlsFront } from '../support/tls-front.ts';

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function tlsFront(certificate: Certificate, clientCa?: string): Promise<TlsFront> {
  const redis = await startRedis();
  closers.push(() => redis.stop());
  const front = await startTlsFront({ port: redis.port, certificate, ...(clientCa !== undefined && { clientCa }) });
  closers.push(() => front.stop());
  return front;
}

function open(url: string, files: Record<string, string>, tls: Record<string, string>): Store {
  const store = redisStoreOn(url, {
    settings: { tls: { caFile: 'ca', ...tls }, passwordFile: 'password' },
    readSecret: (file) => files[file] ?? '',
  });
  closers.push(() => store.close());
  return store;
}

const claim = (store: Store) => store.claim(storeKey('c', 'tls'), 'me', Date.now() + 60_000);

test('a server whose certificate the authority signed for its name is served', async () => {
  const authority = createAuthority('ca');
  const front = await tlsFront(authority.issue({ dns: ['localhost'] }));
  const store = open(front.url, { ca: authority.certificate, password: 'p' }, {});
  await untilServing(store);
  expect(await claim(store)).toBe('claimed');
});

test('a certificate of another authority, or for another name: down, and not a byte is sent, the password least of all', async () => {
  const [authority, stranger] = [createAuthority('ca'), createAuthority('stranger')];
  for (const certificate of [stranger.issue({ dns: ['localhost'] }), authority.issue({ dns: ['elsewhere.example'] })]) {
    const front = await tlsFront(certificate);
    const store = open(front.url, { ca: authority.certificate, password: 'p' }, {});
    await new Promise((later) => setTimeout(later, 400));
    expect(store.state()).toBe('down');
    expect(store.provenOnce()).toBe(false);
    expect(front.received()).toBe(0);
  }
});

test('serverName is the name that is verified', async () => {
  const authority = createAuthority('ca');
  const front = await tlsFront(authority.issue({ dns: ['redis.internal'] }));
  const store = open(front.url, { ca: authority.certificate, password: 'p' }, { serverName: 'redis.internal' });
  await untilServing(store);
});

test('certificate and authority replaced: picked up on the next dial, without a restart', async () => {
  const [before, after] = [createAuthority('before'), createAuthority('after')];
  const front = await tlsFront(before.issue({ dns: ['localhost'] }));
  const files: Record<string, string> = { ca: before.certificate, password: 'p' };
  const store = open(front.url, files, {});
  await untilServing(store);
  front.use(after.issue({ dns: ['localhost'] }));
  front.cut();
  await until('it is refused', () => store.state() === 'down');
  files['ca'] = after.certificate;
  await untilServing(store);
  expect(await claim(store)).toBe('claimed');
});

test('a client certificate is presented where one is set', async () => {
  const authority = createAuthority('ca');
  const front = await tlsFront(authority.issue({ dns: ['localhost'] }), authority.certificate);
  const own = authority.issue({ dns: ['client'] });
  const files = { ca: authority.certificate, cert: own.certificate, key: own.key, password: 'p' };
  const without = open(front.url, files, {});
  const store = open(front.url, files, { certFile: 'cert', keyFile: 'key' });
  await untilServing(store);
  expect(without.provenOnce()).toBe(false);
});
