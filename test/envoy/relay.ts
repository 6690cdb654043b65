/**
 * Stands between Envoy and countersign: sees each Check and its answer, and does to them what a network, a dying process or a broken
 * server would.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EnvoyTree, setEndpoints } from '../../scripts/envoy-config.ts';
import { startServer } from '../envoy-front/check-server.ts';
import { framed, openCaller, type Caller } from '../envoy-front/grpc-caller.ts';

export interface Relay {
  /** `unix:/path`: for Envoy to ask. */
  readonly address: string;
  /** Has Envoy ask here, for `changeEnvoy`. */
  readonly inPlace: (config: EnvoyTree) => void;
  /** Checks so far. */
  readonly seen: { readonly message: Uint8Array; readonly receivedAtMs: number; answer?: Uint8Array }[];
  /** In place of handing on. @param index of the Check, from 0. @param ask countersign's answer to a message. */
  answer: (
    message: Uint8Array,
    index: number,
    ask: (message: Uint8Array) => Promise<Uint8Array>,
  ) => Promise<Uint8Array>;
  /** Who is asked. */
  to: string;
  /** Ends every connection and takes no more, as a process that is killed. */
  die(): Promise<void>;
  stop(): Promise<void>;
}

export async function openRelay(): Promise<Relay> {
  const folder = await mkdtemp(join(tmpdir(), 'cs-relay-'));
  const address = `unix:${join(folder, 's')}`;
  let caller: Promise<Caller> | undefined;
  const ask = async (message: Uint8Array) => {
    caller ??= openCaller(relay.to);
    const { messages } = await (await caller).call([framed(message)]);
    const [answer] = messages;
    if (answer === undefined) throw new Error('no answer'); // An empty one would be an allow.
    return answer;
  };
  const server = await startServer({
    listener: { address },
    async handle(message, { receivedAtMs }) {
      if (Error.isError(message)) throw message;
      const check: Relay['seen'][number] = { message: Uint8Array.from(message), receivedAtMs };
      const index = relay.seen.push(check) - 1;
      check.answer = await relay.answer(check.message, index, ask);
      return check.answer;
    },
  });
  const relay: Relay = {
    address,
    inPlace: (config) => setEndpoints(config, 'countersign', [address]),
    seen: [],
    answer: (message, _index, asked) => asked(message),
    to: '',
    async die() {
      await server.drain(0);
    },
    async stop() {
      await server.drain(0);
      await (await caller)?.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
  return relay;
}
