/**
 * Recorded Checks: what real Envoys asked, in order, and what they were answered. `<version>.bin` holds the messages, each after its
 * length (4 bytes, big endian); `<version>.json` what a replay needs besides: keys made for the recording, times and verdicts.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { viewOf } from '../envoy-front/proxy-view.ts';
import type { PublicJwk } from '../../src/core/directory.ts';
import { root } from '../../scripts/tool.ts';

export interface Recording {
  readonly envoy: string;
  /** The public origin, as `host:port` over cleartext. */
  readonly authority: string;
  readonly maxRequestBytes: number;
  /** The ring of challenges, as its file has it. */
  readonly ring: unknown;
  /** Alice's key `k1`. */
  readonly publicJwk: PublicJwk;
  readonly checks: readonly RecordedCheck[];
}

export interface RecordedCheck {
  readonly what: string;
  readonly receivedAtMs: number;
  /** `allow alice`, `401 replayed`. */
  readonly verdict: string;
}

export const CORPUS = join(root, 'test', 'envoy', 'corpus');
export const RECORDED = ['1.36.4', '1.40.0'] as const;

export function readRecording(envoy: string): { recording: Recording; messages: Uint8Array[] } {
  const recording = JSON.parse(readFileSync(join(CORPUS, `${envoy}.json`), 'utf8')) as Recording;
  const bytes = readFileSync(join(CORPUS, `${envoy}.bin`));
  const messages: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 4 + bytes.readUInt32BE(at);
    messages.push(Uint8Array.from(bytes.subarray(at + 4, end)));
    at = end;
  }
  return { recording, messages };
}

/** An answer in the words of a recording. */
export function verdictIn(answer: Uint8Array): string {
  const { allowed, status, metadata, set } = viewOf(answer);
  return allowed ? `allow ${new Map(set).get('x-auth-subject')}` : `${status} ${metadata['code']}`;
}
