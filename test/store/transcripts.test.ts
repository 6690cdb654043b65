import { expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import * as fc from 'fast-check';
import { storeKey } from '../../src/crypto/store-key.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { modelCommands } from '../conformance/store-model.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { quietObserver } from '../support/quiet-observer.ts';
import { startRedis } from '../support/redis.ts';
import { redisStoreOn, untilServing } from '../support/redis-store.ts';

const OPERATIONS = 10_000;

test('memory and Redis give the same transcript of 10,000 seeded operations (ST-18)', async () => {
  const redis = await startRedis();
  const shared = redisStoreOn(redis.url);
  try {
    await untilServing(shared);
    const clock = createFakeClock(Date.now());
    const memory = createMemoryStore({
      clock,
      skewMs: 5_000,
      maxEntries: 100_000,
      fresh: true,
      observer: quietObserver,
    });
    const expiresAtMs = Date.now() + 3_600_000;
    let done = 0;
    while (done < OPERATIONS) {
      const run = randomUUID();
      const seed = Number(process.env['COUNTERSIGN_SEED'] ?? 0) + done;
      const [commands = []] = fc.sample(modelCommands(500), { numRuns: 1, seed });
      for (const command of commands) {
        const key = storeKey(command.keyClass, run, command.id);
        const [inMemory, inRedis] = await Promise.all([
          command.runReal(memory, key, expiresAtMs),
          command.runReal(shared, key, expiresAtMs),
        ]);
        expect([String(command), inRedis]).toStrictEqual([String(command), inMemory]);
        done += 1;
      }
    }
  } finally {
    await shared.close();
    await redis.stop();
  }
}, 120_000);
