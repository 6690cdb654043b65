/** What each wire version gives to the scheme that speaks both: `v0/index.ts` and `v1/index.ts` make one. */
import type { Endpoint } from '../../core/scheme.ts';
import type { Standing } from './access-message.ts';
import type { DecodedToken } from './tokens.ts';

export interface Version {
  /** Issuer and admin. */
  readonly endpoints: readonly Endpoint[];
  /** Whether the account stands behind a token of this version, whose signatures have verified. @throws {StoreFault} */
  standing(token: DecodedToken, nowMs: number): Promise<Standing>;
  /** The administrator's. @returns false without such an account or device. @throws {StoreFault} */
  revoke(subject: string, what: Revocation): Promise<boolean>;
}

export type Revocation =
  | { readonly kind: 'account' }
  /** Those made until now. */
  | { readonly kind: 'sessions' }
  | { readonly kind: 'device'; readonly device: string }
  /** v0 alone. */
  | { readonly kind: 'passphrase' };
