/**
 * A client in a process of its own, to be killed: `node chain-process.ts FILE URL STEP`. It sends requests until it is killed; with a STEP
 * it kills itself there, `once` sends one request and ends. `hold` only opens the file.
 */
import process from 'node:process';
import { createClient } from '../../src/client/client.ts';
import { openChainFile } from '../../src/client/node-chains.ts';
import { timeScrambled } from '../../src/schemes/time-scrambled/client.ts';
import type { ChainStorage } from '../../src/schemes/time-scrambled/client-state.ts';

const [file = '', baseUrl = '', step = ''] = process.argv.slice(2);

function at(here: string): void {
  if (here === step) process.kill(process.pid, 'SIGKILL');
}

const chains = await openChainFile(file);
process.stdout.write('open\n');
if (step === 'hold') await new Promise((resolve) => setTimeout(resolve, 60_000));

/** The second write of a request is that of its answer. */
let writes = 0;
const storage: ChainStorage = {
  ...chains,
  async take() {
    const held = await chains.take();
    return {
      ...held,
      async write(text) {
        const what = writes % 2 === 0 ? 'token' : 'answer';
        writes += 1;
        at(`before ${what} is kept`);
        const kept = held.write(text);
        at(`while ${what} is kept`);
        await kept;
        at(`after ${what} is kept`);
      },
    };
  },
};

const client = createClient({
  baseUrl,
  signer: timeScrambled(storage),
  async fetch(...args) {
    at('before it is sent');
    const answer = fetch(...args);
    at('while it is sent');
    await answer;
    at('after it is answered');
    return answer;
  },
});

for (let left = step === 'once' ? 1 : Infinity; left > 0; left -= 1) {
  const { status } = await client.fetch('/transfer', { method: 'POST', body: 'x' });
  process.stdout.write(`${status}\n`);
}
chains.close();
