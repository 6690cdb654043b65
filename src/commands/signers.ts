/** What `countersign sign` and `countersign curl` can sign with: one file per scheme in `signers/`, one line here. */
import type { Signer } from '../core/signer.ts';
import type { Options, Values } from './command.ts';
import { challengeSignatureSigner } from './signers/challenge-signature.ts';
import { clientChallengeSigner } from './signers/client-challenge.ts';
import { opaquePopSigner } from './signers/opaque-pop.ts';

export interface TerminalSigner {
  /** Its options as the help shows them, behind `--scheme NAME`. */
  readonly usage: string;
  /** Options of its own, besides those that `sign` and `curl` have for every scheme. Secrets come from files, never from the command line. */
  readonly options: Options;
  /** @throws {CommandError} options missing or files unreadable. @throws {CountersignError} what the signer's own set-up met. */
  signer(values: Values): Promise<Signer>;
}

export const SIGNERS: Readonly<Record<string, TerminalSigner>> = {
  'challenge-signature': challengeSignatureSigner,
  'client-challenge': clientChallengeSigner,
  'opaque-pop': opaquePopSigner,
};
