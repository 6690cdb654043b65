/**
 * A session on the client: tokens, each for a key that the one before committed to, and requests signed with them. The device that
 * opens one is `client.ts`. Browser-safe.
 */
import { CountersignError } from '../../../core/client-error.ts';
import { within } from '../../../core/clock.ts';
import type { ClientState, Signer, SigningKey } from '../../../core/signer.ts';
import { decodeBase64url } from '../../../encoding/base64url.ts';
import { type JsonValue, parseStrictJson } from '../../../encoding/strict-json.ts';
import { formatHeaderProof, headerSignedBytes } from '../message-header.ts';
import { AUTH_SCHEME, formatWireTime, parseWireTime, SCHEME } from '../message.ts';
import { members, text } from '../client-reply.ts';
import { isRefusal, type V1Issuer } from './client-issuer.ts';
import { freshNonce } from './client-nonce.ts';
import { envelope, keyWord, signatureWord } from './message.ts';

/** What must be kept of a session. */
export interface KeptSession {
  /** Its keys are named `session-<number>-<at>`. */
  readonly number: number;
  /** The key of the token; the next one is committed to. */
  readonly at: number;
  readonly token: string;
}

export interface SessionKeeping {
  load(): Promise<KeptSession | undefined>;
  save(session: KeptSession): Promise<void>;
  /** Opens another: a challenge, answered by the device. @returns `access` of the reply. */
  open(access: { readonly publicKey: string; readonly rotationHash: string }): Promise<string>;
  readonly state: ClientState;
}

export interface ClientSession {
  /** For `createClient`. */
  readonly signer: Signer;
  /**
   * An access message in the body form, for APIs that are built on envelopes: the whole body, good once.
   *
   * @throws {CountersignError}
   */
  accessMessage(request: JsonValue): Promise<string>;
}

interface Token {
  readonly packed: string;
  /** SHA-256 of what the server signed. */
  readonly digest: Uint8Array;
  readonly key: SigningKey;
  readonly untilMs: number;
}

/** A token that ends while the request is under way is of no use. */
const RESERVE_MS = 30_000;
const WORTH_ANOTHER = new Set(['stale', 'not_yet_valid', 'replayed', 'revoked']);
const SIGNATURE_CHARS = 88;

export function clientSession(issuer: V1Issuer, { load, save, open, state }: SessionKeeping): ClientSession {
  let token: Token | undefined;
  /** What is kept was refused: only another one helps. */
  let isRefused = false;
  let fetching: Promise<Token> | undefined;

  const nameOf = (number: number, at: number) => `session-${number}-${at}`;
  const isFresh = (found: Token) => within(0, issuer.nowMs(), found.untilMs - RESERVE_MS);

  /** One message at a time: those who wait get the same token. */
  function access(): Promise<Token> {
    if (token !== undefined && isFresh(token)) return Promise.resolve(token);
    fetching ??= state.exclusive(fetchToken).finally(() => {
      fetching = undefined;
    });
    return fetching;
  }

  async function fetchToken(): Promise<Token> {
    const kept = await load();
    if (kept === undefined) return (token = await reopen(0));
    const last = await read(kept);
    if (!isRefused && isFresh(last)) return (token = last); // Of a page or process before this one.
    try {
      token = await refresh(kept);
    } catch (thrown) {
      // It was refreshed without us hearing of it, or has ended: the device makes another.
      if (!isRefusal(thrown)) throw thrown;
      token = await reopen(kept.number + 1);
    }
    isRefused = false;
    return token;
  }

  async function reopen(number: number): Promise<Token> {
    const opened = await open(await committed(number, 0));
    return keep({ number, at: 0, token: opened });
  }

  async function refresh({ number, at, token: packed }: KeptSession): Promise<Token> {
    const shown = await committed(number, at + 1);
    const key = await state.key(nameOf(number, at + 1));
    const response = await issuer.call('session/refresh', { access: { ...shown, token: packed } }, key);
    const made = await keep({ number, at: at + 1, token: text(members(response['access'])['token']) });
    await state.forget(nameOf(number, at));
    return made;
  }

  /** Both keys are kept before the message that relies on them is sent. */
  async function committed(number: number, at: number): Promise<{ publicKey: string; rotationHash: string }> {
    const [shown, next] = [await state.key(nameOf(number, at)), await state.key(nameOf(number, at + 1))];
    return { publicKey: keyWord(shown), rotationHash: await issuer.hash(keyWord(next)) };
  }

  async function keep(kept: KeptSession): Promise<Token> {
    const made = await read(kept);
    await save(kept);
    return made;
  }

  async function read({ number, at, token: packed }: KeptSession): Promise<Token> {
    const content = await gunzip(packed.slice(SIGNATURE_CHARS));
    return {
      packed,
      digest: new Uint8Array(await crypto.subtle.digest('SHA-256', content)),
      key: await state.key(nameOf(number, at)),
      untilMs: parseWireTime(text(parseStrictJson(content, { maxDepth: 64 })['expiry'])) ?? 0,
    };
  }

  return {
    signer: {
      scheme: SCHEME,
      authScheme: AUTH_SCHEME,
      async sign(request, connection) {
        const { packed, digest, key } = await access();
        const proof = { timestampMs: connection.nowMs(), nonce: freshNonce() };
        const signature = await key.sign(headerSignedBytes(digest, proof, request, request.bodyDigest));
        return [['authorization', formatHeaderProof({ token: packed, ...proof, signature })]];
      },
      accepted() {},
      refused({ code }) {
        // The token may be what is stale; after a revocation a new one shows whether the session lives.
        if (code === 'stale' || code === 'revoked') {
          token = undefined;
          isRefused = true;
        }
        return WORTH_ANOTHER.has(code);
      },
    },
    async accessMessage(request) {
      const { packed, key } = await access();
      const timestamp = formatWireTime(issuer.nowMs(), 3);
      const payload = JSON.stringify({ access: { nonce: freshNonce(), timestamp, token: packed }, request });
      return envelope(payload, await signatureWord(key, payload));
    },
  };
}

async function gunzip(packed: string): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = decodeBase64url(packed);
  if (bytes === undefined) throw new CountersignError('answer_invalid', 'the token is not base64url');
  try {
    const stream = new Blob([new Uint8Array(bytes)]).stream().pipeThrough(new DecompressionStream('gzip'));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch (cause) {
    throw new CountersignError('answer_invalid', 'the token is not gzip', { cause });
  }
}
