/**
 * The issuer's half of the conversation as a client of v0 sees it: messages go out signed, and a reply counts only with the signature
 * of a known response key and the digest of the very request. Anything else is a failed transport. Browser-safe.
 */
import { loadBlake3 } from '../../../encoding/blake3.ts';
import { hashText } from '../../../encoding/cesr.ts';
import { minifyJson } from '../../../encoding/json-minify.ts';
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
import type { MessageKey } from './client-passphrase.ts';

export interface Reply {
  readonly payload: JsonObject;
  readonly text: string;
}

export interface V0Issuer {
  /** @param key absent: a message that nobody signs. @throws {CountersignError} `answer_invalid` for a reply that does not count. */
  call(path: string, payload: object, key?: MessageKey): Promise<Reply>;
  /** Registration material, from whatever channel it came. @throws {CountersignError} `answer_invalid` */
  readMaterial(text: string): Promise<JsonObject>;
  /** H. */
  hash(text: string): Promise<string>;
  nowMs(): number;
}

export function v0Issuer({ channel, responseKeys }: BetterAuthAccess): V0Issuer {
  let known: ReadonlyMap<string, CryptoKey> | undefined;

  const hash = async (plain: string): Promise<string> => hashText(await loadBlake3(), plain);

  /** Published keys are asked for again when a reply names another: the deployment may have changed its key. */
  async function responseKey(digest: string): Promise<CryptoKey> {
    const found = (known ??= await keysOf(responseKeys ?? (await publishedKeys(channel)))).get(digest);
    if (found !== undefined) return found;
    if (responseKeys === undefined) known = await keysOf(await publishedKeys(channel));
    return known.get(digest) ?? invalid('the reply is signed by no known key of the deployment');
  }

  async function keysOf(words: readonly string[]): Promise<ReadonlyMap<string, CryptoKey>> {
    return new Map(
      await Promise.all(words.map(async (word) => [await hash(word), await importResponseKey(word)] as const)),
    );
  }

  async function verified(reply: string): Promise<JsonObject> {
    const { value, sourceOf } = parseReply(reply);
    const payload = members(value['payload']);
    const key = await responseKey(text(payload['publicKeyDigest']));
    await requireSigned(key, minifyJson(sourceOf(payload)), value['signature']);
    return payload;
  }

  return {
    async call(path, payload, key) {
      const signed = JSON.stringify(payload);
      const body = key === undefined ? signed : `{"payload":${signed},"signature":"${await key.sign(signed)}"}`;
      const reply = await channel.post('v0', path, body, { 'better-auth-reply': 'bound' });
      const answered = await verified(reply);
      if (answered['requestDigest'] !== (await hash(signed))) invalid('the reply belongs to another request');
      return { payload: answered, text: reply };
    },
    readMaterial: verified,
    hash,
    nowMs: () => channel.nowMs(),
  };
}
