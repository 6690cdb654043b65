/** The operations of v0 and where clients reach them. */
import type { Endpoint } from '../../../core/scheme.ts';
import { begin, beginPassphrase, challengeCharges, complete, completePassphrase } from './authentication.ts';
import { requestRegistration } from './invitation.ts';
import { bareOperation, signedOperation, type V0Parts } from './operation.ts';
import { endSession, refresh } from './refresh.ts';
import { registerKey, registerPassphraseKey } from './registration.ts';
import { requests } from './requests.ts';
import { rotate } from './rotation.ts';

export function issuerEndpoints(parts: V0Parts): readonly Endpoint[] {
  const charges = (payload: { identification: { accountId: string } }, source: string) =>
    challengeCharges(parts, payload.identification.accountId, source);
  const byKey = [
    signedOperation(parts, '/register/key', requests.registerKey, (...args) => registerKey(parts, ...args)),
    signedOperation(parts, '/rotate/key', requests.rotateKey, (message) => rotate(parts, message)),
    bareOperation(parts, '/authenticate/begin', requests.begin, charges, (...args) => begin(parts, ...args)),
    signedOperation(parts, '/authenticate/complete', requests.complete, (...args) => complete(parts, ...args)),
    signedOperation(parts, '/refresh', requests.refresh, (...args) => refresh(parts, ...args)),
    signedOperation(parts, '/session/end', requests.endSession, (...args) => endSession(parts, ...args)),
    signedOperation(parts, '/register/request', requests.requestRegistration, (...args) =>
      requestRegistration(parts, ...args),
    ),
  ];
  const byPassphrase = [
    signedOperation(parts, '/register/passphrase-key', requests.registerPassphraseKey, (...args) =>
      registerPassphraseKey(parts, ...args),
    ),
    bareOperation(parts, '/authenticate-passphrase/begin', requests.begin, charges, (...args) =>
      beginPassphrase(parts, ...args),
    ),
    signedOperation(parts, '/authenticate-passphrase/complete', requests.completePassphrase, (...args) =>
      completePassphrase(parts, ...args),
    ),
  ];
  return parts.settings.v0.passphrase ? [...byKey, ...byPassphrase] : byKey;
}
