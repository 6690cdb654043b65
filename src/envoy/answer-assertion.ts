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
  if (intent === 'allow') return answer[1] === 0 && (fields === '1 3' || fields === '1 3 4');
  return (
    answer[1] === 2 &&
    answer[2] === 0x08 &&
    DENY_CODES.includes(answer[3] ?? 0) &&
    (fields === '1 2' || fields === '1 2 4' || fields === '1 5' || fields === '1 4 5')
  );
}

/** Numbers of the fields, in order, all length-delimited; undefined when the bytes are anything else. */
function topLevelFields(answer: Uint8Array): string | undefined {
  const fields: number[] = [];
  let at = 0;
  while (at < answer.length) {
    const key = answer[at++] ?? 0;
    if ((key & 7) !== 2) return undefined;
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = answer[at++];
      if (byte === undefined || shift > 21) return undefined;
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    at += length;
    if (at > answer.length) return undefined;
    fields.push(key >>> 3);
  }
  return fields.join(' ');
}
