/**
 * The text of an access token: signature, then base64url of the gzipped content. Packing and unpacking only; what the content says is
 * `token.ts`. Everything here is done for strangers, so every size is bounded before the work that it causes.
 */
import { Buffer } from 'node:buffer';
import { crc32, gzipSync, inflateRawSync } from 'node:zlib';
import { deny } from '../../core/decision.ts';
import { encodeBase64url } from '../../encoding/base64url.ts';
import { utf8 } from '../../encoding/bytes.ts';
import { decode } from '../../encoding/cesr.ts';

export interface TokenText {
  /** 64 bytes. */
  readonly signature: Uint8Array;
  /** Inflated, as it was packed. */
  readonly content: Uint8Array;
}

export interface TokenLimits {
  readonly maxTokenChars: number;
  readonly maxTokenBytes: number;
}

const MIN_CHARS = 90;
const SIGNATURE_CHARS = 88;
const ALPHABET = /^[A-Za-z0-9_-]+$/;
/** Magic, deflate, no flags: a flag would bring fields of a length of their own. */
const GZIP_START = [0x1f, 0x8b, 0x08, 0x00];
const GZIP_HEADER_BYTES = 10;
const GZIP_TRAILER_BYTES = 8;
/** What one step of inflating allocates: tokens are small. */
const CHUNK_BYTES = 4096;

export function packToken(signature: string, json: string): string {
  return signature + encodeBase64url(gzipSync(utf8(json), { level: 9 }));
}

/** @throws {Denial} `malformed` */
export function unpackToken(text: string, limits: TokenLimits): TokenText {
  if (text.length < MIN_CHARS || text.length > limits.maxTokenChars || !ALPHABET.test(text))
    deny('malformed', 'token: another length or alphabet');
  const signature = decode(text.slice(0, SIGNATURE_CHARS), ['0I'], 'token signature').raw;
  return { signature, content: inflate(unpack(text.slice(SIGNATURE_CHARS)), limits.maxTokenBytes) };
}

/** Some hundred characters on each Check: the platform's decoder is the faster one, and as strict once its answer is written again. */
function unpack(text: string): Uint8Array {
  const packed = Buffer.from(text, 'base64url');
  return packed.toString('base64url') === text ? packed : deny('malformed', 'token: not base64url');
}

/** One gzip member and nothing behind it. */
function inflate(packed: Uint8Array, maxBytes: number): Uint8Array {
  if (packed.length < GZIP_HEADER_BYTES + GZIP_TRAILER_BYTES || GZIP_START.some((byte, at) => packed[at] !== byte))
    deny('malformed', 'token: not gzip without flags');
  const body = packed.subarray(GZIP_HEADER_BYTES);
  const { content, consumed } = inflateRaw(body, maxBytes);
  if (body.length - consumed !== GZIP_TRAILER_BYTES) deny('malformed', 'token: something behind the gzip member');
  const trailer = new DataView(body.buffer, body.byteOffset + consumed, GZIP_TRAILER_BYTES);
  if (trailer.getUint32(0, true) !== crc32(content) || trailer.getUint32(4, true) !== content.length)
    deny('malformed', 'token: gzip checksum or length');
  return content;
}

/** What `info: true` gives; the library's types leave it out. */
interface Inflated {
  readonly buffer: Uint8Array;
  readonly engine: { readonly bytesWritten: number };
}

function inflateRaw(body: Uint8Array, maxBytes: number): { content: Uint8Array; consumed: number } {
  try {
    const options = { info: true, maxOutputLength: maxBytes, chunkSize: CHUNK_BYTES };
    // With `info` Node returns both; its typings know the buffer alone.
    const { buffer, engine } = inflateRawSync(body, options) as unknown as Inflated;
    return { content: buffer, consumed: engine.bytesWritten };
  } catch {
    return deny('malformed', 'token: broken deflate, or too much of it');
  }
}
