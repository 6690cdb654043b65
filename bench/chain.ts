/** What the client of time-scrambled computes: `node bench/chain.ts`. CPU time, so that a busy machine counts as little as it can. */
import { loadSha512, type Sha512 } from '../src/encoding/sha512.ts';
import { makeChain, tokenOf } from '../src/schemes/time-scrambled/client-chain.ts';

const HASHES = 20_000;
const sha512 = await loadSha512();
const secret = crypto.getRandomValues(new Uint8Array(64));

async function cpuMs(run: () => void | Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

const webCrypto = async (bytes: Uint8Array<ArrayBuffer>) =>
  new Uint8Array(await crypto.subtle.digest('SHA-512', bytes));
const chainOf = (hash: Sha512) => () => {
  let link: Uint8Array = secret;
  for (let links = 0; links < HASHES; links += 1) link = hash(link);
};

await cpuMs(chainOf(sha512)); // Warms up.
const perHash = (await cpuMs(chainOf(sha512))) / HASHES;
const perPromise =
  (await cpuMs(async () => {
    let link = secret;
    for (let links = 0; links < HASHES; links += 1) link = await webCrypto(link);
  })) / HASHES;
console.log(`a hash: WebAssembly ${(1000 * perHash).toFixed(2)} us, WebCrypto ${(1000 * perPromise).toFixed(2)} us`);

for (const length of [4096, 65_536]) {
  const making = await cpuMs(() => void makeChain(secret, length, sha512));
  const { chain } = makeChain(secret, length, sha512);
  const spacing = Math.sqrt(length);
  const rounds = 500;
  // The token just below a checkpoint is the farthest from the one before it.
  const worst = await cpuMs(() => {
    for (let round = 0; round < rounds; round += 1) tokenOf(chain, spacing * (1 + (round % (spacing - 1))) - 1, sha512);
  });
  console.log(`${length} links: made in ${making.toFixed(0)} ms, the dearest token ${(worst / rounds).toFixed(3)} ms`);
}
