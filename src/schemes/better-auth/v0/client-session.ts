/**
 * A session on the client: access tokens by its chain of nonces, and requests signed with them. How it was opened, by a device or by a
 * passphrase, is `client.ts`. Browser-safe.
 */
import { CountersignError } from '../../../core/client-error.ts';
import { within } from '../../../core/clock.ts';
import type { OutgoingRequest, Signer, SigningKey } from '../../../core/signer.ts';
import { encodeBase64url } from '../../../encoding/base64url.ts';
import { utf8 } from '../../../encoding/bytes.ts';
import { encode, newNonce } from '../../../encoding/cesr.ts';
import { compressPoint } from '../../../encoding/p256.ts';
import type { JsonValue } from '../../../encoding/strict-json.ts';
import { formatHeaderProof, headerSignedBytes } from '../message-header.ts';
import { AUTH_SCHEME, formatWireTime, parseWireTime, SCHEME } from '../message.ts';
import type { MessageKey } from './client-passphrase.ts';
import { members, text } from '../client-reply.ts';
import type { V0Issuer } from './client-issuer.ts';

/** What must be kept of a session. */
export interface KeptSession {
  readonly id: string;
  /** Name of its refresh key. */
  readonly key: string;
  /**
   * Nonces of which the issuer expects one: of each message that was sent and not answered, the nonce that it committed to. As a rule
   * it is one.
   */
  readonly nonces: readonly string[];
}

export interface SessionKeeping {
  load(): Promise<KeptSession | undefined>;
  /** Resolves once it is kept. */
  save(session: KeptSession | undefined): Promise<void>;
  key(name: string): Promise<SigningKey>;
  forget(name: string): Promise<void>;
  exclusive<T>(run: () => Promise<T>): Promise<T>;
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
  /** Ends it at the issuer, its tokens with it. @throws {CountersignError} */
  end(): Promise<void>;
  /** Forgets token and session here, as when they are known to have ended. Only where nothing else of the state runs. */
  drop(): Promise<void>;
}

interface Token {
  readonly packed: string;
  /** SHA-256 of what the server signed. */
  readonly digest: Uint8Array;
  readonly key: MessageKey & { signBytes(bytes: Uint8Array): Promise<Uint8Array> };
  /** On our clock. */
  readonly untilMs: number;
  /** How far the server's clock is ahead of ours, as far as whole seconds tell. */
  readonly offsetMs: number;
}

/** A refresh that was sent and not answered: the same message again is harmless, whether or not it arrived. */
interface Unanswered {
  readonly sessionId: string;
  readonly current: string;
  readonly next: string;
  readonly key: Token['key'];
}

/** Lost messages in a row after which a session is given up. */
const MAX_UNANSWERED = 8;
/** A token that ends while the request is under way is of no use. */
const RESERVE_MS = 30_000;
/** Whole seconds and the way here may make as much. */
const SMALL_OFFSET_MS = 3_000;
const WORTH_ANOTHER = new Set(['stale', 'not_yet_valid', 'replayed']);

