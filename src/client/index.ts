/**
 * `countersign/client`: signed requests from browsers and Node. One signer per scheme; keys in the browser here, keys in files in
 * `countersign/client/node`.
 */
export { type ClientErrorCode, CountersignError } from '../core/client-error.ts';
export type { PublicJwk, SignatureAlg } from '../core/directory.ts';
export type { IssuerConnection, Signer, SigningKey } from '../core/signer.ts';
export { type Client, type ClientOptions, createClient, type SignedRequest } from './client.ts';
export { connectIssuer, type IssuerAddress } from './connect.ts';
export { enrol, type Enrolled, type Enrolment } from './enrol.ts';
export { browserKey, forgetBrowserKey } from './key-store.ts';
export { generateKeyPair, type KeyPair, signingKey, thumbprint } from './keys.ts';

export { challengeSignature, type ChallengeSignatureCredential } from '../schemes/challenge-signature/client.ts';
export { clientChallenge, type ClientChallengeCredential } from '../schemes/client-challenge/client.ts';
export {
  changePassword,
  exportSession,
  importSession,
  logIn,
  type LogInOptions,
  logOut,
  opaquePop,
  type PasswordCredential,
  type PasswordSession,
  registerPassword,
} from '../schemes/opaque-pop/client.ts';
