/**
 * Resident memory while ever new users are named: `node bench/distinct-users.ts [--users 1000000]`. Everything that grows by who is named
 * (users looked up, buckets, keys, series) has a cap, so after the first part the column is flat.
 */
import { parseArgs } from 'node:util';
import { ringWith } from '../test/support/key-ring.ts';
import { rssMb } from './accounting.ts';
import { newClient, signedChecks, startChallengeSignature } from './challenge-signature.ts';
import { closedLoop, openCaller } from './load.ts';

const { values } = parseArgs({ options: { users: { type: 'string', default: '1000000' } } });
const users = Number(values.users);
const PARTS = 20;
const BATCH = 1000;

const ring = ringWith('challenge-mac');
const client = newClient('alice');
const service = await startChallengeSignature(ring, client, undefined);
try {
  const caller = openCaller(service.address);
  process.stdout.write(`| distinct users | RSS MB |\n|---|---|\n| 0 | ${rssMb(service.pid).toFixed(0)} |\n`);
  for (let part = 1, named = 0; part <= PARTS; part += 1) {
    for (; named < (users * part) / PARTS; named += BATCH) {
      const strangers = Array.from({ length: BATCH }, (_, index) => `stranger-${named + index}`);
      await closedLoop(
        caller,
        strangers.flatMap((user) => signedChecks(ring, { ...client, user }, 1)),
        32,
      );
    }
    process.stdout.write(`| ${named} | ${rssMb(service.pid).toFixed(0)} |\n`);
  }
  caller.close();
} finally {
  await service.stop();
}
