/** The digests of better-auth where a Check waits for them: synchronous, Blake3 being loaded with the module. */
import { loadBlake3 } from '../encoding/blake3.ts';
import { hashText } from '../encoding/cesr.ts';

const blake3 = await loadBlake3();

/** The hash H over the texts one behind the other, as a CESR word `E`. */
export function textDigest(...texts: readonly string[]): string {
  return hashText(blake3, ...texts);
}
