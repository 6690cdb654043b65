/**
 * The issuer's half of the conversation as a client of v1 sees it: messages go out signed, and a reply counts only with the signature of
 * a known response key and the nonce of the very request. Anything else, an error body under any status too, is a failed transport.
 * Browser-safe.
 */
import { CountersignError, type ClientErrorCode } from '../../../core/client-error.ts';
import type { MessageChannel, SigningKey } from '../../../core/signer.ts';
import { loadBlake3 } from '../../../encoding/blake3.ts';
import { hashText } from '../../../encoding/cesr.ts';
import type { JsonObject } from '../../../encoding/strict-json.ts';
import {
  importResponseKey,
  invalid,
  members,
  parseReply,
  publishedKeys,
  requireSigned,
  text,
  type BetterAuthAccess,
} from '../client-reply.ts';
import { freshNonce } from './client-nonce.ts';
import { envelope, type Operation, requestPayload, signatureWord } from './message.ts';

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

export function v1Issuer({ channel, responseKeys }: BetterAuthAccess): V1Issuer {
  let known: readonly string[] | undefined = responseKeys;

  /** Published keys are asked for again when a reply names another: the deployment may have changed its key. */
  async function requireKnown(word: string): Promise<void> {
    known ??= await publishedKeys(channel);
    if (known.includes(word)) return;
    if (responseKeys === undefined) known = await publishedKeys(channel);
    if (!known.includes(word)) invalid('the reply is signed by no known key of the deployment');
  }

  async function verified(reply: string, nonce: string): Promise<JsonObject> {
    const { value, sourceOf } = parseReply(reply);
    const payload = members(value['payload']);
    const access = members(payload['access']);
    const word = text(access['serverIdentity']);
    await requireKnown(word);
    await requireSigned(await importResponseKey(word), sourceOf(payload), value['signature']);
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
