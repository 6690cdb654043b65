/** Argon2id (RFC 9106, version 0x13) for clients, in WebAssembly that is loaded when first asked for. The server never runs it. */

export interface Argon2Cost {
  readonly memoryKib: number;
  readonly passes: number;
  readonly lanes: number;
}

/**
 * Stands still until it is done: a page runs it in a worker, or shows first that it will take a while.
 *
 * @param salt at least 8 bytes. @returns 32 bytes.
 */
export async function argon2id(
  password: Uint8Array,
  salt: Uint8Array,
  { memoryKib, passes, lanes }: Argon2Cost,
): Promise<Uint8Array> {
  const { argon2id: run } = await import('hash-wasm');
  return run({
    password,
    salt,
    memorySize: memoryKib,
    iterations: passes,
    parallelism: lanes,
    hashLength: 32,
    outputType: 'binary',
  });
}
