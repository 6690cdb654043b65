/** From the session key of a login to the key that MACs requests. The session key is dropped afterwards. */
import { Secret } from '../../core/secret.ts';
import { hkdfSha256, hkdfSha512 } from '../../crypto/digest.ts';
import { utf8 } from '../../encoding/bytes.ts';
import { STRICT_KEY_BYTES, strictKeyInfo, type Profile } from './message.ts';
import { SEED_KEY_BYTES, SEED_KEY_INFO, SEED_KEY_SALT } from './seed-message.ts';

/**
 * RFC 5869. The labels separate this from every other use of the session key; never encrypt with the result.
 *
 * @param sessionKey 64 bytes, known to whoever has just proven the password and to the server.
 * @param sid 43 characters; `strict` binds the key to it.
 */
export function macKey(profile: Profile, sessionKey: Uint8Array, sid: string): Secret<Uint8Array> {
  return new Secret(
    profile === 'strict'
      ? hkdfSha512(sessionKey, strictKeyInfo(sid), STRICT_KEY_BYTES)
      : hkdfSha256(sessionKey, SEED_KEY_INFO, SEED_KEY_BYTES, utf8(SEED_KEY_SALT)),
  );
}
