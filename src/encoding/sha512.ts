/**
 * SHA-512 for browsers and Node, synchronous: hash chains are thousands of hashes, of which WebCrypto answers each in a turn of its
 * own, thirty times as slow. Loaded when first asked for, since its WebAssembly takes a page a moment and a policy that allows it.
 */
import { CountersignError } from '../core/client-error.ts';

/** 64 bytes out. */
export type Sha512 = (bytes: Uint8Array) => Uint8Array;

let loading: Promise<Sha512> | undefined;

/** @throws {CountersignError} `key_unusable` where the page's content security policy allows no WebAssembly. */
export function loadSha512(): Promise<Sha512> {
  loading ??= load();
  return loading;
}

async function load(): Promise<Sha512> {
  try {
    const { createSHA512 } = await import('hash-wasm');
    const hasher = await createSHA512();
    return (bytes) => hasher.init().update(bytes).digest('binary');
  } catch (cause) {
    loading = undefined; // The part may not have arrived: another time it does.
    throw new CountersignError('key_unusable', "no WebAssembly: the page's policy must allow 'wasm-unsafe-eval'", {
      cause,
    });
  }
}
