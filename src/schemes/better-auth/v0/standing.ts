/** Whether a v0 account still stands behind an access token: three reads, so that every revocation counts on the next request. */
import { constantTimeEqual } from '../../../crypto/equal.ts';
import { encodeBase64url } from '../../../encoding/base64url.ts';
import { utf8 } from '../../../encoding/bytes.ts';
import type { Standing } from '../access-message.ts';
import { tokenDigest, type DecodedToken } from '../tokens.ts';
import { PASSPHRASE } from './account.ts';
import type { V0Parts } from './operation.ts';
import { isBacked, isLive } from './session.ts';

/** Asked only once the message's signature holds, so none of the answers tells a stranger anything. */
export async function standing({ records, settings }: V0Parts, token: DecodedToken, nowMs: number): Promise<Standing> {
  const binding = (await records.binding(token.content.publicKey))?.record;
  if (binding === undefined) return revoked('no token is bound to the access key');
  if (!constantTimeEqual(utf8(binding.digest), utf8(encodeBase64url(tokenDigest(token)))))
    return revoked('the access key signs for another token');

  const session = (await records.session(binding.sessionId))?.record;
  if (session === undefined || !isLive(session, nowMs)) return revoked('the session has ended');
  const account = (await records.account(binding.accountId))?.record;
  if (account === undefined || account.state === 'deleted') return revoked('the account is gone');
  if (!isBacked(session, account, settings.v0.passphrase)) return revoked('the method of the session is gone');
  return { isRevoked: false, keyId: session.deviceId ?? PASSPHRASE, device: session.deviceId };
}

function revoked(why: string): Standing {
  return { isRevoked: true, why };
}
