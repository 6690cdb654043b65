/**
 * The listening sockets of several processes: all are the supervisor's, so that no change of workers closes one. Each connection goes
 * to the worker that has fewest, and stays there: connections of proxies are few and long, and a socket that workers accept from
 * together, or in turn, gives some of them none.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { Config } from '../config/schema.ts';
import { addressOf } from '../core/address.ts';
import { bind } from '../listener/bind.ts';
import type { Listener } from './messages.ts';

export interface Doors {
  /** Of the check listener, one or one per worker; then the issuer's, when it is enabled. */
  readonly addresses: readonly string[];
  /** Gives what has come before somebody could take it. */
  flush(): void;
  /** Accepts no more. */
  close(): void;
}

/** @returns whether somebody has taken it. @param slot of the worker whose own address was called. */
type Give = (listener: Listener, slot: number | undefined, connection: Socket) => boolean;

/** They wait for milliseconds, when all workers have crashed at once. */
const MAX_WAITING = 1024;
const HTTP_SOCKET_MODE = '0660';

/** @throws {Error} with one line that says what to do; then none stays open. */
export async function openDoors(
  { listeners: { check, issuer }, process: { checkWorkers } }: Config,
  give: Give,
): Promise<Doors> {
  const servers: Server[] = [];
  const addresses: string[] = [];
  let waiting: { listener: Listener; slot: number | undefined; connection: Socket }[] = [];

  async function open(
    listener: Listener,
    slot: number | undefined,
    address: string,
    socketMode: string,
  ): Promise<void> {
    // Paused: the bytes are for the worker to read.
    const server = createServer({ pauseOnConnect: true }, (connection) => {
      connection.on('error', () => connection.destroy());
      if (give(listener, slot, connection)) return;
      if (waiting.length < MAX_WAITING) waiting.push({ listener, slot, connection });
      else connection.destroy();
    });
    servers.push(server);
    addresses.push(await bind(server, { address, setting: `listeners.${listener}.address`, socketMode }));
  }

  const doors: Doors = {
    addresses,
    flush() {
      const before = waiting;
      waiting = [];
      for (const one of before) if (!give(one.listener, one.slot, one.connection)) waiting.push(one);
    },
    close() {
      for (const server of servers) server.close();
      for (const { connection } of waiting) connection.destroy();
    },
  };
  try {
    const slots =
      check.address === addressOf(check.address, 1)
        ? [undefined]
        : Array.from({ length: checkWorkers }, (_, index) => index + 1);
    for (const slot of slots) await open('check', slot, addressOf(check.address, slot ?? 1), check.socketMode);
    if (issuer.enabled) await open('issuer', undefined, issuer.address, HTTP_SOCKET_MODE);
  } catch (thrown) {
    doors.close();
    throw thrown;
  }
  return doors;
}
