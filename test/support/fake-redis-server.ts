/**
 * A server that speaks just enough RESP to be taken for Redis, until the test lets it answer something else. For replies that a real
 * server can't be made to give; everything else is tested against a real one.
 */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';

export interface FakeRedis {
  readonly url: string;
  /** Raw bytes in answer to the next commands of this name, instead of the right ones; `claim` is that script alone. */
  answer(command: string, raw: string): void;
  /** Back to the right ones. */
  behave(): void;
  close(): Promise<void>;
}

const RUN_ID = 'a'.repeat(40);
const INFO = [
  'redis_version:7.4.0',
  `run_id:${RUN_ID}`,
  'role:master',
  'loading:0',
  'maxmemory_policy:noeviction',
  'connected_slaves:0',
].join('\r\n');

export async function startFakeRedis(): Promise<FakeRedis> {
  const overrides = new Map<string, string>();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    let pending = '';
    socket.setEncoding('latin1').on('data', (text: string) => {
      pending += text;
      for (let command = shift(); command !== undefined; command = shift()) socket.write(reply(command), 'latin1');
    });
    /** One whole command from the front of what has arrived. */
    const shift = (): string[] | undefined => {
      const [, count] = /^\*(\d+)\r\n/.exec(pending) ?? [];
      if (count === undefined) return undefined;
      let at = pending.indexOf('\r\n') + 2;
      const words: string[] = [];
      for (let word = 0; word < Number(count); word += 1) {
        const end = pending.indexOf('\r\n', at);
        const length = Number(pending.slice(at + 1, end));
        if (end === -1 || pending.length < end + 2 + length + 2) return undefined;
        words.push(pending.slice(end + 2, end + 2 + length));
        at = end + 2 + length + 2;
      }
      pending = pending.slice(at);
      return words;
    };
  });

  const record = new Map<string, string>();
  const reply = (words: readonly string[]): string => {
    const name = (words[0] ?? '').toLowerCase();
    const override = overrides.get(name);
    if (override !== undefined) return override;
    if (name === 'hello') return '%1\r\n$6\r\nserver\r\n$5\r\nredis\r\n';
    if (name === 'info') return bulk(INFO);
    if (name === 'evalsha') return '-NOSCRIPT No matching script.\r\n';
    if (name === 'eval') return evaluate(words);
    if (name === 'get') return bulk(record.get(words[1] ?? ''));
    if (name === 'set') {
      record.set(words[1] ?? '', words[2] ?? '');
      return '+OK\r\n';
    }
    if (name === 'del') return record.delete(words[1] ?? '') ? ':1\r\n' : ':0\r\n';
    return '+OK\r\n';
  };

  /** Does what the scripts do, known by their last lines. */
  const evaluate = ([, lua = '', , , key = '', ...args]: readonly string[]): string => {
    const mark = `${RUN_ID}:1`;
    const known = lua.includes('-- raise') || lua.endsWith("{'ok', now, mark}") ? key : args[0];
    if (lua.endsWith("{'ok', now, mark}")) return known === mark ? fields('ok', mark) : fields('mark', mark);
    if (known !== mark) return fields('mark', mark);
    const held = record.get(key);
    if (lua.includes('-- claim')) {
      const override = overrides.get('claim');
      if (override !== undefined) return override;
      if (held === undefined) record.set(key, args[3] ?? '');
      return fields(held === undefined ? 'claimed' : held === args[3] ? 'mine' : 'taken');
    }
    if (lua.includes('-- take')) {
      record.delete(key);
      return `*3\r\n$5\r\nvalue\r\n:${Date.now()}\r\n${bulk(held)}`;
    }
    const isExpected = args[3] === '0' ? held === undefined : held === args[4];
    if (isExpected) record.set(key, args[5] ?? '');
    return fields(isExpected ? 'swapped' : 'differs');
  };

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    url: `redis://127.0.0.1:${address.port}`,
    answer: (command, raw) => void overrides.set(command, raw),
    behave: () => overrides.clear(),
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function bulk(text: string | undefined): string {
  return text === undefined ? '$-1\r\n' : `$${text.length}\r\n${text}\r\n`;
}

function fields(name: string, mark?: string): string {
  const rest = mark === undefined ? '' : bulk(mark);
  return `*${mark === undefined ? 2 : 3}\r\n${bulk(name)}:${Date.now()}\r\n${rest}`;
}
