/** countersign itself is killed around its claims; and what a great many claims cost. */
import { expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { storeKey } from '../../src/crypto/store-key.ts';
import { isLong } from '../support/long.ts';
import { startRedis } from '../support/redis.ts';
import { redisStoreOn, untilServing } from '../support/redis-store.ts';

test('killed between sending a claim and its answer: the retry of that Check passes once, nobody else’s does (SF-17)', async () => {
  const redis = await startRedis();
  const store = redisStoreOn(redis.url);
  try {
    await untilServing(store);
    for (let round = 0; round < (isLong ? 100 : 5); round += 1) {
      const run = `run ${round}`;
      const script = join(import.meta.dirname, '..', 'support', 'claim-until-killed.ts');
      const args = ['--disable-warning=ExperimentalWarning', script, redis.url, run];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      let output = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
      await once(child.stdout, 'data');
      await sleep(Math.random() * 60);
      const closed = once(child, 'close');
      child.kill('SIGKILL');
      await closed;
      const lines = output.trim().split('\n');
      const claimed = new Set(lines.filter((line) => line.startsWith('claimed ')).map((line) => line.slice(8)));
      const sent = lines.filter((line) => line.startsWith('sent ')).map((line) => line.slice(5));
      const soon = Date.now() + 600_000;
      for (const id of sent) {
        const key = storeKey('c', run, id);
        if (claimed.has(id)) expect(await store.claim(key, 'somebody-else', soon)).toBe('taken');
        expect(await store.claim(key, `check-${id}`, soon)).toMatch(/^(claimed|mine)$/);
        expect(await store.claim(key, 'somebody-else', soon)).toBe('taken');
      }
    }
  } finally {
    await store.close();
    await redis.stop();
  }
}, 120_000);

test('a claim takes no more of the server than planned, 240 bytes, and nothing of ours (SF-18)', async () => {
  const redis = await startRedis();
  const store = redisStoreOn(redis.url);
  try {
    await untilServing(store);
    const count = isLong ? 10_000_000 : 40_000;
    const usedBytes = async () => Number(/^used_memory_dataset:(\d+)/m.exec(await redis.admin.info('memory'))?.[1]);
    const before = await usedBytes();
    const heapBefore = process.memoryUsage().heapUsed;
    const soon = Date.now() + 3_600_000;
    for (let id = 0; id < count; id += 200) {
      const batch = Array.from({ length: 200 }, (_, index) =>
        store.claim(storeKey('c', 'many', String(id + index)), 'owner-of-22-characters', soon),
      );
      await Promise.all(batch);
    }
    expect(((await usedBytes()) - before) / count).toBeLessThan(240);
    // The heap is not collected on demand; kept per claim it would be hundreds of bytes.
    expect((process.memoryUsage().heapUsed - heapBefore) / 1_048_576).toBeLessThan(isLong ? 200 : 100);
  } finally {
    await store.close();
    await redis.stop();
  }
}, 1_800_000);
