/** Members of requests that hold bytes. Exact length and canonical form are checked here, before anything is looked up or computed. */
import * as v from 'valibot';
import { fromHex } from '../../encoding/bytes.ts';
import { isInvitationToken } from '../../core/registration.ts';
import { decodeExactly } from './message.ts';

/** Canonical base64url of exactly so many bytes. */
export function base64url(bytes: number) {
  return decoded((text) => decodeExactly(text, bytes));
}

/** Lower-case hex of exactly so many bytes. */
export function hex(bytes: number) {
  return decoded((text) => (text.length === 2 * bytes ? fromHex(text) : undefined));
}

export function invitation() {
  return v.pipe(v.string(), v.check(isInvitationToken));
}

function decoded(decode: (text: string) => Uint8Array | undefined) {
  return v.pipe(
    v.string(),
    v.check((text) => decode(text) !== undefined),
    v.transform((text) => decode(text) ?? new Uint8Array(0)),
  );
}
