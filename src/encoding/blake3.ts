/** Blake3-256 for browsers and Node: loaded when first asked for, since its WebAssembly takes a page a moment and a policy that allows it. */
export type Blake3 = (bytes: Uint8Array) => Uint8Array;

let loading: Promise<Blake3> | undefined;

/** @returns a synchronous function: 32 bytes out. */
export function loadBlake3(): Promise<Blake3> {
  loading ??= import('hash-wasm')
    .then(({ createBLAKE3 }) => createBLAKE3())
    .then((hasher) => (bytes) => hasher.init().update(bytes).digest('binary'));
  return loading;
}
