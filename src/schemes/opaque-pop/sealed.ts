/** Sealed JSON in the store: who reads the store can neither use such a value nor move it to another record. */
import type { Resources } from '../../core/scheme.ts';
import type { Key } from '../../core/store.ts';
import { open, seal } from '../../crypto/seal.ts';
import { utf8 } from '../../encoding/bytes.ts';

const SALT_BYTES = 16;
const decoder = new TextDecoder();

export interface Sealed<Value extends object> {
  seal(key: Key, value: Value): string;
  /** @throws {Fault} `sealed` when the value was altered or moved, or its key is gone. */
  open(key: Key, text: string): Value;
}

/** @param purpose no two kinds of record share one. */
export function sealedAs<Value extends object>(
  purpose: string,
  { keyring, random }: Pick<Resources, 'keyring' | 'random'>,
): Sealed<Value> {
  return {
    seal: (key, value) =>
      seal({
        wrapKey: keyring.active('wrap'),
        purpose,
        key,
        plaintext: utf8(JSON.stringify(value)),
        salt: random(SALT_BYTES),
      }),
    open: (key, sealed) =>
      JSON.parse(decoder.decode(open({ wrapKeys: keyring.usable('wrap'), purpose, key, sealed }))) as Value,
  };
}
