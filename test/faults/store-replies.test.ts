/** Every error text and every wrong type of reply, by table: a reason, never a verdict (SF-05). */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { inspect } from 'node:util';
import type { StoreFaultReason } from '../../src/core/fault.ts';
import type { Store } from '../../src/core/store.ts';
import { storeKey } from '../../src/crypto/store-key.ts';
import { type FakeRedis, startFakeRedis } from '../support/fake-redis-server.ts';
import { redisStoreOn, until } from '../support/redis-store.ts';
import { faultOf } from '../support/refused.ts';

const ERRORS: readonly (readonly [text: string, reason: StoreFaultReason])[] = [
  ["OOM command not allowed when used memory > 'maxmemory'.", 'full'],
  ['NOREPLICAS Not enough good replicas to write.', 'fenced'],
  ["READONLY You can't write against a read only replica.", 'readonly'],
  ['LOADING Redis is loading the dataset in memory', 'loading'],
  ["MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", 'loading'],
  ['BUSY Redis is busy running a script.', 'busy'],
  ['TRYAGAIN Multiple keys request during rehashing of slot', 'busy'],
  ['MOVED 3999 127.0.0.1:6381', 'moved'],
  ['ASK 3999 127.0.0.1:6381', 'moved'],
  ['CLUSTERDOWN The cluster is down', 'down'],
  ["CROSSSLOT Keys in request don't hash to the same slot", 'protocol'],
  ['NOAUTH Authentication required.', 'auth'],
  ['WRONGPASS invalid username-password pair or user is disabled.', 'auth'],
  ["NOPERM User countersign has no permissions to run the 'set' command", 'auth'],
  [
    "ERR ACL failure in script: User countersign has no permissions to run the 'set' command script: on @user_script:1.",
    'auth',
  ],
  ['WRONGTYPE Operation against a key holding the wrong kind of value', 'protocol'],
  ['MISCONF Redis is configured to save RDB snapshots, but it is currently unable to persist to disk.', 'protocol'],
  ["ERR unknown command 'EVALSHA', with args beginning with: secret-argument", 'protocol'],
  ['ERR value is not an integer or out of range', 'protocol'],
  ['NOSCRIPT No matching script.', 'protocol'],
  ['EXECABORT Transaction discarded', 'protocol'],
  ['NOPROTO unsupported protocol version', 'protocol'],
  ['oom in lower case', 'protocol'],
  ['', 'protocol'],
];

/** Nothing a script may answer, each with the claim's words in it where that is possible. NOW is the time. */
const WRONG_FENCED: readonly (readonly [title: string, raw: string])[] = [
  ['a simple string', '+claimed\r\n'],
  ['a bulk string', '$7\r\nclaimed\r\n'],
  ['an integer', ':1\r\n'],
  ['nil', '$-1\r\n'],
  ['the RESP3 null', '_\r\n'],
  ['true', '#t\r\n'],
  ['a double', ',1.5\r\n'],
  ['a map', `%1\r\n$7\r\nclaimed\r\n:NOW\r\n`],
  ['an empty array', '*0\r\n'],
  ['the null array', '*-1\r\n'],
  ['an array without a time', '*1\r\n$7\r\nclaimed\r\n'],
  ['a time that is text', `*2\r\n$7\r\nclaimed\r\n$13\r\nNOW\r\n`],
  ['a time that is nil', '*2\r\n$7\r\nclaimed\r\n$-1\r\n'],
  ['a time that is no integer', '*2\r\n$7\r\nclaimed\r\n,0.5\r\n'],
  ['another name', `*2\r\n$7\r\nCLAIMED\r\n:NOW\r\n`],
  ['a name that is an array', `*2\r\n*1\r\n$7\r\nclaimed\r\n:NOW\r\n`],
  ['a mark that is none', `*3\r\n$4\r\nmark\r\n:NOW\r\n$3\r\nabc\r\n`],
  ['a mark without a time', `*3\r\n$4\r\nmark\r\n:NOW\r\n$41\r\n${'a'.repeat(40)}:\r\n`],
  ['a mark of a run id too short', `*3\r\n$4\r\nmark\r\n:NOW\r\n$5\r\nabc:1\r\n`],
  ['an error inside the array', `*2\r\n-ERR claimed\r\n:NOW\r\n`],
];

let fake: FakeRedis;
let store: Store;

beforeAll(async () => {
  fake = await startFakeRedis();
});

afterAll(() => fake.close());

afterEach(() => store.close());

beforeEach(async () => {
  fake.behave();
  store = redisStoreOn(fake.url);
  await until('the fake server is trusted', () => store.state() === 'ok');
});

const key = storeKey('c', 'replies', 'x');
const soon = () => Date.now() + 60_000;
const verbs = {
  claim: () => store.claim(key, 'me', soon()),
  take: () => store.take(key),
  swap: () => store.swap(key, null, 'next', 1_000),
};

