/**
 * Access tokens as the rest of the folder uses them: minted, decoded, verified. The signature of a token is verified once, as long as
 * it is remembered, and so is a text of it inflated once; its times, its signing key and whether it was revoked are judged every time.
 */
import { LRUCache } from 'lru-cache';
import { within, type Clock } from '../../core/clock.ts';
import type { Signatures } from '../../core/directory.ts';
import { sha256Base64url } from '../../crypto/digest.ts';
import { decodeBase64url } from '../../encoding/base64url.ts';
import type { ClientKeys } from './imported-keys.ts';
import type { ServerKeys } from './server-keys.ts';
import type { Settings } from './settings.ts';
import { packToken, unpackToken } from './token-text.ts';
import { formatV0Token, formatV1Token, parseToken, type Token, type V0Token, type V1Token } from './token.ts';

export interface DecodedToken {
  readonly content: Token;
  /** 64 bytes. */
  readonly signature: Uint8Array;
  /** What the signature is over. */
  readonly signedBytes: Uint8Array;
  /** SHA-256 of that, base64url: what names a token, since its text could be written in several ways. */
  readonly digest: string;
  /** SHA-256 of the text, base64url. */
  readonly textDigest: string;
}

/** `unknown`: by no key of ours. The client is told the same as of `forged`, and it costs the same. */
export type TokenVerdict = 'signed' | 'forged' | 'unknown';

/** v0 clients get the content and its signature, and pack them themselves. */
export interface MintedV0 {
  /** What is signed. */
  readonly json: string;
  /** The same as members, which print as `json`. */
  readonly content: object;
  /** CESR word `0I`. */
  readonly signature: string;
}

export interface Tokens {
  mintV1(token: Omit<V1Token, 'version' | 'key' | 'subject' | 'serverIdentity'> & { identity: string }): string;
  mintV0(token: Omit<V0Token, 'version' | 'key' | 'subject'> & { accountId: string }): MintedV0;
  /** All that can be said of the text before any signature. @throws {Denial} `malformed` */
  decode(text: string): DecodedToken;
  /** Whether a key that is trusted now has signed it, for our audience. One signature verification, unless it is remembered. */
  verify(token: DecodedToken): Promise<TokenVerdict>;
  /** Tokens remembered, or texts of them where those are more. */
  size(): number;
}

export interface TokenParts {
  readonly settings: Pick<
    Settings,
    'audience' | 'maxTokenChars' | 'maxTokenBytes' | 'maxJsonDepth' | 'tokenCacheEntries'
  >;
  readonly serverKeys: ServerKeys;
  readonly clientKeys: ClientKeys;
  readonly signatures: Signatures;
  readonly clock: Clock;
}

const LINE_FEED = 0x0a;

export function createTokens({ settings, serverKeys, clientKeys, signatures, clock }: TokenParts): Tokens {
  /** By what was signed and by whom, never by the text: one signature can be written in two ways. */
  const verified = new LRUCache<string, Token>({ max: settings.tokenCacheEntries });
  /**
   * What remembered tokens' texts hold, to spare the inflating: it says nothing of whom to trust, and strangers' texts never enter. By the
   * text's digest: the text itself may be a part of a body, all of which it would keep.
   */
  const texts = new LRUCache<string, DecodedToken>({ max: settings.tokenCacheEntries });

  function remembered(digest: string): Token | undefined {
    for (const { publicKey } of serverKeys.trusted()) {
      const token = verified.get(digest + publicKey);
      if (token === undefined) continue;
      if (within(0, clock.nowMs(), token.expiryMs)) return token;
      verified.delete(digest + publicKey);
    }
    return undefined;
  }

  return {
    mintV1(token) {
      const { publicKey, sign } = serverKeys.accessKey();
      const json = formatV1Token({ ...token, serverIdentity: publicKey });
      return packToken(sign(json), json);
    },

    mintV0(token) {
      const json = formatV0Token(token);
      return { json, content: JSON.parse(json) as object, signature: serverKeys.accessKey().sign(json) };
    },

    decode(text) {
      const textDigest = sha256Base64url(text);
      const before = texts.get(textDigest);
      if (before !== undefined && remembered(before.digest) !== undefined) return before;
      texts.delete(textDigest);
      const { signature, content: inflated } = unpackToken(text, settings);
      const stripped = inflated.at(-1) === LINE_FEED ? inflated.subarray(0, -1) : inflated;
      const digest = sha256Base64url(stripped);
      const known = remembered(digest);
      // One line feed is v0's, from shell pipelines; in v1 it is signed like the rest.
      if (known !== undefined && (stripped === inflated || known.version === 'v0'))
        return { content: known, signature, signedBytes: stripped, digest, textDigest };
      const content = parseToken(inflated, clientKeys, settings.maxJsonDepth);
      return stripped === inflated || content.version === 'v0'
        ? { content, signature, signedBytes: stripped, digest, textDigest }
        : { content, signature, signedBytes: inflated, digest: sha256Base64url(inflated), textDigest };
    },

    async verify(token) {
      const verdict = remembered(token.digest) === undefined ? await judge(token) : 'signed';
      if (remembered(token.digest) !== undefined && !texts.has(token.textDigest))
        // A copy: the bytes are a view into a larger buffer.
        texts.set(token.textDigest, { ...token, signedBytes: Uint8Array.from(token.signedBytes) });
      const isForUs = settings.audience === undefined || token.content.attributes['aud'] === settings.audience;
      return verdict === 'signed' && !isForUs ? 'forged' : verdict;
    },

    size: () => Math.max(verified.size, texts.size),
  };

  /** v1 names the key; v0 does not, so all are tried. */
  async function judge({ content, signature, signedBytes, digest }: DecodedToken): Promise<TokenVerdict> {
    const candidates = serverKeys
      .trusted()
      .filter(({ publicKey }) => content.version === 'v0' || publicKey === content.serverIdentity);
    for (const { publicKey, key } of candidates) {
      if (!(await signatures.verify(key, signedBytes, signature))) continue;
      if (within(0, clock.nowMs(), content.expiryMs)) verified.set(digest + publicKey, content);
      return 'signed';
    }
    if (candidates.length > 0) return content.version === 'v0' ? 'unknown' : 'forged';
    await signatures.verify(clientKeys.dummy, signedBytes, signature);
    return 'unknown';
  }
}

/** The digest as its 32 bytes. */
export function tokenDigest({ digest }: Pick<DecodedToken, 'digest'>): Uint8Array {
  return decodeBase64url(digest) ?? new Uint8Array(0);
}
