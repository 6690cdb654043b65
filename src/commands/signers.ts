/** What `countersign sign` and `countersign curl` can sign with: one file per scheme in `signers/`, one line here. */
import { challengeSignatureSigner } from './signers/challenge-signature.ts';
import { clientChallengeSigner } from './signers/client-challenge.ts';
import { opaquePopSigner } from './signers/opaque-pop.ts';
import type { TerminalSigner } from './terminal-signer.ts';

export const SIGNERS: Readonly<Record<string, TerminalSigner>> = {
  'challenge-signature': challengeSignatureSigner,
  'client-challenge': clientChallengeSigner,
  'opaque-pop': opaquePopSigner,
};
