/** gRPC's frame around a message: one byte that says whether it is compressed, four of length. One message a call, never inflated. */
import { Buffer } from 'node:buffer';

const PREFIX_BYTES = 5;

/** gRPC status codes that a transport says, as opposed to answers. */
export const GRPC_STATUS = { ok: 0, notFound: 5, resourceExhausted: 8, unimplemented: 12, internal: 13 } as const;
export type GrpcStatus = (typeof GRPC_STATUS)[keyof typeof GRPC_STATUS];

/** Why a message is none: a status ends the call, a size is answered. */
export type FramingError = 'compressed' | 'oversized' | 'second' | 'cut';

export interface MessageCollector {
  /** @returns what is wrong with the message, as soon as it can be seen; then no more is pushed. */
  push(chunk: Buffer): FramingError | undefined;
  /** At the end of the stream: the message, or what is wrong with it. */
  end(): Uint8Array | FramingError;
  /** Bytes held. */
  bytes(): number;
}

/** @param maxBytes of the message, judged by its prefix, before it is held. */
export function createMessageCollector(maxBytes: number): MessageCollector {
  const chunks: Buffer[] = [];
  let received = 0;
  let expected = Number.NaN;
  return {
    push(chunk) {
      chunks.push(chunk);
      received += chunk.length;
      if (Number.isNaN(expected)) {
        if (received < PREFIX_BYTES) return undefined;
        const prefix = chunks.length === 1 ? chunk : Buffer.concat(chunks);
        if (prefix[0] !== 0) return 'compressed';
        const length = prefix.readUInt32BE(1);
        if (length > maxBytes) return 'oversized';
        expected = PREFIX_BYTES + length;
      }
      return received > expected ? 'second' : undefined;
    },
    end() {
      if (received !== expected) return 'cut';
      const [first] = chunks;
      return (chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks)).subarray(PREFIX_BYTES);
    },
    bytes: () => received,
  };
}

export function frame(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  framed[0] = 0;
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, PREFIX_BYTES);
  return framed;
}
