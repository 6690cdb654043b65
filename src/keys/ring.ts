/**
 * The key ring as text: one JSON document, read without mercy, since a key that is silently dropped locks everybody out and one
 * that is silently accepted signs for us. Which key is used when is `key-ring.ts`; changes to the ring are `ring-changes.ts`.
 */
import * as v from 'valibot';
import { KEY_USES, type KeyUse, type RingKey } from '../core/keyring.ts';
import type { SignatureAlg } from '../core/directory.ts';
import { Secret } from '../core/secret.ts';
import type { PrivateJwk } from '../crypto/signatures.ts';
import { thumbprint } from '../crypto/signatures.ts';
import { decodeBase64url, encodeBase64url } from '../encoding/base64url.ts';
import { utf8 } from '../encoding/bytes.ts';
import { algOf, parsePublicJwk } from '../encoding/jwk.ts';
import { parseStrictJson } from '../encoding/strict-json.ts';

export interface StoredKey extends RingKey {
  /** Unix ms. */
  readonly createdAtMs: number;
}

/** Says what is wrong with a ring and where. Never holds material. */
export class RingError extends Error {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = 'RingError';
  }
}

/** Algorithms of the uses that sign. All other uses are shared secrets. */
export const SIGNING_ALGS: Readonly<Partial<Record<KeyUse, readonly SignatureAlg[]>>> = {
  'token-signing': ['Ed25519', 'ES256'],
  'response-signing': ['ES256'],
  'access-signing': ['ES256'],
};

const SETUP_BYTES = 128;
const SECRET_BYTES = 32;

/** Length of a shared secret, bytes. */
export function secretBytes(use: KeyUse): number {
  return use === 'opaque-setup' ? SETUP_BYTES : SECRET_BYTES;
}

const time = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const RING = v.strictObject({
  version: v.literal(1),
  keys: v.array(
    v.strictObject({
      kid: v.string(),
      use: v.picklist(KEY_USES),
      alg: v.nullable(v.picklist(['Ed25519', 'ES256'])),
      state: v.picklist(['next', 'active', 'retired']),
      createdAt: time,
      activateAt: v.nullable(time),
      retireAt: v.nullable(time),
      material: v.union([v.string(), v.looseObject({})]),
    }),
  ),
});
type Entry = v.InferOutput<typeof RING>['keys'][number];

/** @throws {RingError} naming the first thing that is wrong, by its place in the file. */
export function parseRing(bytes: Uint8Array): readonly StoredKey[] {
  const parsed = v.safeParse(RING, parseJson(bytes), { abortEarly: true });
  if (!parsed.success) {
    // The issue's own message quotes what it found, which may be a secret.
    const [issue] = parsed.issues;
    throw new RingError(
      `key ring: ${v.getDotPath(issue) ?? 'top level'}: expected ${issue.expected ?? 'another value'}`,
    );
  }
  const keys = parsed.output.keys.map(toKey);
  requireSound(keys);
  return keys;
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return parseStrictJson(bytes);
  } catch (cause) {
    throw new RingError('key ring: not strict JSON', { cause });
  }
}

function toKey(entry: Entry, at: number): StoredKey {
  const { kid, use, alg, state } = entry;
  const wrong = (member: string, expected: string) =>
    new RingError(`key ring: keys.${at}.${member}: expected ${expected}`);
  const algs = SIGNING_ALGS[use];
  if (algs === undefined ? alg !== null : alg === null || !algs.includes(alg)) {
    throw wrong('alg', algs === undefined ? `null for ${use}` : `${algs.join(' or ')} for ${use}`);
  }
  // Without an end a retired key would be trusted for ever; a password record names its setup for as long as it lives.
  if (state === 'retired' && entry.retireAt === null && use !== 'opaque-setup')
    throw wrong('retireAt', 'a time, since the key is retired');
  const material = alg === null ? sharedSecret(entry) : signingKey(entry);
  if (material === undefined) {
    throw wrong(
      'material',
      alg === null ? `base64url of ${secretBytes(use)} bytes` : `a private JWK of ${alg}, kid being its thumbprint`,
    );
  }
  if (alg === null && decodeBase64url(kid)?.length !== 16) throw wrong('kid', 'base64url of 16 bytes');
  const { createdAt: createdAtMs, activateAt: activateAtMs, retireAt: retireAtMs } = entry;
  return { kid, use, alg, state, createdAtMs, activateAtMs, retireAtMs, material: new Secret(material) };
}

function sharedSecret({ use, material }: Entry): Uint8Array | undefined {
  const bytes = typeof material === 'string' ? decodeBase64url(material) : undefined;
  return bytes?.length === secretBytes(use) ? bytes : undefined;
}

/** The canonical text of the JWK: members in one order, none besides. */
function signingKey({ kid, alg, material }: Entry): Uint8Array | undefined {
  if (typeof material === 'string') return undefined;
  const { d, ...rest } = material;
  const publicJwk = parsePublicJwk(rest);
  if (publicJwk === undefined || typeof d !== 'string' || decodeBase64url(d)?.length !== 32) return undefined;
  if (algOf(publicJwk) !== alg || encodeBase64url(thumbprint(publicJwk)) !== kid) return undefined;
  return utf8(JSON.stringify({ ...publicJwk, d } satisfies PrivateJwk));
}

function requireSound(keys: readonly StoredKey[]): void {
  const kids = new Set<string>();
  const materials = new Set<string>();
  for (const key of keys) {
    // Signing keys are named by thumbprint: so no key serves two uses.
    if (kids.has(key.kid)) throw new RingError(`key ring: kid ${key.kid} occurs twice`);
    kids.add(key.kid);
    const material = encodeBase64url(key.material.reveal());
    if (materials.has(material)) throw new RingError(`key ring: the material of kid ${key.kid} occurs twice`);
    materials.add(material);
  }
  for (const use of new Set(keys.map((key) => key.use))) {
    const active = keys.filter((key) => key.use === use && key.state === 'active').length;
    if (active !== 1) throw new RingError(`key ring: ${use}: expected exactly one active key, got ${active}`);
  }
}

/** The file's text, with all material in clear: for `ring-file.ts` alone. */
export function formatRing(keys: readonly StoredKey[]): string {
  const entries = keys.map((key) => ({
    kid: key.kid,
    use: key.use,
    alg: key.alg,
    state: key.state,
    createdAt: key.createdAtMs,
    activateAt: key.activateAtMs,
    retireAt: key.retireAtMs,
    material: key.alg === null ? encodeBase64url(key.material.reveal()) : privateJwk(key),
  }));
  return `${JSON.stringify({ version: 1, keys: entries }, null, 1)}\n`;
}

/** @param key one that signs. */
export function privateJwk(key: RingKey): PrivateJwk {
  return JSON.parse(new TextDecoder().decode(key.material.reveal())) as PrivateJwk;
}
