/** How a call of gRPC ended, read off its stream, for those who count calls and not verdicts. */
import { constants, type ServerHttp2Stream } from 'node:http2';
import type { Clock } from '../core/clock.ts';
import type { GrpcCode } from '../telemetry/metrics.ts';

const CODES: Readonly<Record<string, GrpcCode>> = {
  '0': 'OK',
  '5': 'NotFound',
  '8': 'ResourceExhausted',
  '12': 'Unimplemented',
  '13': 'Internal',
};

/** @param tell called once, when the stream has closed. Without a status that was sent the proxy gave the call up. */
export function whenCallEnds(
  stream: ServerHttp2Stream,
  clock: Pick<Clock, 'monotonicMs'>,
  tell: (code: GrpcCode, ms: number) => void,
): void {
  const startMs = clock.monotonicMs();
  stream.once('close', () => {
    const status = stream.sentTrailers?.['grpc-status'] ?? stream.sentHeaders['grpc-status'];
    // A caller that hangs up within its message may find a status on its way; nobody reads it.
    const code = stream.rstCode === constants.NGHTTP2_CANCEL ? undefined : CODES[String(status)];
    tell(code ?? 'Canceled', clock.monotonicMs() - startMs);
  });
}
