/**
 * `countersign/client`: signed requests from browsers and Node. One signer per scheme; keys in the browser here, keys in files in
 * `countersign/client/node`.
 */
export { type ClientErrorCode, CountersignError } from '../core/client-error.ts';
export type { PublicJwk, SignatureAlg } from '../core/directory.ts';
export type { ClientState, IssuerConnection, MessageChannel, Signer, SigningKey } from '../core/signer.ts';
export { browserChains } from './chains.ts';
export { type Client, type ClientOptions, createClient, type SignedRequest } from './client.ts';
export { connectIssuer, connectMessages, type IssuerAddress } from './connect.ts';
export { enrol, type Enrolled, type Enrolment } from './enrol.ts';
export { browserKey, forgetBrowserKey } from './key-store.ts';
export { generateKeyPair, type KeyPair, signingKey, thumbprint } from './keys.ts';
export { browserState, memoryState } from './state.ts';

export type { BetterAuthAccess } from '../schemes/better-auth/client-reply.ts';
export {
  loginV0Passphrase,
  registerV0Passphrase,
  requestV0Registration,
  type V0Device,
  v0Device,
  type V0Passphrase,
  v0PassphraseSession,
} from '../schemes/better-auth/v0/client.ts';
export type { ClientSession } from '../schemes/better-auth/v0/client-session.ts';
export { argon2id, type Argon2Cost } from '../encoding/argon2id.ts';
export { type Deriving, passphraseKey, type Stretching } from '../schemes/better-auth/v0/client-passphrase.ts';
export { type V1Account, type V1Device, v1Device, v1RecoveryHash } from '../schemes/better-auth/v1/client.ts';
export { formatReply, type ReplyContent } from '../schemes/better-auth/v1/message.ts';
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
export { timeScrambled } from '../schemes/time-scrambled/client.ts';
export {
  type Anchors,
  type ChainEnrolment,
  type ChainWish,
  enrolChains,
  keepEnrolment,
  makeChains,
} from '../schemes/time-scrambled/client-enrol.ts';
export type { ChainStorage, HeldLane } from '../schemes/time-scrambled/client-state.ts';
