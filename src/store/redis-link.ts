/**
 * One connection to one server, or to the master that the Sentinels name. It dials for as long as it lives, secrets read anew each
 * time; whether the server may be trusted is judged by `redis-watch.ts` after each `up`. Of a Cluster: `redis-cluster-link.ts`.
 */
import { Command, Redis } from 'ioredis';
import { StoreFault } from '../core/fault.ts';
import { storeFault } from './redis-errors.ts';
import { backoffMs, freshOptions, redisOptions, type ReadSecret } from './redis-options.ts';
import type { RedisSettings } from './redis-settings.ts';

export type Arguments = readonly (string | number)[];

export interface RedisNode {
  /** Sends one command now. Rejects at once when there is no connection; never sends twice. */
  send(name: string, args: Arguments): Promise<unknown>;
}

export interface RedisLink extends RedisNode {
  /** Dials, and tells of it from now on. */
  open(): void;
  /** Two commands behind each other to the server that holds `key`, in one write. */
  sendPair(key: string, first: [string, Arguments], second: [string, Arguments]): Promise<readonly [unknown, unknown]>;
  /** Those there is a connection to. */
  primaries(): readonly RedisNode[];
  /** Drops the connection and dials again. */
  reconnect(): void;
  /** The server has proven itself: the next loss is met with a short first wait again. */
  settled(): void;
  close(): Promise<void>;
}

export interface LinkEvents {
  up(): void;
  /** Also when a dial failed. */
  down(fault: StoreFault): void;
  count(connections: number): void;
}

export interface LinkOptions {
  readonly settings: RedisSettings;
  readonly socketTimeoutMs: number;
  readonly readSecret: ReadSecret;
  readonly events: LinkEvents;
}

export function createRedisLink({ settings, socketTimeoutMs, readSecret, events }: LinkOptions): RedisLink {
  // Maps stay maps: flattened they could pass for the arrays that scripts answer.
  const client = new Redis({ ...redisOptions(settings, socketTimeoutMs), replyMapping: 'resp3' });
  const dialer = createDialer(events, () => {
    Object.assign(client.options, freshOptions(settings, readSecret));
    // Its rejection tells nothing more than 'error' and 'end' do.
    client.connect().catch(() => undefined);
  });
  client.on('error', dialer.failed);
  client.on('ready', () => {
    events.count(1);
    events.up();
  });
  client.on('end', () => {
    events.count(0);
    dialer.ended();
  });
  // What one turn of the event loop sends shares one write: a system call costs more than a command.
  let isCorked = false;
  const send = (name: string, args: Arguments) => {
    if (!isCorked && client.status === 'ready') {
      isCorked = true;
      const { stream } = client;
      stream.cork();
      setImmediate(() => {
        isCorked = false;
        stream.uncork();
      });
    }
    return sendTo(client, name, args);
  };
  return {
    open: dialer.dial,
    send,
    sendPair: (_key, [firstName, firstArgs], [secondName, secondArgs]) =>
      Promise.all([send(firstName, firstArgs), send(secondName, secondArgs)]),
    primaries: () => (client.status === 'ready' ? [{ send }] : []),
    reconnect: () => client.disconnect(true),
    settled: dialer.settled,
    close() {
      dialer.stop();
      return ended(client, client.status === 'end' || client.status === 'wait');
    },
  };
}

export function sendTo(client: Pick<Redis, 'sendCommand'>, name: string, args: Arguments): Promise<unknown> {
  const command = new Command(name, [...args], { replyEncoding: 'utf8' });
  client.sendCommand(command);
  return command.promise;
}

/**
 * Disconnects; resolves when the sockets are gone, at the latest after the disconnect timeout of the library.
 *
 * @param isOver there is no socket: disconnecting would only leave the library's timer behind.
 */
export async function ended(client: Disconnectable, isOver: boolean): Promise<void> {
  if (isOver) return;
  const gone = new Promise<void>((done) => void client.once('end', done));
  client.disconnect();
  await gone;
}

interface Disconnectable {
  disconnect(): void;
  once(event: 'end', done: () => void): unknown;
}

export interface Dialer {
  readonly dial: () => void;
  /** Remembers why. */
  readonly failed: (error: unknown) => void;
  /** The connection is gone, or was never made: tells, waits, dials. */
  readonly ended: () => void;
  readonly settled: () => void;
  readonly stop: () => void;
}

/** @param connect reads the secrets and starts; its throw is a secret that could not be read. */
export function createDialer(events: Pick<LinkEvents, 'down'>, connect: () => void): Dialer {
  let attempt = 0;
  let why: unknown;
  let isStopped = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const dial = () => {
    timer = undefined;
    why = undefined;
    try {
      connect();
    } catch {
      // What was thrown may name the file's content.
      why = new StoreFault('auth', 'a secret file of store.redis could not be read');
      redial();
    }
  };

  const redial = () => {
    events.down(why === undefined ? new StoreFault('down', 'the server closed the connection') : storeFault(why));
    if (isStopped || timer !== undefined) return;
    timer = setTimeout(dial, backoffMs(attempt));
    attempt += 1;
  };

  return {
    dial,
    ended: redial,
    failed: (error) => void (why = error),
    settled: () => void (attempt = 0),
    stop() {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}
