/** The benchmark's own load: Checks over HTTP/2 in gRPC framing, closed loop for CPU per Check, open loop for latency. */
import { Buffer } from 'node:buffer';
import { type ClientHttp2Session, connect } from 'node:http2';
import { connect as connectSocket } from 'node:net';

const PATH = '/envoy.service.auth.v3.Authorization/Check';

export interface Caller {
  /** @returns the answer's message. @throws when the call ends without one. */
  check(message: Uint8Array): Promise<Uint8Array>;
  close(): void;
}

/** @param address `host:port` or `unix:/path`. */
export function openCaller(address: string): Caller {
  const session: ClientHttp2Session = connect('http://check', {
    createConnection: () =>
      connectSocket(address.startsWith('unix:') ? { path: address.slice(5) } : hostAndPort(address)),
  });
  session.on('error', () => undefined); // Each call says so itself.
  const headers = { ':method': 'POST', ':path': PATH, 'content-type': 'application/grpc', te: 'trailers' };
  return {
    check: (message) =>
      new Promise((resolve, reject) => {
        const stream = session.request(headers);
        const chunks: Buffer[] = [];
        stream.on('data', (chunk: Buffer) => chunks.push(chunk));
        stream.on('error', reject);
        stream.on('end', () => {
          const whole = Buffer.concat(chunks);
          if (whole.length < 5) reject(new Error('a call without an answer'));
          else resolve(whole.subarray(5));
        });
        const framed = Buffer.alloc(5 + message.length);
        framed.writeUInt32BE(message.length, 1);
        framed.set(message, 5);
        stream.end(framed);
      }),
    close: () => session.close(),
  };
}

function hostAndPort(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(':');
  return { host: address.slice(0, at), port: Number(address.slice(at + 1)) };
}

/** An answer that the proxy reads as an allow. */
export function isAllow(answer: Uint8Array): boolean {
  return answer[0] === 0x0a && answer[1] === 0;
}

/** Sends all, so many at a time. @returns how many were allowed. */
export async function closedLoop(caller: Caller, messages: readonly Uint8Array[], inFlight: number): Promise<number> {
  let next = 0;
  let allowed = 0;
  const worker = async () => {
    for (;;) {
      const message = messages[next];
      next += 1;
      if (message === undefined) return;
      if (isAllow(await caller.check(message))) allowed += 1;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  return allowed;
}

/**
 * Sends at a fixed rate whatever the answers do; a latency counts from when its Check was due, so that a slow server can't hide by
 * slowing the load.
 *
 * @returns latencies in ms, sorted.
 */
export async function openLoop(caller: Caller, messages: readonly Uint8Array[], perSecond: number): Promise<number[]> {
  const startMs = performance.now();
  const latencies: number[] = [];
  const pending: Promise<void>[] = [];
  for (const [index, message] of messages.entries()) {
    const dueMs = startMs + (index * 1000) / perSecond;
    const waitMs = dueMs - performance.now();
    if (waitMs > 1) await new Promise((done) => setTimeout(done, waitMs));
    // Timers may be early by a little; that is no merit of the server's.
    const fromMs = Math.min(dueMs, performance.now());
    pending.push(caller.check(message).then(() => void latencies.push(performance.now() - fromMs)));
  }
  await Promise.all(pending);
  return latencies.toSorted((a, b) => a - b);
}

export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
