/** A process that claims one value after the other and says so before and after each, until it is killed. Arguments: URL, run. */
import { writeSync } from 'node:fs';
import { storeKey } from '../../src/crypto/store-key.ts';
import { redisStoreOn, untilServing } from './redis-store.ts';

const [url = '', run = ''] = process.argv.slice(2);
const store = redisStoreOn(url);
await untilServing(store);
for (let id = 0; ; id += 1) {
  writeSync(1, `sent ${id}\n`);
  const result = await store.claim(storeKey('c', run, String(id)), `check-${id}`, Date.now() + 600_000);
  writeSync(1, `${result} ${id}\n`);
}
