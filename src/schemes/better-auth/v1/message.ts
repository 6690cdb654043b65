/**
 * Envelopes of v1 as they are written: compact, members in the protocol's order. Browser-safe, shared by issuer, client library and
 * the resources behind Envoy, which sign replies of their own. Signatures are over the text of `payload` as it travels: whoever
 * receives one never prints it again.
 */
import type { SigningKey } from '../../../core/signer.ts';
import { utf8 } from '../../../encoding/bytes.ts';
import { encode } from '../../../encoding/cesr.ts';
import { compressPoint } from '../../../encoding/p256.ts';

/** Paths behind the deployment's prefix. */
export const OPERATIONS = [
  'account/create',
  'account/recover',
  'account/delete',
  'device/rotate',
  'device/link',
  'device/unlink',
  'recovery/change',
  'session/request',
  'session/create',
  'session/refresh',
] as const;

export type Operation = (typeof OPERATIONS)[number];

export interface ReplyContent {
  /** Of the request, character by character. */
  readonly nonce: string;
  readonly response: unknown;
}

export function requestPayload(nonce: string, request: object): string {
  return JSON.stringify({ access: { nonce }, request });
}

/** @param serverIdentity the response key as a CESR word. */
export function replyPayload({ nonce, response }: ReplyContent, serverIdentity: string): string {
  return JSON.stringify({ access: { nonce, serverIdentity }, response });
}

export function envelope(payload: string, signature?: string): string {
  return signature === undefined ? `{"payload":${payload}}` : `{"payload":${payload},"signature":"${signature}"}`;
}

/**
 * For a resource that serves public clients: they take its replies only in this form, signed by the key that `/key/response` tells. Most
 * verify what they print, not what came, so a `response` that they print differently is refused: keep it to what attributes may hold.
 */
export async function formatReply(content: ReplyContent, responseKey: SigningKey): Promise<string> {
  const payload = replyPayload(content, keyWord(responseKey));
  return envelope(payload, await signatureWord(responseKey, payload));
}

/** CESR word of a public key. @throws {RangeError} for a key that is not P-256. */
export function keyWord({ publicJwk }: Pick<SigningKey, 'publicJwk'>): string {
  if (publicJwk.kty !== 'EC') throw new RangeError('better-auth: keys are P-256');
  return encode('1AAI', compressPoint(publicJwk));
}

export async function signatureWord(key: SigningKey, payload: string): Promise<string> {
  return encode('0I', await key.sign(utf8(payload)));
}
