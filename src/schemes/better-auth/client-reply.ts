/** What clients of both versions make of a reply: strict JSON, and the signature of a response key of the deployment. Browser-safe. */
import { CountersignError } from '../../core/client-error.ts';
import { Denial } from '../../core/decision.ts';
import type { MessageChannel } from '../../core/signer.ts';
import { utf8 } from '../../encoding/bytes.ts';
import { decode } from '../../encoding/cesr.ts';
import { decompressPoint } from '../../encoding/p256.ts';
import { type JsonObject, type JsonValue, parseJsonDocument } from '../../encoding/strict-json.ts';

export interface BetterAuthAccess {
  /** From `connectMessages`. */
  readonly channel: MessageChannel;
  /**
   * Response keys of the deployment, CESR words `1AAI`. Pin them where you can; absent: those that the deployment publishes, which
   * are as good as its TLS.
   */
  readonly responseKeys?: readonly string[];
}

const MAX_REPLY_CHARS = 65_536;

/** @throws {CountersignError} `answer_invalid`, as all of these do. */
export function parseReply(reply: string): ReturnType<typeof parseJsonDocument> {
  if (reply.length > MAX_REPLY_CHARS) invalid('the reply is too long');
  try {
    return parseJsonDocument(utf8(reply));
  } catch (thrown) {
    if (!(thrown instanceof Denial)) throw thrown;
    return invalid('the reply is not the JSON of a reply');
  }
}

/** CESR words `1AAI`. */
export async function publishedKeys(channel: MessageChannel): Promise<readonly string[]> {
  const { response } = parseReply(await channel.get('/better-auth/keys')).value;
  if (!Array.isArray(response)) return invalid('the deployment publishes no keys');
  return (response as readonly JsonValue[]).map((key) => text(members(key)['publicKey']));
}

/** @param word `1AAI` */
export async function importResponseKey(word: string): Promise<CryptoKey> {
  const jwk = decompressPoint(raw(word, '1AAI')) ?? invalid('a response key is no point of P-256');
  return crypto.subtle.importKey('jwk', { ...jwk }, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['verify']);
}

/** @param signature word `0I`, over `signed`. */
export async function requireSigned(key: CryptoKey, signed: string, signature: JsonValue | undefined): Promise<void> {
  const bytes = new Uint8Array(raw(signature, '0I'));
  const isSigned = await crypto.subtle.verify(
    { name: 'ECDSA', hash: 'SHA-256' },
    key,
    bytes,
    new Uint8Array(utf8(signed)),
  );
  if (!isSigned) invalid('the signature of the reply is wrong');
}

function raw(word: JsonValue | undefined, code: '1AAI' | '0I'): Uint8Array {
  try {
    return decode(word, [code]).raw;
  } catch {
    return invalid(`the reply lacks a CESR word ${code}`);
  }
}

export function members(value: JsonValue | undefined): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  return invalid('the reply lacks a member');
}

export function text(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : invalid('the reply lacks a member');
}

export function invalid(why: string): never {
  throw new CountersignError('answer_invalid', why);
}
