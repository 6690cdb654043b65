/** The key ring as its users see it. The file, states and rotation are `keys/`. */
import type { Secret } from './secret.ts';
import type { SignatureAlg } from './directory.ts';

export const KEY_USES = [
  'challenge-mac',
  'wrap',
  'pepper',
  'opaque-setup',
  'token-signing',
  'response-signing',
  'access-signing',
] as const;
export type KeyUse = (typeof KEY_USES)[number];
export type KeyState = 'next' | 'active' | 'retired';

export interface RingKey {
  readonly kid: string;
  readonly use: KeyUse;
  /** Null for shared secrets. */
  readonly alg: SignatureAlg | null;
  readonly state: KeyState;
  /** Unix ms. */
  readonly activateAtMs: number | null;
  readonly retireAtMs: number | null;
  /** The bytes of a shared secret; of a signing key its private JWK as UTF-8 JSON. */
  readonly material: Secret<Uint8Array>;
}

export interface Keyring {
  /** The key that makes new things. @throws {Fault} `key_source` when the ring has none of this use. */
  active(use: KeyUse): RingKey;
  /** Keys that may verify or open: `active` first, then `next`, then `retired` before their `retireAt`. */
  usable(use: KeyUse): readonly RingKey[];
}
