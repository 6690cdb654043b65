/**
 * The signer of time-scrambled for the client library: shows the next token of a lane with each request, bound to it in `keyed`, renews
 * chains, and finds back into step. What is shown when is `client-steps.ts`; what is kept, `client-state.ts`; enrolment is
 * `client-enrol.ts`.
 */
import { CountersignError } from '../../core/client-error.ts';
import type { Header } from '../../core/decision.ts';
import type { HeaderParameters, IssuerConnection, OutgoingRequest, Signer } from '../../core/signer.ts';
import { fromHex } from '../../encoding/bytes.ts';
import { loadSha512, type Sha512 } from '../../encoding/sha512.ts';
import { isEqual } from './client-chain.ts';
import { hmacSha512, keyedScrambling, seedScrambling, type ClientScrambling } from './client-scrambling.ts';
import { formatLane, parseLane, type ChainStorage, type HeldLane, type Lane } from './client-state.ts';
import { afterAllow, nextStep, resynchronised, type Step, type Tools } from './client-steps.ts';
import {
  acceptedBytes,
  AUTH_SCHEME,
  boundBytes,
  commitmentBytes,
  formatProof,
  resyncBytes,
  SCHEME,
  TOKEN_BYTES,
  xor,
} from './message.ts';
import { parityOf, windowOf } from './message-window.ts';

/** A request on its way: its lane is nobody else's until the answer is there. */
interface Flight {
  readonly held: HeldLane;
  readonly step: Step;
  readonly scrambling: ClientScrambling;
  readonly x1: Uint8Array;
  /** In which the token was scrambled. */
  readonly window: number;
  readonly issuer: IssuerConnection;
}

/** @param storage where the chain was enrolled; several signers on one storage share its lanes. */
export function timeScrambled(storage: ChainStorage): Signer {
  const flights = new WeakMap<readonly Header[], Flight>();

  /** Ends a flight: whatever becomes of the lane, the next request may have it. */
  async function land<T>(sent: readonly Header[], use: (flight: Flight) => Promise<T>): Promise<T | undefined> {
    const flight = flights.get(sent);
    if (flight === undefined) return undefined;
    flights.delete(sent);
    try {
      return await use(flight);
    } finally {
      flight.held.release();
    }
  }

  return {
    scheme: SCHEME,
    authScheme: AUTH_SCHEME,

    async sign(request, issuer) {
      const held = await storage.take(issuer.signal);
      try {
        const lane = parseLane(held.text);
        const tools = await toolsOf();
        const step = nextStep(lane, tools);
        // Kept before it is shown: a crash in between loses a token, never shows one twice.
        await held.write(formatLane(step.lane));
        const scrambling = await scramblingOf(lane, tools.sha512);
        const { value, x1, window } = await proofOf(step, scrambling, request, issuer.nowMs());
        const sent: readonly Header[] = [['authorization', value]];
        flights.set(sent, { held, step, scrambling, x1, window, issuer });
        return sent;
      } catch (thrown) {
        held.release();
        throw thrown;
      }
    },

    async accepted(info, sent) {
      await land(sent, async ({ held, step, scrambling, x1, window, issuer }) => {
        const y1 = token(info, 'y1');
        const isOurs = y1 !== undefined && (await isAuthentic(scrambling, info, acceptedBytes(step.lane.id, x1, y1)));
        // Judged in a window next to ours, however long the answer took.
        const heads = isOurs ? await headsIn(info, y1, scrambling, [window]) : [];
        const lane = afterAllow(step, heads, issuer.nowMs(), await toolsOf());
        // What could not be kept is found out again; the request has passed, and its answer is the caller's.
        await held.write(formatLane(lane)).catch(() => {});
      });
    },

    async refused({ code, parameters, serverTimeMs }, sent) {
      const mayPass = await land(sent, async (flight) => {
        if (code === 'out_of_sync' || code === 'replayed') return findStep(flight, parameters);
        return (code === 'signature_invalid' || code === 'stale') && showAgain(flight, serverTimeMs);
      });
      return mayPass ?? false;
    },

    async unanswered(sent) {
      await land(sent, async () => {});
    },
  };
}

