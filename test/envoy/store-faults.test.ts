/** EV-34: what clients see while Redis is away, and after it came back. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { echoOf, openWorld, verdictOf, type World } from './world.ts';
import { headerOf, http1, type RawAnswer } from './wire.ts';

let world: World;

beforeAll(async () => {
  world = await openWorld({ store: 'redis' });
}, 60_000);

afterAll(() => world.stop());

const send = (authorization: string) =>
  http1({ method: 'GET', target: '/a', to: world.to, headers: [['authorization', authorization]] });
const prove = () => world.prove({ method: 'GET', target: '/a' });

/** Sends again and again until the answer is that; no answer on the way may be an allow unless it is what is waited for. */
async function until(wanted: number, attempt: () => Promise<RawAnswer>): Promise<RawAnswer> {
  for (let count = 0; count < 150; count += 1) {
    const answer = await attempt();
    if (answer.status === wanted) return answer;
    expect(answer.status).not.toBe(200);
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`no ${wanted} within fifteen seconds`);
}

test('answers 503 while Redis hangs, never 200, and allows again when it goes on', async () => {
  echoOf(await send(await prove()));
  world.redis?.signal('SIGSTOP');
  const authorization = await prove();
  for (const answer of await Promise.all(Array.from({ length: 4 }, () => send(authorization)))) {
    expect(verdictOf(answer)).toBe('503 unavailable');
  }
  world.redis?.signal('SIGCONT');
  await until(200, async () => send(await prove()));
}, 60_000);

test('answers 503 with Retry-After while Redis is killed, and refuses what was spent before when it comes back empty', async () => {
  const spent = await prove();
  echoOf(await send(spent));
  await world.redis?.kill();
  for (let count = 0; count < 8; count += 1) {
    const answer = await send(spent);
    expect(verdictOf(answer)).toBe('503 unavailable');
    expect(Number(headerOf(answer, 'retry-after'))).toBeGreaterThanOrEqual(1);
  }
  await world.redis?.restart();
  // The claim is gone with the server's memory; the horizon knows.
  expect(verdictOf(await until(401, () => send(spent)))).toBe('401 stale');
}, 60_000);
