/**
 * From a passphrase to a key, on the client: the text made canonical, stretched by Argon2id with the account's salt, and the result
 * taken for an Ed25519 seed. The server sees neither text nor seed. Browser-safe.
 */
import { CountersignError } from '../../../core/client-error.ts';
import { within } from '../../../core/clock.ts';
import { argon2id, type Argon2Cost } from '../../../encoding/argon2id.ts';
import { decodeBase64url } from '../../../encoding/base64url.ts';
import { concat, utf8 } from '../../../encoding/bytes.ts';
import { encode, isNonce, saltBytes } from '../../../encoding/cesr.ts';

/** A key that signs messages of v0. */
export interface MessageKey {
  /** CESR word of the public half. */
  readonly word: string;
  /** @returns a CESR word, `0I` or `0B`. */
  sign(text: string): Promise<string>;
}

/** How a passphrase is stretched: told by the server, or the client's own. */
export interface Stretching {
  /** `$argon2id$v=19$m=262144,t=3,p=4$` */
  readonly parameters: string;
  /** CESR word `0A`. */
  readonly salt: string;
}

export interface Deriving {
  /**
   * Told before the derivation begins, with a guess of how long it takes here, and when it is done. The page has time to paint in
   * between, and then stands still unless `derive` runs elsewhere.
   */
  onProgress?(progress: { readonly state: 'deriving' | 'done'; readonly expectedMs: number }): void;
  /** In place of `argon2id` on this thread: a worker's. @returns 32 bytes. */
  derive?(password: Uint8Array, salt: Uint8Array, cost: Argon2Cost): Promise<Uint8Array>;
}

/** @throws {CountersignError} `key_unusable` for an empty passphrase or one with control characters; `answer_invalid` for parameters out of bounds. */
export async function passphraseKey(
  passphrase: string,
  { parameters, salt }: Stretching,
  { onProgress, derive = argon2id }: Deriving = {},
): Promise<MessageKey> {
  const password = preparePassphrase(passphrase);
  const cost = parseParameters(parameters);
  if (!isNonce(salt)) throw new CountersignError('answer_invalid', 'the salt is not a CESR word 0A');
  const expectedMs = onProgress === undefined ? 0 : await estimateMs(cost);
  onProgress?.({ state: 'deriving', expectedMs });
  if (onProgress !== undefined) await paint();
  const seed = await derive(password, saltBytes(salt), cost);
  onProgress?.({ state: 'done', expectedMs });
  return ed25519Key(seed);
}

/** OpaqueString of RFC 8265 section 4.2: other spaces become U+0020, then NFC. @throws {CountersignError} `key_unusable` */
export function preparePassphrase(text: string): Uint8Array {
  const prepared = text.replace(/\p{Zs}/gu, ' ').normalize('NFC');
  if (prepared === '' || /\p{Cc}/u.test(prepared) || !prepared.isWellFormed())
    throw new CountersignError('key_unusable', 'expected a passphrase without control characters');
  return utf8(prepared);
}

const PARAMETERS = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,2}),p=(\d{1,2})\$$/;

/** Too little would be guessed, too much would hang the page. @throws {CountersignError} `answer_invalid` */
export function parseParameters(text: string): Argon2Cost {
  const [, m, t, p] = PARAMETERS.exec(text) ?? [];
  const cost = { memoryKib: Number(m), passes: Number(t), lanes: Number(p) };
  if (!within(19_456, cost.memoryKib, 1_048_576) || !within(2, cost.passes, 10) || !within(1, cost.lanes, 16))
    throw new CountersignError(
      'answer_invalid',
      'expected Argon2id parameters from m=19456,t=2,p=1 to m=1048576,t=10,p=16',
    );
  return cost;
}

const PROBE: Argon2Cost = { memoryKib: 2048, passes: 1, lanes: 1 };
const ZERO = new Uint8Array(16);

/** Work grows with memory and passes; lanes run one after the other here. */
async function estimateMs({ memoryKib, passes }: Argon2Cost): Promise<number> {
  await argon2id(ZERO, ZERO, PROBE); // Compiles.
  const start = performance.now();
  await argon2id(ZERO, ZERO, PROBE);
  return Math.ceil(((performance.now() - start) * memoryKib * passes) / (PROBE.memoryKib * PROBE.passes));
}

const PAINT_MS = 50;

function paint(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, PAINT_MS);
  });
}

/** DER of a PKCS #8 Ed25519 key up to the seed (RFC 8410 section 7). */
const PKCS8 = Uint8Array.of(0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20);

/** @throws {CountersignError} `key_unusable` in browsers without Ed25519. */
async function ed25519Key(seed: Uint8Array): Promise<MessageKey> {
  try {
    const pkcs8 = new Uint8Array(concat([PKCS8, seed]));
    const readable = await crypto.subtle.importKey('pkcs8', pkcs8, 'Ed25519', true, ['sign']);
    const { x = '' } = await crypto.subtle.exportKey('jwk', readable);
    const key = await crypto.subtle.importKey('pkcs8', pkcs8, 'Ed25519', false, ['sign']);
    return {
      word: encode('B', decodeBase64url(x) ?? new Uint8Array(0)),
      async sign(text) {
        const message = new Uint8Array(utf8(text));
        return encode('0B', new Uint8Array(await crypto.subtle.sign('Ed25519', key, message)));
      },
    };
  } catch (cause) {
    throw new CountersignError('key_unusable', 'this platform signs with no Ed25519 key', { cause });
  }
}
