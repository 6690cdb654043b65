/**
 * The last look at an answer: its bytes, read as the proxy reads them, must be what was meant. It knows nothing of how answers are
 * made, so a mistake there is not repeated here. On a mismatch the caller sends its prepared deny.
 */

export type Intent = 'allow' | 'deny';

/** PERMISSION_DENIED, RESOURCE_EXHAUSTED, UNAVAILABLE, UNAUTHENTICATED. */
const DENY_CODES: readonly number[] = [0x07, 0x08, 0x0e, 0x10];

/**
 * A deny is `0a 02 08 cc`, then one denied or error response; an allow is `0a 00`, then one ok response; metadata may follow. Nothing else,
 * least of all a second status, which protobuf would merge into the first.
 */
export function isAnswer(answer: Uint8Array, intent: Intent): boolean {
  const fields = topLevelFields(answer);
  if (intent === 'allow') return answer[1] === 0 && (fields === 0x13 || fields === 0x134);
  return (
    answer[1] === 2 &&
    answer[2] === 0x08 &&
    DENY_CODES.includes(answer[3] ?? 0) &&
    (fields === 0x12 || fields === 0x124 || fields === 0x15 || fields === 0x145)
  );
}

/** Numbers of the fields, in order, all length-delimited, a hexadecimal digit each; 0 when the bytes are anything else. */
function topLevelFields(answer: Uint8Array): number {
  let fields = 0;
  let at = 0;
  while (at < answer.length) {
    const key = answer[at++] ?? 0;
    if ((key & 7) !== 2 || key >= 0x80 || fields > 0xfff) return 0;
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = answer[at++];
      if (byte === undefined || shift > 21) return 0;
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    at += length;
    if (at > answer.length) return 0;
    fields = (fields << 4) | (key >>> 3);
  }
  return fields;
}
