/**
 * The signer of client-challenge for the client library: logs in, keeps the token until shortly before it expires, and logs in again
 * when the server says that it is over. Sending and repeating is `client/`; the signed bytes are `message.ts`, the same as the issuer's.
 */
import { CountersignError } from '../../core/client-error.ts';
import { within } from '../../core/clock.ts';
import type { IssuerConnection, Signer, SigningKey } from '../../core/signer.ts';
import { encodeBase64url } from '../../encoding/base64url.ts';
import { thumbprintInput } from '../../encoding/jwk.ts';
import { AUTH_SCHEME, NONCE_BYTES, SCHEME, signedBytes } from './message.ts';

export interface ClientChallengeCredential {
  readonly key: SigningKey;
  /** Name space of the deployment's user; absent for the default one. */
  readonly tenant?: string;
}

/** A token this close to its end may be over when the request is judged. */
const RENEW_BEFORE_MS = 20_000;

/** The token will not pass again. After `stale` another one may at once; after the others only a later request is let in anew, if at all. */
const IS_OVER: ReadonlySet<string> = new Set(['stale', 'revoked', 'signature_invalid']);

interface HeldToken {
  readonly text: string;
  /** On the server's clock. */
  readonly expiresAtMs: number;
}

/** Tokens are for one site each: one for each origin that requests are made for. */
export function clientChallenge({ key, tenant }: ClientChallengeCredential): Signer {
  const held = new Map<string, HeldToken>();
  const loggingIn = new Map<string, Promise<HeldToken>>();

  async function tokenFor(site: string, issuer: IssuerConnection): Promise<HeldToken> {
    for (;;) {
      const token = held.get(site);
      if (token !== undefined && isGood(token, issuer.nowMs())) return token;
      const other = loggingIn.get(site);
      if (other === undefined) return shared(site, logInOnce(site, issuer));
      // One login for all that wait. If its own request was given up, the next one logs in.
      const outcome = await other.catch((thrown: unknown) => (isGivenUp(thrown) ? undefined : Promise.reject(thrown)));
      if (outcome !== undefined) return outcome;
    }
  }

  async function shared(site: string, login: Promise<HeldToken>): Promise<HeldToken> {
    loggingIn.set(site, login);
    try {
      const token = await login;
      held.set(site, token);
      return token;
    } finally {
      loggingIn.delete(site);
    }
  }

  /** Once more when the clock was wrong: the refusal told the server's, which `issuer.nowMs()` now goes by. */
  async function logInOnce(site: string, issuer: IssuerConnection): Promise<HeldToken> {
    try {
      return await logIn(site, issuer);
    } catch (thrown) {
      const isAboutTime =
        thrown instanceof CountersignError && (thrown.code === 'stale' || thrown.code === 'not_yet_valid');
      if (!isAboutTime) throw thrown;
      return logIn(site, issuer);
    }
  }

  async function logIn(site: string, issuer: IssuerConnection): Promise<HeldToken> {
    await issuer.parameters(); // Asked for once: discovery tells the server's time, by which the login is dated.
    const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
    const tsMs = issuer.nowMs();
    const thumbprint = await sha256(thumbprintInput(key.publicJwk));
    const signature = await key.sign(signedBytes({ aud: site, thumbprint, tsMs, nonce }));
    const { token, tokenType, expiresAtMs } = await issuer.post('token', {
      aud: site,
      jwk: key.publicJwk,
      ts: tsMs,
      nonce: encodeBase64url(nonce),
      signature: encodeBase64url(signature),
      ...(tenant !== undefined && { tenant }),
    });
    if (typeof token !== 'string' || tokenType !== AUTH_SCHEME || !Number.isSafeInteger(expiresAtMs))
      throw new CountersignError('answer_invalid', 'the issuer answered without a token');
    return { text: token, expiresAtMs: expiresAtMs as number };
  }

  return {
    scheme: SCHEME,
    authScheme: AUTH_SCHEME,
    async sign({ scheme, authority }, issuer) {
      const { text } = await tokenFor(`${scheme}://${authority}`, issuer);
      return [['authorization', `${AUTH_SCHEME} ${text}`]];
    },
    accepted() {},
    refused({ code }, sent) {
      if (!IS_OVER.has(code)) return false;
      const [[, value] = []] = sent;
      for (const [site, { text }] of held) if (value === `${AUTH_SCHEME} ${text}`) held.delete(site);
      return code === 'stale';
    },
  };
}

function isGood({ expiresAtMs }: HeldToken, nowMs: number): boolean {
  return within(nowMs + RENEW_BEFORE_MS, expiresAtMs, Number.MAX_SAFE_INTEGER);
}

/** The reason is the caller's own, anything but the issuer's refusal and the `TypeError` by which `fetch` says that nobody answers. */
function isGivenUp(thrown: unknown): boolean {
  return !(thrown instanceof CountersignError) && !(Error.isError(thrown) && thrown.name === 'TypeError');
}

async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array(bytes)));
}
