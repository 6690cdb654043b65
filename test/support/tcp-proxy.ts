/** A TCP proxy that can be told to behave badly: to wait, to cut, to go silent, to dribble, to break off in the middle. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ProxyFaults {
  /** Before each chunk of an answer is handed on. */
  delayMs?: number;
  /** Answers go nowhere, sockets stay open. */
  isHalfOpen?: boolean;
  /** Answers go out byte by byte. */
  dribbles?: boolean;
  /** From now on, an answer's first bytes and then a reset. */
  breaksOffAfterBytes?: number;
}

export interface TcpProxy {
  readonly port: number;
  readonly url: string;
  readonly faults: ProxyFaults;
  /** Connections made so far. */
  accepted(): number;
  open(): number;
  /** Resets every connection. */
  cut(): void;
  close(): Promise<void>;
}

export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  const faults: ProxyFaults = {};
  const sockets = new Set<Socket>();
  let accepted = 0;
  const server = createServer((client) => {
    accepted += 1;
    const target = connect(targetPort, '127.0.0.1');
    for (const socket of [client, target]) {
      socket.setNoDelay(true);
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        target.destroy();
      });
    }
    client.pipe(target);
    void handOn(target, client, faults);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    url: `redis://127.0.0.1:${address.port}`,
    faults,
    accepted: () => accepted,
    open: () => sockets.size / 2,
    cut() {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

async function handOn(target: Socket, client: Socket, faults: ProxyFaults): Promise<void> {
  try {
    for await (const chunk of target as AsyncIterable<Uint8Array>) {
      if (faults.delayMs !== undefined) await sleep(faults.delayMs);
      if (faults.isHalfOpen === true) continue;
      if (faults.breaksOffAfterBytes !== undefined) {
        client.write(chunk.subarray(0, faults.breaksOffAfterBytes), () => client.resetAndDestroy());
        continue;
      }
      if (faults.dribbles !== true) {
        client.write(chunk);
        continue;
      }
      for (const byte of chunk) {
        client.write(Uint8Array.of(byte));
        await new Promise(setImmediate);
      }
    }
  } catch {
    // The connection was cut; whoever waits sees that.
  }
}
