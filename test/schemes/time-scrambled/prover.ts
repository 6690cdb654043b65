/** Clients of time-scrambled in a world: the library's own signer, enrolled by an invitation, its chains in memory. */
import { setTimeout as sleep } from 'node:timers/promises';
import { lanesOf } from '../../../src/client/lanes.ts';
import type { Header } from '../../../src/core/decision.ts';
import type { IssuerConnection, Signer } from '../../../src/core/signer.ts';
import { sha256 } from '../../../src/crypto/digest.ts';
import { randomBytes } from '../../../src/crypto/random.ts';
import { toHex } from '../../../src/encoding/bytes.ts';
import { timeScrambled } from '../../../src/schemes/time-scrambled/client.ts';
import { enrolChains, keepEnrolment, makeChains } from '../../../src/schemes/time-scrambled/client-enrol.ts';
import {
  formatLane,
  parseLane,
  type ChainStorage,
  type Lane,
} from '../../../src/schemes/time-scrambled/client-state.ts';
import type { Profile } from '../../../src/schemes/time-scrambled/message.ts';
import { type RequestParts, withHeader } from '../../support/auth-request.ts';
import type { SchemeWorld } from '../../support/scheme-world.ts';

export const NAME = 'time-scrambled';

export interface Client {
  readonly id: string;
  readonly storage: ChainStorage;
  readonly signer: Signer;
}

export interface ClientWish {
  readonly user?: string;
  readonly id?: string;
  readonly length?: number;
  readonly lanes?: number;
  readonly tenant?: string;
}

export function memoryChains(texts: readonly string[] = []): ChainStorage {
  return lanesOf(texts, async () => {});
}

/** A client whose chains are enrolled, in the profile that the world's settings name first. */
export async function enrolled(world: SchemeWorld, wish: ClientWish = {}): Promise<Client> {
  const { user = 'alice', id = 'client-1', length = 2048, lanes = 1, tenant = 'default' } = wish;
  while (world.store.horizonMs() > world.clock.nowMs()) await sleep(50);
  const invited = { scheme: NAME, user, replace: false, ttlMs: 60_000 };
  const { token: invitation } = await world.resources.invitations.issue(tenant, invited);
  const storage = memoryChains();
  await enrolChains(issuerOf(world), storage, { id, length, lanes, invitation, tenant });
  return clientOf(id, storage);
}

export function clientOf(id: string, storage: ChainStorage): Client {
  return { id, storage, signer: timeScrambled(storage) };
}

/** One who was never enrolled, and has chains of his own nonetheless. */
export async function pretender(id: string, profile: Profile, windowMs: number): Promise<Client> {
  const storage = memoryChains();
  await makeChains(storage, { id, length: 2048, lanes: 1 });
  const timeKey = profile === 'keyed' ? toHex(randomBytes(32)) : null;
  await keepEnrolment(storage, { id, profile, timeKey, windowMs, maxSkip: 64 });
  return clientOf(id, storage);
}

/** Signs without waiting for an answer, as if it had been lost. */
export async function proven(world: SchemeWorld, client: Client, request: RequestParts): Promise<RequestParts> {
  const sent = await client.signer.sign(outgoing(request), issuerOf(world));
  await client.signer.unanswered?.(sent);
  return signedBy(request, sent);
}

export function signedBy(request: RequestParts, sent: readonly Header[]): RequestParts {
  const [[name, value] = ['', '']] = sent;
  return withHeader(request, name, value);
}

export function issuerOf(world: SchemeWorld): IssuerConnection {
  return {
    post: (tail, body) => world.post(tail, body),
    parameters: async () => world.scheme.discovery.parameters,
    nowMs: () => world.clock.nowMs(),
  };
}

export function outgoing(request: RequestParts) {
  const body = request.body.kind === 'complete' ? request.body.bytes : new Uint8Array(0);
  return { ...request, body, bodyDigest: sha256(body) };
}

export async function laneOf(client: Client, lane = 0): Promise<Lane> {
  return parseLane((await client.storage.read())[lane] ?? '');
}

/** The client as it was when its state was copied. */
export function restored(client: Client, texts: readonly string[]): Client {
  return clientOf(client.id, memoryChains(texts));
}

export async function change(client: Client, alter: (lane: Lane) => Lane): Promise<Client> {
  const texts = await client.storage.read();
  return restored(
    client,
    texts.map((text) => formatLane(alter(parseLane(text)))),
  );
}
