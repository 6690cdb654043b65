/** HTTP/2 frame by frame over a bare socket, for what no client library would say. */
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { CHECK_PATH } from './grpc-caller.ts';

export const FRAME = {
  data: 0,
  headers: 1,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;
export const FLAG = { endStream: 1, ack: 1, endHeaders: 4 } as const;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export interface RawConnection {
  readonly socket: Socket;
  readonly frames: Frame[];
  send(...frames: readonly Buffer[]): void;
  /** The first frame that fits, as soon as it is there; rejects when the connection closes before. */
  received(fits: (frame: Frame) => boolean): Promise<Frame>;
  closed: Promise<void>;
}

/** @param settings pairs of id and value. Acknowledges nothing by itself. */
export async function openRaw(
  address: string,
  settings: readonly (readonly [number, number])[] = [],
): Promise<RawConnection> {
  const colon = address.lastIndexOf(':');
  const socket = connect({ host: address.slice(0, colon), port: Number(address.slice(colon + 1)) });
  await once(socket, 'connect');
  socket.on('error', () => undefined);
  const frames: Frame[] = [];
  const waiting = new Set<() => void>();
  let rest = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
      const length = rest.readUIntBE(0, 3);
      frames.push({
        type: rest[3] ?? 0,
        flags: rest[4] ?? 0,
        stream: rest.readUInt32BE(5),
        payload: rest.subarray(9, 9 + length),
      });
      rest = rest.subarray(9 + length);
    }
    for (const look of waiting) look();
  });
  const closed = new Promise<void>((resolve) => {
    socket.on('close', () => resolve());
  });
  socket.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), settingsFrame(settings)]));
  return {
    socket,
    frames,
    send: (...out) => void socket.write(Buffer.concat(out)),
    received: (fits) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = frames.find(fits);
          if (found === undefined) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
        void closed.then(() => reject(new Error('closed before the frame came')));
      }),
    closed,
  };
}

export function frameBytes(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export function settingsFrame(settings: readonly (readonly [number, number])[]): Buffer {
  const payload = Buffer.alloc(6 * settings.length);
  settings.forEach(([id, value], i) => {
    payload.writeUInt16BE(id, 6 * i);
    payload.writeUInt32BE(value, 6 * i + 2);
  });
  return frameBytes(FRAME.settings, 0, 0, payload);
}

/** Literal fields without indexing and without Huffman coding. Names and values below 127 bytes. */
export function fieldBlock(fields: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(
    fields.flatMap(([name, value]) => [
      Buffer.of(0, name.length),
      Buffer.from(name),
      Buffer.of(value.length),
      Buffer.from(value),
    ]),
  );
}

export const CALL_FIELDS = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', CHECK_PATH],
  [':authority', 'check'],
  ['content-type', 'application/grpc'],
] as const;

/** HEADERS of a Check. */
export function callHeaders(stream: number, flags: number = FLAG.endHeaders): Buffer {
  return frameBytes(FRAME.headers, flags, stream, fieldBlock(CALL_FIELDS));
}

export function dataFrame(stream: number, payload: Uint8Array, flags: number = FLAG.endStream): Buffer {
  return frameBytes(FRAME.data, flags, stream, payload);
}
