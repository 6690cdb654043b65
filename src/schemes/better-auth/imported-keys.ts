/** Keys that arrive as CESR words, imported once: a point is checked to lie on its curve before anything is verified with it. */
import { LRUCache } from 'lru-cache';
import { deny } from '../../core/decision.ts';
import type { PublicJwk, SignatureAlg } from '../../core/directory.ts';
import { generateKeyPair } from '../../crypto/signatures.ts';
import { importPoint } from '../../crypto/p256-point.ts';
import { decode } from '../../encoding/cesr.ts';

export interface VerifyingKey {
  readonly alg: SignatureAlg;
  readonly jwk: PublicJwk;
}

export interface ClientKeys {
  /** @param word of code `1AAI`. @throws {Denial} `malformed`: no such word, or no point of P-256. */
  import(word: string, role?: string): VerifyingKey;
  /** Stands in where there is no key: verified against at equal cost, and refused whatever comes out. */
  readonly dummy: VerifyingKey;
  size(): number;
}

const MAX_KEYS = 10_000;

export function createClientKeys(): ClientKeys {
  const imported = new LRUCache<string, VerifyingKey>({ max: MAX_KEYS });
  return {
    import(word, role = 'publicKey') {
      const known = imported.get(word);
      if (known !== undefined) return known;
      const jwk = importPoint(decode(word, ['1AAI'], role).raw) ?? deny('malformed', `${role}: no point of P-256`);
      const key: VerifyingKey = { alg: 'ES256', jwk };
      imported.set(word, key);
      return key;
    },
    dummy: { alg: 'ES256', jwk: generateKeyPair('ES256').publicJwk },
    size: () => imported.size,
  };
}
