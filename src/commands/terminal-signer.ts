/** One kind of signer that `countersign sign` and `countersign curl` know; `signers.ts` lists them. */
import type { Signer } from '../core/signer.ts';
import type { Options, Values } from './command.ts';

export interface TerminalSigner {
  /** What it makes covers no request: whoever holds it may send any. */
  readonly isToken?: true;
  /** The time in its proofs is the server's: no client can make an old one. */
  readonly hasServerTime?: true;
  /** Its options as the help shows them, behind `--scheme NAME`. */
  readonly usage: string;
  /** Options of its own, besides those that `sign` and `curl` have for every scheme. Secrets come from files, never from the command line. */
  readonly options: Options;
  /** @throws {CommandError} options missing or files unreadable. @throws {CountersignError} what the signer's own set-up met. */
  signer(values: Values): Promise<Signer>;
}
