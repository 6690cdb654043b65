/** grpc.health.v1 for the check listener: the two methods' messages and who is told of a change. */
import { Buffer } from 'node:buffer';
import type { sendUnaryData, ServerUnaryCall, ServerWritableStream } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';

const NAMES: ReadonlySet<string> = new Set(['', 'envoy.service.auth.v3.Authorization']);

const SERVING = 1;
const NOT_SERVING = 2;
const SERVICE_UNKNOWN = 3;

/** A watcher each proxy thread may have; more are none of ours. */
const MAX_WATCHERS = 1024;

type Watch = ServerWritableStream<Buffer, Buffer>;

export interface Health {
  setServing(isServing: boolean): void;
  /** Ends all watches. */
  close(): void;
  readonly handlers: {
    Check(call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>): void;
    Watch(call: Watch): void;
  };
}

export function createHealth(): Health {
  let isServing = false;
  const watchers = new Set<Watch>();
  const present = () => answer(isServing ? SERVING : NOT_SERVING);

  return {
    setServing(next) {
      if (next === isServing) return;
      isServing = next;
      for (const watcher of watchers) watcher.write(present());
    },
    close() {
      for (const watcher of watchers) watcher.end();
      watchers.clear();
    },
    handlers: {
      Check(call, callback) {
        const service = serviceName(call.request);
        if (service === undefined || !NAMES.has(service)) callback({ code: status.NOT_FOUND, details: 'unknown service' });
        else callback(null, present());
      },
      Watch(call) {
        const service = serviceName(call.request);
        if (watchers.size >= MAX_WATCHERS) {
          call.emit('error', { code: status.RESOURCE_EXHAUSTED, details: 'too many watches' });
          return;
        }
        const isKnown = service !== undefined && NAMES.has(service);
        call.write(isKnown ? present() : answer(SERVICE_UNKNOWN));
        if (!isKnown) return; // It may become known, says the protocol; here it never does, so it is left waiting.
        watchers.add(call);
        const forget = () => watchers.delete(call);
        call.on('cancelled', forget).on('close', forget).on('error', forget);
      },
    },
  };
}

/** `HealthCheckRequest.service`, field 1; undefined for anything that is not one short name. */
function serviceName(message: Buffer): string | undefined {
  if (message.length === 0) return '';
  const length = message[1] ?? 0x80;
  return message[0] === 0x0a && length < 0x80 && message.length === 2 + length ? message.toString('utf8', 2) : undefined;
}

/** `HealthCheckResponse.status`, field 1. */
function answer(code: number): Buffer {
  return Buffer.from([0x08, code]);
}