describe('error texts', () => {
  test.each(ERRORS)('%s -> %s', async (text, reason) => {
    for (const command of ['evalsha', 'eval', 'get', 'set', 'del']) fake.answer(command, `-${text}\r\n`);
    const fault = await faultOf(store.claim(key, 'me', soon()));
    expect(fault.reason).toBe(reason);
    // Neither arguments nor the server's text travel with the fault.
    expect(inspect(fault, { depth: 10 })).not.toMatch(/secret-argument|127\.0\.0\.1|evalsha/);
  });

  test('the same for get, put and delete', async () => {
    for (const command of ['get', 'set', 'del']) fake.answer(command, '-WRONGTYPE x\r\n');
    for (const verb of [store.get(key), store.put(key, 'x', 1_000), store.delete(key)]) {
      expect((await faultOf(verb)).reason).toBe('protocol');
    }
  });
});

describe('wrong types', () => {
  test.each(WRONG_FENCED)('a script answered by %s: protocol', async (_title, raw) => {
    fake.answer('evalsha', raw.replace('NOW', String(Date.now())));
    for (const verb of Object.values(verbs)) expect((await faultOf(verb())).reason).toBe('protocol');
  });

  test('answers of one verb are none of another: protocol', async () => {
    const answer = (name: string) => fake.answer('evalsha', `*2\r\n$${name.length}\r\n${name}\r\n:${Date.now()}\r\n`);
    const wrong: readonly (readonly [keyof typeof verbs, string])[] = [
      ['claim', 'swapped'],
      ['claim', 'ok'],
      ['claim', 'value'],
      ['take', 'claimed'],
      ['swap', 'claimed'],
      ['swap', 'value'],
    ];
    for (const [verb, name] of wrong) {
      answer(name);
      expect((await faultOf(verbs[verb]())).reason).toBe('protocol');
    }
    fake.answer('evalsha', `*3\r\n$5\r\nvalue\r\n:${Date.now()}\r\n:5\r\n`);
    expect((await faultOf(store.take(key))).reason).toBe('protocol');
  });

  test('late: clock, although the name is an answer', async () => {
    fake.answer('evalsha', `*2\r\n$4\r\nlate\r\n:${Date.now()}\r\n`);
    expect((await faultOf(store.claim(key, 'me', soon()))).reason).toBe('clock');
  });

  test.each([-600_000, -1_500, 1_500, 600_000])(
    'a time off by %i ms: clock, whatever else it said',
    async (offsetMs) => {
      fake.answer('evalsha', `*2\r\n$7\r\nclaimed\r\n:${Date.now() + offsetMs}\r\n`);
      expect((await faultOf(store.claim(key, 'me', soon()))).reason).toBe('clock');
      expect(store.state()).toBe('clock');
    },
  );

  test.each([
    ['get', ':1\r\n', () => store.get(key)],
    ['get', '*1\r\n$1\r\nx\r\n', () => store.get(key)],
    ['get', '#t\r\n', () => store.get(key)],
    ['set', '+QUEUED\r\n', () => store.put(key, 'x', 1_000)],
    ['set', '$-1\r\n', () => store.put(key, 'x', 1_000)],
    ['set', ':1\r\n', () => store.put(key, 'x', 1_000)],
    ['del', '+OK\r\n', () => store.delete(key)],
    ['del', ':2\r\n', () => store.delete(key)],
  ] as const)('%s answered by %j: protocol', async (command, raw, verb) => {
    fake.answer(command, raw);
    expect((await faultOf(verb())).reason).toBe('protocol');
  });

  test('bytes that are no RESP: protocol or down, and the connection is made anew', async () => {
    fake.answer('evalsha', 'HTTP/1.1 400 Bad Request\r\n\r\n');
    expect(['protocol', 'down', 'timeout']).toContain((await faultOf(store.claim(key, 'me', soon()))).reason);
    fake.behave();
    await until('the store serves again', () => store.state() === 'ok');
  });
});

describe('self-test', () => {
  const INFO = { redis_version: '7.4.0', run_id: 'a'.repeat(40), role: 'master', maxmemory_policy: 'noeviction' };
  const untrusted: readonly (readonly [title: string, change: Record<string, string>])[] = [
    ['a version that is too old', { redis_version: '6.2.14' }],
    ['no version', { redis_version: '' }],
    ['a Valkey that is too old', { valkey_version: '7.1.9' }],
    ['no run id: a proxy', { run_id: '' }],
    ['an evicting policy', { maxmemory_policy: 'allkeys-lru' }],
    ['volatile-ttl, which evicts too', { maxmemory_policy: 'volatile-ttl' }],
    ['a replica', { role: 'slave' }],
  ];

  test.each(untrusted)('%s: unsafe, and every verb says so', async (_title, change) => {
    await store.close();
    const info = Object.entries({ ...INFO, ...change }).map(([name, value]) => `${name}:${value}`);
    const text = info.join('\r\n');
    fake.answer('info', `$${text.length}\r\n${text}\r\n`);
    store = redisStoreOn(fake.url);
    await until('the store has judged', () => store.state() === 'unsafe');
    expect(store.provenOnce()).toBe(false);
    expect((await faultOf(store.claim(key, 'me', soon()))).reason).toMatch(/unsafe|down/);
  });

  test('a claim that is given twice: unsafe', async () => {
    await store.close();
    fake.answer('claim', `*2\r\n$7\r\nclaimed\r\n:${Date.now()}\r\n`);
    store = redisStoreOn(fake.url);
    await until('the store has judged', () => store.state() === 'unsafe');
    expect(store.provenOnce()).toBe(false);
  });
});
