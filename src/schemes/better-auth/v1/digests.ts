/** Commitments are compared exactly, case included, in constant time. */
import { constantTimeEqual } from '../../../crypto/equal.ts';
import { utf8 } from '../../../encoding/bytes.ts';

/** @param a @param b CESR words `E`: one raw value has one text. */
export function isEqualDigest(a: string, b: string): boolean {
  return constantTimeEqual(utf8(a), utf8(b));
}
