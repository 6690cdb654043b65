/** Users and their public keys as a scheme sees them. Storage, cache and registration are `users/`. */

export type SignatureAlg = 'Ed25519' | 'ES256';

/** Exactly these members; another one is `malformed`. Values are base64url of 32 bytes. */
export type PublicJwk =
  | { readonly kty: 'OKP'; readonly crv: 'Ed25519'; readonly x: string }
  | { readonly kty: 'EC'; readonly crv: 'P-256'; readonly x: string; readonly y: string };

export interface UserKey {
  readonly kid: string;
  readonly alg: SignatureAlg;
  readonly jwk: PublicJwk;
  /** Names of the schemes that may use the key. */
  readonly uses: readonly string[];
  readonly addedAt: number;
  /** Unix ms, exclusive: at this instant the key is expired. Null for none. */
  readonly expiresAt: number | null;
}

export type AttributeValue = string | number | boolean | readonly string[];

export interface UserRecord {
  /** Raised by every write. */
  readonly v: number;
  readonly user: string;
  /** Revocation epoch: what carries another one is revoked. */
  readonly epoch: number;
  /** Every valid proof is `revoked`. */
  readonly disabled: boolean;
  /** Tombstone: a later user of the same name must not inherit live sessions. */
  readonly deleted: boolean;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  readonly keys: readonly UserKey[];
  readonly updatedAt: number;
}

export interface Directory {
  /**
   * Null for unknown and deleted users. At most `directory.cacheTtl` old.
   *
   * @param options.storeFree the route lets a cached record, up to `directory.staleOnFault` old, serve while the store is down.
   * @throws {StoreFault}
   */
  user(tenant: string, id: string, options?: { readonly storeFree: boolean }): Promise<UserRecord | null>;
  /** As `user`, tombstones included: their `epoch` counts where accounts name themselves. @throws {StoreFault} */
  record(tenant: string, id: string, options?: { readonly storeFree: boolean }): Promise<UserRecord | null>;
  /** @param thumbprint RFC 7638 SHA-256, 43 characters base64url. A hint: the user record decides. @throws {StoreFault} */
  byThumbprint(tenant: string, thumbprint: string): Promise<{ readonly user: string; readonly kid: string } | null>;
  /** Verified against in place of an unknown credential's key, at equal cost; whatever comes out is refused. */
  readonly dummyKey: UserKey;
}

/** Verifies signatures; imports each key once. Implementation and policy: `crypto/signatures.ts`. */
export interface Signatures {
  /**
   * @param signature 64 bytes: Ed25519 (RFC 8032, pure), or P-256 `r || s` with SHA-256.
   * @returns false for a wrong signature and for a key that can't be imported. A promise with `process.verify: threadpool`, so callers await.
   */
  verify(
    key: { readonly alg: SignatureAlg; readonly jwk: PublicJwk },
    message: Uint8Array,
    signature: Uint8Array,
  ): boolean | Promise<boolean>;
}

const IDENTIFIER = /^[A-Za-z0-9._~@+:-]{1,128}$/;
const KEY_ID = /^[A-Za-z0-9._~-]{1,64}$/;

/** A user id: compared byte for byte; no slash, since it separates user and key id. */
export function isIdentifier(text: string): boolean {
  return IDENTIFIER.test(text);
}

export function isKeyId(text: string): boolean {
  return KEY_ID.test(text);
}
