/**
 * The issuer's half of the conversation as a client of v1 sees it: messages go out signed, and a reply counts only with the signature of
 * a known response key and the nonce of the very request. Anything else, an error body under any status too, is a failed transport.
 * Browser-safe.
 */
import { CountersignError, type ClientErrorCode } from '../../../core/client-error.ts';
import { Denial } from '../../../core/decision.ts';
import type { MessageChannel, SigningKey } from '../../../core/signer.ts';
import { loadBlake3 } from '../../../encoding/blake3.ts';
import { utf8 } from '../../../encoding/bytes.ts';
import { decode, hashText } from '../../../encoding/cesr.ts';
import { decompressPoint } from '../../../encoding/p256.ts';
import { type JsonObject, type JsonValue, parseJsonDocument } from '../../../encoding/strict-json.ts';
import { freshNonce } from './client-nonce.ts';
import { envelope, type Operation, requestPayload, signatureWord } from './message.ts';

export interface V1Access {
  /** From `connectMessages`. */
  readonly channel: MessageChannel;
  /**
   * Response keys of the deployment, CESR words `1AAI`. Pin them where you can; absent: those that the deployment publishes, which
   * are as good as its TLS.
   */
  readonly responseKeys?: readonly string[];
}

export interface V1Issuer {
  /**
   * @param key absent: a message that nobody signs.
   * @param headers besides those of every message.
   * @returns `response` of the reply. @throws {CountersignError} `answer_invalid` for a reply that does not count.
   */
  call(
    operation: Operation,
    request: object,
    key?: SigningKey,
    headers?: Readonly<Record<string, string>>,
  ): Promise<JsonObject>;
  /** H over the texts one behind the other. */
  hash(...texts: readonly string[]): Promise<string>;
  nowMs(): number;
}

const MAX_REPLY_CHARS = 65_536;

export function v1Issuer({ channel, responseKeys }: V1Access): V1Issuer {
  let known: readonly string[] | undefined = responseKeys;

  /** Published keys are asked for again when a reply names another: the deployment may have changed its key. */
  async function requireKnown(word: string): Promise<void> {
    known ??= await published();
    if (known.includes(word)) return;
    if (responseKeys === undefined) known = await published();
    if (!known.includes(word)) invalid('the reply is signed by no known key of the deployment');
  }

  async function published(): Promise<readonly string[]> {
    const { response } = parsed(await channel.get('/better-auth/keys')).value;
    if (!Array.isArray(response)) return invalid('the deployment publishes no keys');
    return (response as readonly JsonValue[]).map((key) => text(members(key)['publicKey']));
  }

  async function verified(reply: string, nonce: string): Promise<JsonObject> {
    const { value, sourceOf } = parsed(reply);
    const payload = members(value['payload']);
    const access = members(payload['access']);
    const word = text(access['serverIdentity']);
    await requireKnown(word);
    if (!(await isSigned(sourceOf(payload), word, value['signature']))) invalid('the signature of the reply is wrong');
    if (access['nonce'] !== nonce) invalid('the reply belongs to another request');
    return members(payload['response']);
  }

  return {
    async call(operation, request, key, headers) {
      const nonce = freshNonce();
      const payload = requestPayload(nonce, request);
      const body = envelope(payload, key === undefined ? undefined : await signatureWord(key, payload));
      return verified(await send(channel, operation, body, headers), nonce);
    },
    hash: async (...texts) => hashText(await loadBlake3(), ...texts),
    nowMs: () => channel.nowMs(),
  };
}

async function send(
  channel: MessageChannel,
  operation: Operation,
  body: string,
  headers: Readonly<Record<string, string>> | undefined,
): Promise<string> {
  try {
    return await channel.post('v1', `/${operation}`, body, headers);
  } catch (thrown) {
    throw thrown instanceof CountersignError && thrown.response !== undefined ? await refusalOf(thrown) : thrown;
  }
}

const CODES: Readonly<Record<number, ClientErrorCode>> = {
  400: 'malformed',
  401: 'signature_invalid',
  403: 'not_offered',
  413: 'too_large',
  429: 'rate_limited',
  503: 'unavailable',
};

/** In the public protocol's form, which the library does not know. It says what to try, and proves nothing. */
async function refusalOf({ status = 0, retryAfterSeconds, response }: CountersignError): Promise<CountersignError> {
  const told =
    (await response
      ?.clone()
      .text()
      .catch(() => '')) ?? '';
  const [, name = ''] = /^\{"error":\{"code":"([A-Z]{2}[0-9]{3})"/.exec(told) ?? [];
  const code = name === 'BA401' ? 'stale' : (CODES[status] ?? 'answer_invalid');
  return new CountersignError(code, `the issuer refused the message${name === '' ? '' : ` (${name})`}`, {
    status,
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    ...(response !== undefined && { response }),
  });
}

/** Whether the server has heard the message and says no, as far as that can be believed. */
export function isRefusal(thrown: unknown): thrown is CountersignError {
  return thrown instanceof CountersignError && (thrown.status === 400 || thrown.status === 401);
}

const ECDSA = { name: 'ECDSA', hash: 'SHA-256' } as const;

async function isSigned(payload: string, word: string, signature: JsonValue | undefined): Promise<boolean> {
  const jwk = decompressPoint(raw(word, '1AAI')) ?? invalid('a response key is no point of P-256');
  const curve = { name: 'ECDSA', namedCurve: 'P-256' };
  const key = await crypto.subtle.importKey('jwk', { ...jwk }, curve, false, ['verify']);
  return crypto.subtle.verify(ECDSA, key, new Uint8Array(raw(signature, '0I')), new Uint8Array(utf8(payload)));
}

function raw(word: JsonValue | undefined, code: '1AAI' | '0I'): Uint8Array {
  try {
    return decode(word, [code]).raw;
  } catch {
    return invalid(`the reply lacks a CESR word ${code}`);
  }
}

function parsed(reply: string): ReturnType<typeof parseJsonDocument> {
  if (reply.length > MAX_REPLY_CHARS) invalid('the reply is too long');
  try {
    return parseJsonDocument(utf8(reply));
  } catch (thrown) {
    if (!(thrown instanceof Denial)) throw thrown;
    return invalid('the reply is not the JSON of a reply');
  }
}

/** @throws {CountersignError} `answer_invalid` unless it is an object. */
export function members(value: JsonValue | undefined): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  return invalid('the reply lacks a member');
}

/** @throws {CountersignError} `answer_invalid` unless it is text. */
export function text(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : invalid('the reply lacks a member');
}

function invalid(why: string): never {
  throw new CountersignError('answer_invalid', why);
}
