/** What a judgement becomes: the identity with the head for the client to compare, or the refusal that shows it where the chain stands. */
import { Denial, deny, type Identity } from '../../core/decision.ts';
import type { UserRecord } from '../../core/directory.ts';
import type { AuthRequest } from '../../core/request.ts';
import type { Resources } from '../../core/scheme.ts';
import {
  acceptedBytes,
  formatAuthenticationInfo,
  resyncBytes,
  type Profile,
  type Proof,
  type Resync,
  xor,
} from './message.ts';
import { parityOf, windowOf } from './message-window.ts';
import type { ChainRecord } from './record.ts';
import type { Scrambling } from './scrambling.ts';
import type { Settings } from './settings.ts';
import type { HeldChain } from './state.ts';

const CONSUMED = ['authorization'];

/** Of a refusal that shows the head: how the client stands to it. A closed set: it is a metric label. */
export const RESYNCS = ['behind', 'ahead', 'replay', 'unknown'] as const;

/** What was judged, as far as answers need it. */
interface Judged {
  readonly resources: Resources;
  readonly settings: Settings;
  readonly request: AuthRequest;
  readonly proof: Proof;
  readonly profile: Profile;
  readonly scrambling: Scrambling;
}

/**
 * @param record as it is now.
 * @param retried it was accepted before, and this is the proxy's own retry.
 * @param renewed whether a new chain is in force, or was dropped; undefined when none was to be.
 */
export function identityOf(
  { settings, request, proof, profile, scrambling }: Judged,
  user: UserRecord,
  record: ChainRecord,
  retried: boolean,
  renewed: boolean | undefined,
): Identity {
  const { y1, parity } = scrambled(scrambling, record.head, request.receivedAtMs, settings.windowMs);
  const a = scrambling.mac(acceptedBytes(proof.id, proof.x1, y1));
  return {
    subject: record.user,
    keyId: record.id,
    attributes: { ...user.attributes, auth: { profile, ...(record.isFirstUse && { first_use: true }) } },
    consumed: CONSUMED,
    // Only the MAC covers the request.
    ...(profile === 'seed' && ({ coversBody: false } as const)),
    replyHeaders: [['authentication-info', formatAuthenticationInfo({ y1, parity, a }, renewed)]],
    retried,
  };
}

/**
 * Refuses and shows the head, which is a token that was used already. In `keyed` only after the MAC: strangers see none.
 *
 * @throws {Denial} `rate_limited` instead when the bucket is empty.
 */
export function refuseOutOfStep(
  { resources, settings, request, proof, profile, scrambling }: Judged,
  chain: HeldChain,
  code: 'replayed' | 'out_of_sync',
  detail: string,
): never {
  resources.limits.charge([{ bucket: 'resync', limit: settings.resyncLimit, key: [request.source, proof.chain] }]);
  const outcome = code === 'replayed' ? 'replay' : standing(chain, proof, settings.maxSkip);
  resources.count('time_scrambled_resyncs_total', { profile, outcome });
  const timeMs = request.receivedAtMs;
  const { y1, parity } = scrambled(scrambling, chain.record.head, timeMs, settings.windowMs);
  const a = scrambling.mac(resyncBytes(proof.id, proof.x1, y1, timeMs));
  const resync: Resync = { y1, parity, a, timeMs };
  return deny(code, detail, { hint: resync });
}

function standing({ record, isFake }: HeldChain, { index }: Proof, maxSkip: number): (typeof RESYNCS)[number] {
  if (isFake || record.index === null || index === null) return 'unknown';
  if (index >= record.index) return 'behind';
  return record.index - index > maxSkip ? 'ahead' : 'unknown';
}

function scrambled(scrambling: Scrambling, head: Uint8Array, nowMs: number, windowMs: number) {
  const window = windowOf(nowMs, windowMs);
  return { y1: xor(head, scrambling.pad('y1', window)), parity: parityOf(window) };
}

/** Every 401 of this scheme tells the time, since a `keyed` client outside the window can't be told more than that its MAC is wrong. */
export function withServerTime(denial: Denial, nowMs: number): Denial {
  const { code, detail, options, form } = denial;
  // `stale` and `not_yet_valid` carry it anyway.
  if (form.status !== 401 || code === 'stale' || code === 'not_yet_valid') return denial;
  const replyHeaders = [...(options.replyHeaders ?? []), ['auth-server-time', String(nowMs)] as const];
  return new Denial(code, detail, { ...options, replyHeaders });
}
