/** Rings with one fresh active key per use. */
import { randomBytes } from '../../src/crypto/random.ts';
import type { KeyUse } from '../../src/core/keyring.ts';
import { createSetup } from '../../src/schemes/opaque-pop/setup.ts';
import { addKey } from '../../src/keys/ring-changes.ts';
import type { StoredKey } from '../../src/keys/ring.ts';

const CREATED_AT_MS = 1_700_000_000_000;

const SETUP = await createSetup();

/** Signing keys are Ed25519 where the use takes it; the setup is the same in every ring of one test file. */
export function ringWith(...uses: readonly KeyUse[]): readonly StoredKey[] {
  return uses.reduce<readonly StoredKey[]>((ring, use) => {
    const order = { use, nowMs: CREATED_AT_MS, random: randomBytes };
    const alg = use === 'token-signing' ? { alg: 'Ed25519' as const } : {};
    const setup = use === 'opaque-setup' ? { setup: SETUP } : {};
    return addKey(ring, { ...order, ...alg, ...setup }).ring;
  }, []);
}
