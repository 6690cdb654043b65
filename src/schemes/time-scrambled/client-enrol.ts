/** Enrols a client's chains: makes their secrets, keeps them, and tells the server the anchors. No secret leaves the client. */
import { CountersignError } from '../../core/client-error.ts';
import type { IssuerConnection } from '../../core/signer.ts';
import { fromHex, toHex } from '../../encoding/bytes.ts';
import { loadSha512 } from '../../encoding/sha512.ts';
import { makeChain, tokenOf } from './client-chain.ts';
import { hkdfSha512 } from './client-scrambling.ts';
import { formatLane, parseLane, type ChainStorage, type Lane } from './client-state.ts';
import { laneInfo, LONGEST_CHAIN, MAX_LANES, PROFILES, TIME_KEY_BYTES, TOKEN_BYTES, type Profile } from './message.ts';

const DEFAULT_LENGTH = 4096;
const DEFAULT_LANES = 4;
/** Until the server has told its own. */
const UNTOLD = { windowMs: 30_000, maxSkip: 64 };

export interface ChainWish {
  /** Names the client among all clients; without lane. */
  readonly id: string;
  /** Requests before a chain is renewed. Default 4096. */
  readonly length?: number;
  /** Requests in flight at once. Default 4. */
  readonly lanes?: number;
}

/** What is told to the server. */
export interface Anchors {
  readonly id: string;
  readonly n: number;
  /** Of lanes 0, 1, ...; hex. */
  readonly anchors: readonly string[];
}

/**
 * Makes chains and keeps them, not enrolled yet. Those that wait for their enrolment already are kept as they are, so that an enrolment
 * whose answer was lost can be tried again.
 *
 * @param wish.replace whether chains that are in use give way.
 * @throws {CountersignError} `key_unusable` when the storage holds chains in use.
 */
export async function makeChains(
  storage: ChainStorage,
  wish: ChainWish & { readonly replace?: boolean },
): Promise<Anchors> {
  const { id, length = DEFAULT_LENGTH, lanes = DEFAULT_LANES, replace = false } = wish;
  if (!Number.isInteger(lanes) || lanes < 1 || lanes > MAX_LANES)
    throw new CountersignError('key_unusable', `expected 1 to ${MAX_LANES} lanes`);
  if (!Number.isInteger(length) || length < 2 || length > LONGEST_CHAIN)
    throw new CountersignError('key_unusable', `expected chains of 2 to ${LONGEST_CHAIN} links`);
  const kept = (await storage.read()).map(parseLane);
  const isWaiting = kept.length > 0 && kept.every((lane) => !lane.isEnrolled);
  if (isWaiting && kept[0]?.id === id && kept[0].chain.length === length && kept.length === lanes)
    return anchorsOf(kept);
  if (kept.length > 0 && !isWaiting && !replace)
    throw new CountersignError(
      'key_unusable',
      'there are chains in use already: they give way to new ones only when told so',
    );
  const sha512 = await loadSha512();
  const secret = crypto.getRandomValues(new Uint8Array(TOKEN_BYTES));
  const made: Lane[] = [];
  for (let lane = 0; lane < lanes; lane += 1) {
    const laneSecret = lane === 0 ? secret : await hkdfSha512(secret, laneInfo(lane), TOKEN_BYTES);
    const { chain } = makeChain(laneSecret, length, sha512);
    const laneId = lane === 0 ? id : `${id}/${lane}`;
    const empty = { timeKey: null, ...UNTOLD, isEnrolled: false, renewal: null, old: null, resyncs: 0 };
    made.push({ id: laneId, profile: 'keyed', chain, ...empty });
  }
  await storage.replace(made.map(formatLane));
  return anchorsOf(made);
}

/**
 * Completes an enrolment with what the server answered.
 *
 * @throws {CountersignError} `key_unusable` when the chains are in use already: the answer to an earlier enrolment would shut them out.
 * @throws {CountersignError} `answer_invalid` for an answer that is none, or about other chains.
 */
export async function keepEnrolment(storage: ChainStorage, answer: Readonly<Record<string, unknown>>): Promise<void> {
  const lanes = (await storage.read()).map(parseLane);
  const { id, profile: told, timeKey: key, windowMs, maxSkip } = answer;
  const profile: Profile = PROFILES.find((one) => one === told) ?? invalid();
  const timeKey =
    profile === 'seed'
      ? null
      : (typeof key === 'string' && key.length === 2 * TIME_KEY_BYTES && fromHex(key)) || invalid();
  if (lanes.some(({ isEnrolled }) => isEnrolled))
    throw new CountersignError('key_unusable', 'there is no chain here that waits for its enrolment');
  if (id !== lanes[0]?.id || typeof windowMs !== 'number' || typeof maxSkip !== 'number') invalid();
  const texts = lanes.map((lane) => formatLane({ ...lane, profile, timeKey, windowMs, maxSkip, isEnrolled: true }));
  texts.forEach(parseLane);
  await storage.replace(texts);
}

async function anchorsOf(lanes: readonly Lane[]): Promise<Anchors> {
  const sha512 = await loadSha512();
  const anchors = lanes.map(({ chain }) => toHex(tokenOf(chain, chain.length, sha512)));
  return { id: lanes[0]?.id ?? '', n: lanes[0]?.chain.length ?? 0, anchors };
}

function invalid(): never {
  throw new CountersignError('answer_invalid', 'the server answered without the members of an enrolment');
}

export interface ChainEnrolment extends ChainWish {
  /** 43 characters; works once. */
  readonly invitation: string;
  /** Name space of the deployment's user; absent for the default one. */
  readonly tenant?: string;
  /** Whether chains that are in use here give way; the invitation must allow it at the server. */
  readonly replace?: boolean;
}

/**
 * Enrols by an invitation. Chains in use that were to give way are back when the server refuses.
 *
 * @throws {CountersignError} `signature_invalid` for an invitation spent, expired or made for another scheme; `conflict` for an id that is taken.
 */
export async function enrolChains(
  issuer: IssuerConnection,
  storage: ChainStorage,
  { invitation, tenant, ...wish }: ChainEnrolment,
): Promise<void> {
  const before = await storage.read();
  const order = { invitation, ...(await makeChains(storage, wish)), ...(tenant !== undefined && { tenant }) };
  const answer = await issuer.post('enrol', order).catch(async (thrown: unknown) => {
    if (isRefusal(thrown) && before.some((text) => parseLane(text).isEnrolled)) await storage.replace(before);
    throw thrown;
  });
  await keepEnrolment(storage, answer);
}

/** Nothing has changed at the server. After any other failure it may have. */
function isRefusal(thrown: unknown): boolean {
  return thrown instanceof CountersignError && thrown.status !== undefined && thrown.status < 500;
}
