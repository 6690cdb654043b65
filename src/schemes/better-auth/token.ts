/**
 * What an access token says, of both versions: written when one is minted, read again before its signature is verified. The text
 * around it is `token-text.ts`; whose signature counts is `tokens.ts`.
 */
import * as v from 'valibot';
import { deny } from '../../core/decision.ts';
import { parseStrictJson } from '../../encoding/strict-json.ts';
import type { Attributes } from './attributes.ts';
import type { ClientKeys, VerifyingKey } from './imported-keys.ts';
import { digest, publicKey } from './fields.ts';
import { formatWireTime, parseWireTime } from './message.ts';

interface TokenBase {
  /** v1: identity; v0: accountId. */
  readonly subject: string;
  /** The access key, as written and imported. */
  readonly publicKey: string;
  readonly key: VerifyingKey;
  readonly issuedAtMs: number;
  readonly expiryMs: number;
  readonly attributes: Attributes;
}

export interface V1Token extends TokenBase {
  readonly version: 'v1';
  /** The access-signing key, by name. */
  readonly serverIdentity: string;
  readonly device: string;
  /** H of the only key that may refresh. */
  readonly rotationHash: string;
  readonly refreshExpiryMs: number;
}

export interface V0Token extends TokenBase {
  readonly version: 'v0';
}

export type Token = V1Token | V0Token;

const wireTime = () =>
  v.pipe(
    v.string(),
    v.transform((text) => parseWireTime(text) ?? Number.NaN),
    v.check((ms) => Number.isSafeInteger(ms)),
  );
const attributes = () =>
  v.custom<Attributes>((value) => typeof value === 'object' && value !== null && !Array.isArray(value));

const V1 = v.strictObject({
  serverIdentity: publicKey('serverIdentity'),
  device: digest('device'),
  identity: digest('identity'),
  publicKey: publicKey(),
  rotationHash: digest('rotationHash'),
  issuedAt: wireTime(),
  expiry: wireTime(),
  refreshExpiry: wireTime(),
  attributes: attributes(),
});

const V0 = v.strictObject({
  identification: v.strictObject({ accountId: digest('accountId') }),
  publicKey: publicKey(),
  issuedAt: wireTime(),
  expiry: wireTime(),
  attributes: attributes(),
});

/** Members in exactly this order: v1 clients print them again before they verify. */
export function formatV1Token(token: Omit<V1Token, 'version' | 'key' | 'subject'> & { identity: string }): string {
  return JSON.stringify({
    serverIdentity: token.serverIdentity,
    device: token.device,
    identity: token.identity,
    publicKey: token.publicKey,
    rotationHash: token.rotationHash,
    issuedAt: formatWireTime(token.issuedAtMs, 3),
    expiry: formatWireTime(token.expiryMs, 3),
    refreshExpiry: formatWireTime(token.refreshExpiryMs, 3),
    attributes: token.attributes,
  });
}

export function formatV0Token(token: Omit<V0Token, 'version' | 'key' | 'subject'> & { accountId: string }): string {
  return JSON.stringify({
    identification: { accountId: token.accountId },
    publicKey: token.publicKey,
    issuedAt: formatWireTime(token.issuedAtMs, 0),
    expiry: formatWireTime(token.expiryMs, 0),
    attributes: token.attributes,
  });
}

/** The two schemas are disjoint: a token is of one version or of none. @throws {Denial} `malformed` */
export function parseToken(content: Uint8Array, clientKeys: ClientKeys, maxJsonDepth: number): Token {
  const members = parseStrictJson(content, { maxDepth: maxJsonDepth });
  if ('serverIdentity' in members) {
    const parsed = v.safeParse(V1, members);
    if (!parsed.success) return deny('malformed', 'token: not the members of v1');
    const { identity, issuedAt, expiry, refreshExpiry, ...rest } = parsed.output;
    clientKeys.import(rest.serverIdentity, 'serverIdentity');
    return {
      ...rest,
      version: 'v1',
      subject: identity,
      key: clientKeys.import(rest.publicKey),
      issuedAtMs: issuedAt,
      expiryMs: expiry,
      refreshExpiryMs: refreshExpiry,
    };
  }
  const parsed = v.safeParse(V0, members);
  if (!parsed.success) return deny('malformed', 'token: not the members of v0');
  const { identification, issuedAt, expiry, ...rest } = parsed.output;
  return {
    ...rest,
    version: 'v0',
    subject: identification.accountId,
    key: clientKeys.import(rest.publicKey),
    issuedAtMs: issuedAt,
    expiryMs: expiry,
  };
}
