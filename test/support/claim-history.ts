/**
 * A history of claims: proofs presented as schemes present them, and afterwards each once more. What may never be found is one that was
 * allowed twice.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { requireAfterHorizon } from '../../src/core/clock.ts';
import { Denial } from '../../src/core/decision.ts';
import { Fault } from '../../src/core/fault.ts';
import type { Store } from '../../src/core/store.ts';
import { storeKey } from '../../src/crypto/store-key.ts';

/** How long a proof may be used, and so how long its claim is kept. */
export const WINDOW_MS = 600_000;
let ids = 0;

export interface Proof {
  readonly id: number;
  readonly madeAtMs: number;
}

/** What the history is made by. */
export type Claims = Pick<Store, 'claim' | 'horizonMs'>;

/** As a scheme does: horizon first, claim last, once more after `horizon_moved`. */
async function present(
  store: Claims,
  proof: Proof,
  owner: string,
  nowMs: () => number,
): Promise<'allow' | 'deny' | 'fault'> {
  for (let attempt = 0; attempt < 2; attempt += 1) {
    try {
      requireAfterHorizon({ madeAtMs: proof.madeAtMs, leadMs: 0, nowMs: nowMs() }, store.horizonMs());
      const claim = await store.claim(storeKey('c', 'failover', String(proof.id)), owner, proof.madeAtMs + WINDOW_MS);
      return claim === 'taken' ? 'deny' : 'allow';
    } catch (thrown) {
      if (thrown instanceof Denial) return 'deny';
      if (!(thrown instanceof Fault)) throw thrown;
      if (thrown.reason !== 'horizon_moved') return 'fault';
    }
  }
  return 'fault';
}

/** Presents new proofs over several stores until told to stop. */
export function traffic(stores: readonly Claims[], nowMs: () => number = Date.now) {
  const over = new AbortController();
  const allowed: Proof[] = [];
  const one = async (store: Claims) => {
    while (!over.signal.aborted) {
      const proof = { id: (ids += 1), madeAtMs: nowMs() };
      if ((await present(store, proof, `first-${proof.id}`, nowMs)) === 'allow') allowed.push(proof);
      await sleep(1);
    }
  };
  const done = Promise.all(stores.flatMap((store) => [one(store), one(store), one(store)]));
  return {
    allowed,
    async stop() {
      over.abort();
      await done;
    },
  };
}

/** @returns how many are allowed again. */
export async function replay(
  stores: readonly Claims[],
  proofs: readonly Proof[],
  nowMs: () => number = Date.now,
): Promise<number> {
  let doubles = 0;
  for (let at = 0; at < proofs.length; at += 50) {
    const chunk = proofs.slice(at, at + 50);
    const verdicts = await Promise.all(
      chunk.map((proof, index) => present(stores[index % stores.length] as Claims, proof, `second-${proof.id}`, nowMs)),
    );
    doubles += verdicts.filter((verdict) => verdict === 'allow').length;
  }
  return doubles;
}
