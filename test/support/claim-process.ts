/** A process of its own that claims one key with several owners at once. Arguments: URL, key as JSON, expiry, owners. Prints JSON. */
import type { Key } from '../../src/core/store.ts';
import { redisStoreOn, untilServing } from './redis-store.ts';

const [url = '', keyText = '', expiresAtMs = '', ...owners] = process.argv.slice(2);
const key = JSON.parse(keyText) as Key;
const store = redisStoreOn(url);
await untilServing(store);
process.stdout.write('ready\n');
// All processes begin together: when their input closes.
for await (const _ of process.stdin);
const results = await Promise.all(owners.map((owner) => store.claim(key, owner, Number(expiresAtMs))));
process.stdout.write(`${JSON.stringify(results)}\n`);
await store.close();