async function toolsOf(): Promise<Tools> {
  return { sha512: await loadSha512(), random: (bytes) => crypto.getRandomValues(new Uint8Array(bytes)) };
}

async function scramblingOf({ id, profile, timeKey }: Lane, sha512: Sha512): Promise<ClientScrambling> {
  if (profile === 'seed') return seedScrambling(sha512);
  if (timeKey === null) throw new CountersignError('key_unusable', 'the chain has no time key');
  return keyedScrambling(timeKey, id);
}

async function proofOf(
  { lane: { id, windowMs }, order, index, token: shown, newChain, committing }: Step,
  { pad, mac }: ClientScrambling,
  request: OutgoingRequest,
  nowMs: number,
): Promise<{ value: string; x1: Uint8Array; window: number }> {
  const window = windowOf(nowMs, windowMs);
  const x1 = xor(shown, await pad('x1', window));
  const carried = newChain && {
    x2: xor(newChain.anchor, await pad('x2', window)),
    length: newChain.length,
    commitment: committing && (await hmacSha512(committing, commitmentBytes(id, newChain.anchor, newChain.length))),
  };
  const unbound = { id, order, parity: parityOf(window), index, x1, newChain: carried };
  const binding = mac && (await mac(boundBytes(unbound, window, request, request.bodyDigest)));
  return { value: formatProof({ ...unbound, binding }), x1, window };
}

/** The server shows where the chain stands. @returns whether the next proof may pass. */
async function findStep(
  { held, step, scrambling, x1, window, issuer }: Flight,
  shown: HeaderParameters,
): Promise<boolean> {
  const y1 = token(shown, 'y1');
  const timeMs = shown.get('t');
  if (y1 === undefined) return false;
  const message = resyncBytes(step.lane.id, x1, y1, typeof timeMs === 'number' ? timeMs : 0);
  if (!(await isAuthentic(scrambling, shown, message))) return false;
  // Where our clock was wrong, `seed` is answered in a window far from ours: the library knows the server's time by now.
  const heads = await headsIn(shown, y1, scrambling, [window, windowOf(issuer.nowMs(), step.lane.windowMs)]);
  const { lane, isFound } = resynchronised(step.lane, heads, issuer.nowMs(), await toolsOf());
  await held.write(formatLane(lane));
  return isFound;
}

/**
 * Outside the window the server can only say that the MAC is wrong, but it tells the time: with that the same token is shown again. So
 * it is when the window passes, but began before the store lost its memory.
 * The library has corrected its clock already, and repeats once.
 */
async function showAgain(
  { held, step, window, scrambling }: Flight,
  serverTimeMs: number | undefined,
): Promise<boolean> {
  if (scrambling.mac === null || serverTimeMs === undefined) return false;
  if (windowOf(serverTimeMs, step.lane.windowMs) === window) return false;
  // With the new chain that it may have carried: who has held the first request back can still deliver it.
  const before = parseLane(held.text);
  await held.write(formatLane({ ...before, renewal: before.renewal ?? step.lane.renewal }));
  return true;
}

async function isAuthentic({ mac }: ClientScrambling, told: HeaderParameters, message: Uint8Array): Promise<boolean> {
  if (mac === null) return true;
  const a = told.get('a');
  const given = typeof a === 'string' ? fromHex(a) : undefined;
  return given !== undefined && isEqual(given, await mac(message));
}

/** The head, for each window in which the server may have shown it: those given, or the ones next to them by their parity. */
async function headsIn(told: HeaderParameters, y1: Uint8Array, { pad }: ClientScrambling, windows: readonly number[]) {
  const guesses = windows.flatMap((one) => (parityOf(one) === told.get('m') ? [one] : [one - 1, one + 1]));
  return Promise.all(guesses.filter((one) => one >= 0).map(async (one) => xor(y1, await pad('y1', one))));
}

function token(told: HeaderParameters, name: string): Uint8Array | undefined {
  const value = told.get(name);
  return typeof value === 'string' && value.length === 2 * TOKEN_BYTES ? fromHex(value) : undefined;
}
