/** Where a front listens: TCP or a unix socket, and one line that says what to do when that can't be had. */
import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import { parseAddress } from '../core/address.ts';

export interface Place {
  /** `host:port`, `[v6]:port` or `unix:/path`. */
  readonly address: string;
  /** Name of the setting, for messages. */
  readonly setting: string;
  /** Of a unix socket, octal digits. */
  readonly socketMode: string;
}

/**
 * How a server comes by its connections: `bind` gives it an address of its own; a worker's are handed over by the process that has
 * the address. @returns that address.
 */
export type Attach = (server: Server, place: Place) => Promise<string>;

/** @returns the address that was bound, with the port that was found for port 0. @throws {Error} with one line that says what to do. */
export async function bind(server: Server, { address: text, setting, socketMode }: Place): Promise<string> {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`${setting}: expected an address, got "${text}"`);
  if (address.kind === 'unix') await removeStaleSocket(address.path, setting);
  const where = address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port };
  await new Promise<void>((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException) => {
      const what =
        error.code === 'EADDRINUSE'
          ? 'is taken; stop what listens there or choose another'
          : `can't be bound (${error.code})`;
      reject(new Error(`${setting}: ${text} ${what}`, { cause: error }));
    };
    server.once('error', failed);
    server.listen(where, () => {
      server.off('error', failed);
      server.on('error', () => undefined); // Accepting can fail for lack of descriptors; the next attempt may not.
      resolve();
    });
  });
  if (address.kind === 'unix') chmodSync(address.path, Number.parseInt(socketMode, 8));
  const bound = server.address();
  if (bound === null || typeof bound === 'string') return text;
  return bound.family === 'IPv6' ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`;
}

/** A socket that nobody answers at is left of a process that died. Anything else at that path is not ours to remove. */
async function removeStaleSocket(path: string, setting: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket())
    throw new Error(`${setting}: unix:${path} exists and is no socket; remove it or choose another path`);
  const answer = await knock(path);
  if (answer === 'connected')
    throw new Error(`${setting}: unix:${path} is taken: another process answers there; stop it or choose another path`);
  if (answer !== 'ECONNREFUSED') throw new Error(`${setting}: unix:${path} can't be looked at (${answer})`);
  unlinkSync(path);
}

/** @returns `connected`, or the error's code. */
function knock(path: string): Promise<string> {
  return new Promise((resolve) => {
    const probe = connect({ path });
    probe.on('connect', () => {
      probe.destroy();
      resolve('connected');
    });
    probe.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'unknown'));
  });
}
