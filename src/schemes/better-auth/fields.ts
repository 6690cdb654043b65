/**
 * Members of messages and tokens by role: each role takes one code, so a word of another kind never gets in. Decoding is
 * `encoding/cesr.ts`; whether a point lies on its curve is asked when the key is imported (`imported-keys.ts`).
 */
import * as v from 'valibot';
import { Denial } from '../../core/decision.ts';
import { decode, isNonce, type Code } from '../../encoding/cesr.ts';

/** The word stays text: keys, digests and identifiers are compared and hashed as they are written. */
function word(code: Code, role: string) {
  return v.pipe(
    v.string(`${role}: a CESR word`),
    v.check((text) => isWord(text, code), `${role}: a CESR word ${code}`),
  );
}

function isWord(text: string, code: Code): boolean {
  try {
    return decode(text, [code]).code === code;
  } catch (thrown) {
    if (thrown instanceof Denial) return false;
    throw thrown;
  }
}

/** P-256 key of a device, a session, an access token or the server. 48 characters. */
export const publicKey = (role = 'publicKey') => word('1AAI', role);
/** Ed25519 key from a passphrase. 44 characters. */
export const passphraseKey = (role = 'publicKey') => word('B', role);
/** Digest, identity, device; in v0 also a 256-bit label. 44 characters. */
export const digest = (role: string) => word('E', role);
/** By a P-256 key. 88 characters. */
export const signature = () => word('0I', 'signature');
/** By a passphrase key. 88 characters. */
export const passphraseSignature = () => word('0B', 'signature');
/** Nonce and challenge, compared as text. 24 characters. */
export const nonce = (role = 'nonce') =>
  v.pipe(
    v.string(`${role}: a nonce`),
    v.check((text) => isNonce(text), `${role}: a nonce`),
  );
