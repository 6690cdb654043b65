/**
 * The issuer's half of the conversation as a client of v0 sees it: messages go out signed, and a reply counts only with the signature
 * of a known response key and the digest of the very request. Anything else is a failed transport. Browser-safe.
 */
import { CountersignError } from '../../../core/client-error.ts';
import { Denial } from '../../../core/decision.ts';
import type { MessageChannel } from '../../../core/signer.ts';
import { loadBlake3 } from '../../../encoding/blake3.ts';
import { utf8 } from '../../../encoding/bytes.ts';
import { decode, hashText } from '../../../encoding/cesr.ts';
import { minifyJson } from '../../../encoding/json-minify.ts';
import { decompressPoint } from '../../../encoding/p256.ts';
import { type JsonObject, type JsonValue, parseJsonDocument } from '../../../encoding/strict-json.ts';
import type { MessageKey } from './client-passphrase.ts';

export interface V0Access {
  /** From `connectMessages`. */
  readonly channel: MessageChannel;
  /**
   * Response keys of the deployment, CESR words `1AAI`. Pin them where you can; absent: those that the deployment publishes, which
   * are as good as its TLS.
   */
  readonly responseKeys?: readonly string[];
}

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

const MAX_REPLY_CHARS = 65_536;

export function v0Issuer({ channel, responseKeys }: V0Access): V0Issuer {
  let known: ReadonlyMap<string, CryptoKey> | undefined;

  const hash = async (plain: string): Promise<string> => hashText(await loadBlake3(), plain);

  /** Published keys are asked for again when a reply names another: the deployment may have changed its key. */
  async function responseKey(digest: string): Promise<CryptoKey> {
    const found = (known ??= await keysOf(responseKeys ?? (await published()))).get(digest);
    if (found !== undefined) return found;
    if (responseKeys === undefined) known = await keysOf(await published());
    return known.get(digest) ?? invalid('the reply is signed by no known key of the deployment');
  }

  async function keysOf(words: readonly string[]): Promise<ReadonlyMap<string, CryptoKey>> {
    return new Map(await Promise.all(words.map(async (word) => [await hash(word), await importKey(word)] as const)));
  }

  async function published(): Promise<readonly string[]> {
    const { response } = parsed(await channel.get('/better-auth/keys')).value;
    return list(response).map((key) => text(members(key)['publicKey']));
  }

  async function verified(reply: string): Promise<JsonObject> {
    const { value, sourceOf } = parsed(reply);
    const payload = members(value['payload']);
    const key = await responseKey(text(payload['publicKeyDigest']));
    const signature = new Uint8Array(decodeSignature(value['signature']));
    const bytes = new Uint8Array(utf8(minifyJson(sourceOf(payload))));
    if (!(await crypto.subtle.verify(ECDSA, key, signature, bytes))) invalid('the signature of the reply is wrong');
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

const ECDSA = { name: 'ECDSA', hash: 'SHA-256' } as const;

async function importKey(word: string): Promise<CryptoKey> {
  try {
    const jwk = decompressPoint(decode(word, ['1AAI']).raw) ?? invalid('a response key is no point of P-256');
    return await crypto.subtle.importKey('jwk', { ...jwk }, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['verify']);
  } catch (cause) {
    throw new CountersignError('answer_invalid', 'a response key is not a CESR word 1AAI', { cause });
  }
}

function decodeSignature(word: unknown): Uint8Array {
  try {
    return decode(word, ['0I']).raw;
  } catch {
    return invalid('the signature of the reply is not a CESR word 0I');
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

function list(value: JsonValue | undefined): readonly JsonValue[] {
  return Array.isArray(value) ? (value as readonly JsonValue[]) : invalid('the reply lacks a member');
}

function invalid(why: string): never {
  throw new CountersignError('answer_invalid', why);
}
