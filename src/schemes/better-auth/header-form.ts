/**
 * The access message as an Authorization header, for bodies that are the API's own and for requests without one. Its signature covers
 * method, scheme, authority, target and body besides time, nonce and token; the wire is `message-header.ts`.
 */
import { coveredBody } from '../../core/body.ts';
import { deny } from '../../core/decision.ts';
import type { AuthRequest, RoutePolicy } from '../../core/request.ts';
import { sha256 } from '../../crypto/digest.ts';
import { parseAuthHeader } from '../../encoding/auth-header.ts';
import type { AccessMessage } from './access-message.ts';
import { headerSignedBytes, parseHeaderProof } from './message-header.ts';
import type { Parts } from './parts.ts';
import type { Settings } from './settings.ts';
import { tokenDigest } from './tokens.ts';

const CONSUMED = ['authorization'];
const NOT_COVERED = new Uint8Array(0);

/** @throws {Denial} `malformed`, `body_unverifiable` */
export function readHeaderForm({ tokens }: Parts, request: AuthRequest, policy: RoutePolicy): AccessMessage {
  const { versions } = policy.options as Settings;
  const header = request.headers.single('authorization') ?? deny('credentials_missing', 'no BetterAuth header');
  const { token: text, ...proof } = parseHeaderProof(parseAuthHeader(header).params);
  const token = tokens.decode(text);
  if (!versions.includes(token.content.version))
    deny('malformed', `wire version ${token.content.version} is not taken here`);
  const body = coveredBody(request, policy);
  const bodyDigest = body === null ? NOT_COVERED : sha256(body);
  return {
    token,
    timestampMs: proof.timestampMs,
    nonce: proof.nonce,
    signature: proof.signature,
    signedBytes: headerSignedBytes(tokenDigest(token), proof, request, bodyDigest),
    consumed: CONSUMED,
  };
}