/** @param reopen when the session has ended: opens another, or throws. Runs while nothing else of the state does. */
export function clientSession(issuer: V0Issuer, keeping: SessionKeeping, reopen: () => Promise<void>): ClientSession {
  let token: Token | undefined;
  let fetching: Promise<Token> | undefined;
  let unanswered: Unanswered | undefined;

  /** One message at a time: those who wait get the same token. */
  function access(): Promise<Token> {
    if (token !== undefined && within(0, issuer.nowMs(), token.untilMs - RESERVE_MS)) return Promise.resolve(token);
    fetching ??= keeping.exclusive(fetchToken).finally(() => {
      fetching = undefined;
    });
    return fetching;
  }

  async function fetchToken(): Promise<Token> {
    if ((await keeping.load()) === undefined) await reopen();
    try {
      token = await refresh();
    } catch (thrown) {
      if (!(thrown instanceof CountersignError) || !hasEnded(thrown)) throw thrown;
      await reopen();
      token = await refresh();
    }
    return token;
  }

  async function refresh(): Promise<Token> {
    const session = (await keeping.load()) ?? gone();
    const resent = unanswered?.sessionId === session.id ? await resend(session, unanswered) : undefined;
    return resent ?? advance(session);
  }

  /** @returns undefined when it arrived before, and its token is lost: or may have been half done, which only the nonces can tell. */
  async function resend(session: KeptSession, message: Unanswered): Promise<Token | undefined> {
    try {
      return await exchange(session, message);
    } catch (thrown) {
      if (isUnanswered(thrown)) throw thrown;
      return undefined;
    }
  }

  /** The newest commitment first: an older nonce that was spent after all would look like a theft. */
  async function advance(session: KeptSession): Promise<Token> {
    let { nonces } = session;
    if (nonces.length > MAX_UNANSWERED) return gone();
    for (;;) {
      const current = nonces.at(-1) ?? gone();
      const next = newNonce(randomBytes);
      await keeping.save({ ...session, nonces: [...nonces, next] });
      try {
        return await exchange(session, { sessionId: session.id, current, next, key: messageKey(await newAccessKey()) });
      } catch (thrown) {
        const isOlder = thrown instanceof CountersignError && thrown.code === 'signature_invalid' && nonces.length > 1;
        if (!isOlder) throw thrown;
        nonces = nonces.slice(0, -1);
      }
    }
  }

  async function exchange(session: KeptSession, message: Unanswered): Promise<Token> {
    const { current, next, key } = message;
    const refreshKey = messageKey(await keeping.key(session.key));
    const payload = {
      refresh: { sessionId: session.id, nonces: { current, nextDigest: await issuer.hash(next) } },
      access: { publicKey: key.word },
    };
    unanswered = message;
    const reply = await issuer.call('/refresh', payload, refreshKey).catch((thrown: unknown) => {
      if (!isUnanswered(thrown)) unanswered = undefined;
      throw thrown;
    });
    unanswered = undefined;
    await keeping.save({ ...session, nonces: [next] });
    const { token: content, signature } = members(reply.payload['access']);
    // Members keep their order, and the server prints none that JSON would print in another way.
    const json = JSON.stringify(content);
    const bytes = new Uint8Array(utf8(json));
    const { issuedAt, expiry } = members(content);
    const [fromMs = 0, toMs = 0] = [issuedAt, expiry].map((time) => parseWireTime(text(time)));
    const nowMs = issuer.nowMs();
    return {
      packed: text(signature) + encodeBase64url(await gzip(bytes)),
      digest: new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)),
      key,
      untilMs: nowMs + toMs - fromMs,
      offsetMs: fromMs - nowMs,
    };
  }

  return {
    signer: {
      scheme: SCHEME,
      authScheme: AUTH_SCHEME,
      async sign(request: OutgoingRequest, connection) {
        const { packed, digest, key } = await access();
        const proof = { timestampMs: connection.nowMs(), nonce: newNonce(randomBytes) };
        const signature = await key.signBytes(headerSignedBytes(digest, proof, request, request.bodyDigest));
        return [['authorization', formatHeaderProof({ token: packed, ...proof, signature })]];
      },
      accepted() {},
      refused({ code }) {
        // The token may be what is stale; after a revocation the next request shows whether the session lives.
        if (code === 'stale' || code === 'revoked') token = undefined;
        return WORTH_ANOTHER.has(code);
      },
    },

    async accessMessage(request) {
      const { packed, key, offsetMs } = await access();
      // Nobody repeats this message when our clock is wrong.
      const isRight = within(-SMALL_OFFSET_MS, offsetMs, SMALL_OFFSET_MS);
      const timestamp = formatWireTime(issuer.nowMs() + (isRight ? 0 : offsetMs), 0);
      const payload = JSON.stringify({ access: { timestamp, nonce: newNonce(randomBytes) }, request });
      return `{"token":"${packed}","payload":${payload},"signature":"${await key.sign(payload)}"}`;
    },

    end: () =>
      keeping.exclusive(async () => {
        const session = await keeping.load();
        if (session === undefined) return;
        const key = messageKey(await keeping.key(session.key));
        for (const current of session.nonces.toReversed()) {
          try {
            await issuer.call('/session/end', { refresh: { sessionId: session.id, nonces: { current } } }, key);
            break;
          } catch (thrown) {
            if (!(thrown instanceof CountersignError) || !hasEnded(thrown)) throw thrown;
          }
        }
        await drop();
      }),

    drop,
  };

  async function drop(): Promise<void> {
    token = undefined;
    const session = await keeping.load();
    if (session === undefined) return;
    await keeping.save(undefined);
    await keeping.forget(session.key);
  }
}

/** Nothing says that the issuer judged the message: lost, too busy, out of order. */
function isUnanswered(thrown: unknown): boolean {
  if (!(thrown instanceof CountersignError)) return true;
  return thrown.code === 'unavailable' || thrown.code === 'rate_limited' || thrown.code === 'answer_invalid';
}

/** Told unsigned, so it only means that another session must be tried. */
function hasEnded({ code }: CountersignError): boolean {
  return code === 'signature_invalid' || code === 'revoked';
}

function gone(): never {
  throw new CountersignError('revoked', 'there is no session: log in');
}

export function messageKey(key: SigningKey): Token['key'] {
  if (key.publicJwk.kty !== 'EC') throw new CountersignError('key_unusable', 'expected a key on P-256');
  return {
    word: encode('1AAI', compressPoint(key.publicJwk)),
    signBytes: (bytes) => key.sign(bytes),
    sign: async (message) => encode('0I', await key.sign(utf8(message))),
  };
}

/** Of one token, in memory only; nobody can read it out. */
async function newAccessKey(): Promise<SigningKey> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const;
  const pair = (await crypto.subtle.generateKey(algorithm, false, ['sign', 'verify'])) as {
    readonly privateKey: CryptoKey;
    readonly publicKey: CryptoKey;
  };
  const { x = '', y = '' } = await crypto.subtle.exportKey('jwk', pair.publicKey);
  return {
    alg: 'ES256',
    publicJwk: { kty: 'EC', crv: 'P-256', x, y },
    async sign(message) {
      const bytes = new Uint8Array(message);
      return new Uint8Array(await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, pair.privateKey, bytes));
    },
  };
}

export function randomBytes(count: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(count));
}

async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream('gzip'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
