/**
 * Once before all test files: fetches the servers they start, so that no download counts against a test's time, and draws the seed
 * of all properties. A server that can't be had fails the tests that start it, with the line printed here.
 */
import { randomInt } from 'node:crypto';
import { envoyBinary } from '../../scripts/fetch-envoy.ts';
import { redisServer } from '../../scripts/fetch-redis.ts';

export default async function globalSetup(): Promise<void> {
  process.env['COUNTERSIGN_SEED'] ??= String(randomInt(2 ** 31));
  process.stderr.write(`fast-check seed ${process.env['COUNTERSIGN_SEED']} (COUNTERSIGN_SEED=... repeats it)\n`);
  const fetches = [() => redisServer(), () => envoyBinary('newest'), () => envoyBinary('oldest')];
  for (const fetchServer of fetches) {
    try {
      await fetchServer();
    } catch (error) {
      process.stderr.write(`${Error.isError(error) ? error.message : 'a server could not be fetched'}\n`);
    }
  }
}
