/**
 * SHA-512 for browsers and Node, synchronous: hash chains are thousands of hashes, of which WebCrypto answers each in a turn of its
 * own, thirty times as slow. Loaded when first asked for, since its WebAssembly takes a page a moment and a policy that allows it.
 */
/** 64 bytes out. */
export type Sha512 = (bytes: Uint8Array) => Uint8Array;

let loading: Promise<Sha512> | undefined;

/** @throws whatever WebAssembly throws where the page's content security policy lacks `wasm-unsafe-eval`. */
export function loadSha512(): Promise<Sha512> {
  loading ??= import('hash-wasm')
    .then(({ createSHA512 }) => createSHA512())
    .then((hasher) => (bytes) => hasher.init().update(bytes).digest('binary'));
  return loading;
}
