/**
 * Makes challenges and recognises the `stateless` ones by their MAC. Their bytes are `message.ts`; remembering the `stored` ones
 * is `state.ts`.
 */
import type { RingKey } from '../../core/keyring.ts';
import type { Resources } from '../../core/scheme.ts';
import { constantTimeEqual } from '../../crypto/equal.ts';
import { hmacSha256 } from '../../crypto/mac.ts';
import { concat, lpConcat } from '../../encoding/bytes.ts';
import { MACED_BYTES, MAC_BYTES, writeChallenge } from './message.ts';

const LABEL = 'countersign/challenge/1';
const STORED_NONCE_BYTES = 32;
const STATELESS_NONCE_BYTES = 16;

export interface Challenges {
  /** 41 bytes, good for whoever has the key of a user; nothing is remembered here. */
  makeStored(nowMs: number): Uint8Array;
  /** 41 bytes, good for this user of this tenant. @throws {Fault} `key_source` without an active key. */
  makeStateless(tenant: string, user: string, nowMs: number): Uint8Array;
  /** Whether this user of this tenant was given this `stateless` challenge, by a key the ring still holds. Says nothing of its age. */
  isOurs(tenant: string, user: string, challenge: Uint8Array): boolean;
}

export function createChallenges(resources: Pick<Resources, 'keyring' | 'random'>): Challenges {
  const { keyring } = resources;
  return {
    makeStored: (nowMs) => writeChallenge('stored', nowMs, resources.random(STORED_NONCE_BYTES)),
    makeStateless(tenant, user, nowMs) {
      const unsigned = writeChallenge('stateless', nowMs, resources.random(STATELESS_NONCE_BYTES)).subarray(
        0,
        MACED_BYTES,
      );
      return concat([unsigned, macOf(keyring.active('challenge-mac'), tenant, user, unsigned)]);
    },
    isOurs(tenant, user, challenge) {
      const unsigned = challenge.subarray(0, MACED_BYTES);
      const mac = challenge.subarray(MACED_BYTES);
      return keyring.usable('challenge-mac').some((key) => constantTimeEqual(macOf(key, tenant, user, unsigned), mac));
    },
  };
}

/** Another tenant than `default` is one more part, as in store keys: a challenge of one tenant does not exist in another. */
function macOf(key: RingKey, tenant: string, user: string, unsigned: Uint8Array): Uint8Array {
  const message = tenant === 'default' ? lpConcat(LABEL, user, unsigned) : lpConcat(LABEL, tenant, user, unsigned);
  return hmacSha256(key.material, message).subarray(0, MAC_BYTES);
}
