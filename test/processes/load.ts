/** Signed requests through Envoy, until told to end, each now and then sent twice: what came of the right ones and of the second ones. */
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { World } from '../envoy/world.ts';
import { isLong } from '../support/long.ts';

export interface Seen {
  /** How often each status came; a right client should meet 200 alone. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Proofs that passed more than once. */
  readonly passedTwice: number;
}

const TWICE_EVERY = 5;
/** Between two requests of a lane: as fast as can be the tests beside would starve, and what is looked for shows without. */
const PAUSE_MS = isLong ? 0 : 10;

/** @returns what ends it. */
export function startLoad(world: World, lanes = 4): () => Promise<Seen> {
  const statuses: Record<string, number> = {};
  let passedTwice = 0;
  const over = new AbortController();
  const agent = new Agent({ keepAlive: true });
  const lane = async () => {
    for (let count = 0; !over.signal.aborted; count += 1) {
      const authorization = await world.prove({ method: 'GET', target: '/a' }).catch(() => undefined);
      if (authorization === undefined) {
        statuses['no challenge'] = (statuses['no challenge'] ?? 0) + 1;
        continue;
      }
      const send = () => get(`${world.url}/a`, authorization, agent);
      const answers = count % TWICE_EVERY === 0 ? await Promise.all([send(), send()]) : [await send()];
      if (answers.filter((status) => status === '200').length > 1) passedTwice += 1;
      // Of two, one is refused; which one is chance.
      const best = answers.find((status) => status === '200') ?? answers[0] ?? '';
      statuses[best] = (statuses[best] ?? 0) + 1;
      await sleep(PAUSE_MS);
    }
  };
  const running = Promise.all(Array.from({ length: lanes }, lane));
  return async () => {
    over.abort();
    await running;
    agent.destroy();
    return { statuses, passedTwice };
  };
}

function get(url: string, authorization: string, agent: Agent): Promise<string> {
  return new Promise((resolve) => {
    const sent = request(url, { agent, headers: { authorization } }, (answer) => {
      answer.resume().on('end', () => resolve(String(answer.statusCode)));
    });
    sent.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'));
    sent.end();
  });
}
