/** What a client signs to register its own key: shared by the client library and the enrolment endpoint (`users/`). Browser-safe. */
import { lpConcat } from './bytes.ts';

const LABEL = 'countersign/enrol-key/1';

/**
 * @param aud origin of the deployment that the client means to join: an enrolment made for one is worthless at another.
 * @param invitation 43 characters, as text.
 * @param thumbprint RFC 7638 SHA-256 of the key, 32 bytes.
 */
export function enrolMessage(aud: string, invitation: string, kid: string, thumbprint: Uint8Array): Uint8Array {
  return lpConcat(LABEL, aud, invitation, kid, thumbprint);
}
