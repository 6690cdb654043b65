/**
 * Where clients log in: the strict form, and the seed document's own under its two addresses. Here a login's form is read; whether it
 * is let in is `login.ts`. Registering keys is `users/`, the same for all schemes with public keys.
 */
import * as v from 'valibot';
import { deny } from '../../core/decision.ts';
import type { PublicJwk } from '../../core/directory.ts';
import { defineEndpoint, type Endpoint } from '../../core/scheme.ts';
import { tenantMember } from '../../core/settings.ts';
import { isAcceptableKey, thumbprint as thumbprintOf } from '../../crypto/signatures.ts';
import { decodeBase64url, encodeBase64url } from '../../encoding/base64url.ts';
import { fromHex, utf8 } from '../../encoding/bytes.ts';
import { parsePublicJwk } from '../../encoding/jwk.ts';
import type { RevokedTokens } from '../../tokens/revoked-tokens.ts';
import type { TokenKeys } from '../../tokens/token-keys.ts';
import { logIn, type LoginParts } from './login.ts';
import { createSeedMessageReader, NONCE_BYTES, signedBytes } from './message.ts';
import type { Settings } from './settings.ts';

export interface EndpointParts extends LoginParts {
  readonly settings: Settings;
  readonly keys: TokenKeys;
}

const base64url = (bytes: number) =>
  v.pipe(
    v.string(),
    v.length(Math.ceil((bytes * 4) / 3)),
    v.check((text) => decodeBase64url(text)?.length === bytes),
  );
const timeMs = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** `POST <prefix>/client-challenge/token` gives `{"token","tokenType","expiresAtMs","subject","timeMs"}`. */
export function tokenEndpoint(parts: EndpointParts): Endpoint {
  const { audiences, binding, windowMs, futureMs, lifetimeMs } = parts.settings;
  return defineEndpoint({
    listener: 'issuer',
    method: 'POST',
    path: 'token',
    bucket: 'issuer',
    body: v.strictObject({
      aud: v.pipe(v.string(), v.maxLength(300)),
      jwk: v.unknown(),
      ts: timeMs,
      nonce: base64url(NONCE_BYTES),
      jkt: v.optional(base64url(32)),
      signature: base64url(64),
      tenant: tenantMember(),
    }),
    async handle({ body: { aud, jwk: given, ts: tsMs, nonce: nonceText, jkt, signature, tenant }, ...call }) {
      const { jwk, thumbprint } = acceptableKey(parsePublicJwk(given));
      if (jkt !== undefined && binding === 'off') deny('malformed', 'jkt, and tokens are not bound here');
      if (jkt === undefined && binding === 'required') deny('malformed', 'no jkt, and tokens are always bound here');
      if (!audiences.includes(aud)) deny('signature_invalid', 'aud is no site of this deployment');

      const nonce = bytesOf(nonceText);
      const bound = jkt === undefined ? {} : { jkt };
      const { text, expiresAtMs, subject } = await logIn(
        parts,
        {
          tenant,
          jwk,
          thumbprint,
          message: signedBytes({ aud, thumbprint, tsMs, nonce, ...bound }),
          signature: bytesOf(signature),
          tsMs,
          futureMs,
          windowMs,
          spent: ['login', thumbprint, nonce],
          token: {
            key: () => parts.keys.active(),
            audience: aud,
            lifetimeMs,
            ...(jkt !== undefined && { boundTo: jkt }),
          },
        },
        call,
      );
      const tokenType = jkt === undefined ? 'Bearer' : 'DPoP';
      return { status: 200, body: { token: text, tokenType, expiresAtMs, subject, timeMs: call.receivedAtMs } };
    },
  });
}

/** `/auth` as in the document, `/api/v1/auth` as its public client has it. */
export const SEED_PATHS = ['/auth', '/api/v1/auth'] as const;

/** `{"public_key","message","signature"}` gives `{"token"}`. */
export function seedEndpoint(path: string, parts: EndpointParts): Endpoint {
  const { seedLabel, seedWindowMs, seedLifetimeMs, audiences } = parts.settings;
  const readMessage = createSeedMessageReader(seedLabel);
  return defineEndpoint({
    listener: 'issuer',
    method: 'POST',
    path,
    bucket: 'issuer',
    body: v.strictObject({
      public_key: v.pipe(v.string(), v.regex(/^0x[0-9a-f]{64}$/)),
      message: v.pipe(v.string(), v.maxLength(300)),
      signature: v.pipe(v.string(), v.regex(/^[0-9a-f]{128}$/)),
    }),
    async handle({ body: { public_key: publicKeyHex, message, signature }, ...call }) {
      const read = readMessage(message);
      if (read?.publicKey !== publicKeyHex) return deny('malformed', 'message of another form, or of another key');
      const publicKey = hexBytes(publicKeyHex.slice(2));
      const { jwk, thumbprint } = acceptableKey({ kty: 'OKP', crv: 'Ed25519', x: encodeBase64url(publicKey) });
      const { text } = await logIn(
        parts,
        {
          tenant: 'default',
          jwk,
          thumbprint,
          message: utf8(message),
          signature: hexBytes(signature),
          tsMs: read.tMs,
          futureMs: seedWindowMs,
          windowMs: seedWindowMs,
          spent: ['seed-login', publicKey, message],
          token: {
            key: () => parts.keys.shared ?? parts.keys.active(),
            audience: audiences[0] ?? '',
            lifetimeMs: seedLifetimeMs,
            publicKeyHex,
          },
        },
        call,
      );
      return { status: 200, body: { token: text } };
    },
  });
}

/** `POST /admin/v1/client-challenge/revoke-token` `{"jti","expiresAtMs"}`: ends one token. */
export function revokeTokenEndpoint(revoked: RevokedTokens): Endpoint {
  return defineEndpoint({
    listener: 'admin',
    method: 'POST',
    path: 'revoke-token',
    bucket: 'own',
    body: v.strictObject({ jti: base64url(16), expiresAtMs: timeMs, tenant: tenantMember() }),
    subject: ({ jti }) => jti,
    async handle({ body: { jti, expiresAtMs, tenant }, receivedAtMs }) {
      // A time in seconds would look like this too, and its mark would be gone before the token.
      if (!(await revoked.revoke(tenant, jti, expiresAtMs, receivedAtMs)))
        deny('malformed', 'expiresAtMs has passed: there is nothing to revoke');
      return { status: 200, body: { jti, expiresAtMs } };
    },
  });
}

function acceptableKey(jwk: PublicJwk | undefined): { jwk: PublicJwk; thumbprint: Uint8Array } {
  if (jwk === undefined || !isAcceptableKey(jwk)) return deny('malformed', 'a key that the key policy refuses');
  return { jwk, thumbprint: thumbprintOf(jwk) };
}

/** @param text already known to be base64url. */
function bytesOf(text: string): Uint8Array {
  return decodeBase64url(text) ?? deny('malformed', 'no base64url');
}

/** @param text already known to be hex. */
function hexBytes(text: string): Uint8Array {
  return fromHex(text) ?? deny('malformed', 'no hex');
}
