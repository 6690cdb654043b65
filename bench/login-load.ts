/** The logins of `logins.ts`, in a thread of their own and of the lowest priority: a client that is busy with them would send Checks late. */
import { Agent, request } from 'node:http';
import { constants, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';

/** Where, and what somebody sends who knows no password. */
export interface LoginLoad {
  readonly hostname: string;
  readonly port: string;
  readonly ke1: string;
  readonly finalization: string;
}

/** A rate, or so many at once, until the next message. */
export type LoginOrder = { readonly perSecond: number } | { readonly takers: number } | 'stop';

const { hostname, port, ke1, finalization } = workerData as LoginLoad;
// Rounds without logins outlast the issuer's patience with idle connections: ours ends first.
const agent = new Agent({ keepAlive: true, maxSockets: 64, timeout: 2_000 });
let round = { isOver: true };
setPriority(constants.priority.PRIORITY_LOW);

parentPort?.on('message', (order: LoginOrder) => {
  round.isOver = true;
  if (order !== 'stop') void run(order, (round = { isOver: false }));
});

async function run(order: Exclude<LoginOrder, 'stop'>, mine: { isOver: boolean }): Promise<void> {
  const judged = 'takers' in order ? await atOnce(order.takers, mine) : await atRate(order.perSecond, mine);
  parentPort?.postMessage(judged, []);
}

async function atRate(perSecond: number, mine: { isOver: boolean }): Promise<number> {
  const startMs = performance.now();
  const pending: Promise<boolean>[] = [];
  while (!mine.isOver) {
    const waitMs = startMs + (pending.length * 1000) / perSecond - performance.now();
    if (waitMs > 0) await new Promise((done) => setTimeout(done, waitMs));
    pending.push(logInOnce());
  }
  return (await Promise.all(pending)).filter(Boolean).length;
}

async function atOnce(takers: number, mine: { isOver: boolean }): Promise<number> {
  let judged = 0;
  const taker = async () => {
    while (!mine.isOver) if (await logInOnce()) judged += 1;
  };
  await Promise.all(Array.from({ length: takers }, taker));
  return judged;
}

/** Both calls of somebody who knows no password: the server's work is the same, the client's stays out of the measure. */
async function logInOnce(): Promise<boolean> {
  const first = await post('login/start', { user: 'somebody', request: ke1 });
  if (first.status !== 200) return false;
  const { loginId } = JSON.parse(first.text) as { loginId: string };
  return (await post('login/finish', { loginId, finalization })).status === 401;
}

function post(path: string, members: object): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const body = JSON.stringify(members);
    const headers = { 'content-type': 'application/json', 'content-length': body.length };
    const target = { agent, hostname, port, method: 'POST', path: `/auth/opaque-pop/${path}`, headers };
    const sent = request(target, (answer) => {
      let text = '';
      answer.on('data', (chunk) => (text += String(chunk)));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}
