/** The closed schemas of v1 requests: exactly these members, in any order, each of its own code. */
import * as v from 'valibot';
import { digest, nonce, publicKey, signature } from '../fields.ts';

const identified = { device: digest('device'), identity: digest('identity') };
const committed = { ...identified, publicKey: publicKey(), rotationHash: digest('rotationHash') };

const authentication = v.strictObject(committed);
const withRecoveryHash = v.strictObject({ ...committed, recoveryHash: digest('recoveryHash') });
const accessKeys = { publicKey: publicKey('access.publicKey'), rotationHash: digest('access.rotationHash') };

/** Also of `account/delete`. */
export const ROTATE = v.strictObject({ authentication });
/** Of `account/create` and `recovery/change`. */
export const NAME_RECOVERY = v.strictObject({ authentication: withRecoveryHash });
export const RECOVER = v.strictObject({
  authentication: v.strictObject({
    ...committed,
    recoveryHash: digest('recoveryHash'),
    recoveryKey: publicKey('recoveryKey'),
  }),
});
export const LINK = v.strictObject({
  authentication,
  link: v.strictObject({ payload: v.strictObject({ authentication }), signature: signature() }),
});
export const UNLINK = v.strictObject({ authentication, link: v.strictObject({ device: digest('link.device') }) });
export const REQUEST_SESSION = v.strictObject({ authentication: v.strictObject({ identity: digest('identity') }) });
export const CREATE_SESSION = v.strictObject({
  access: v.strictObject(accessKeys),
  authentication: v.strictObject({ device: digest('device'), nonce: nonce('authentication.nonce') }),
});
export const REFRESH_SESSION = v.strictObject({ access: v.strictObject({ ...accessKeys, token: v.string() }) });

export type Committed = v.InferOutput<typeof authentication>;
