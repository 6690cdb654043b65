/** What `sign`, `curl` and `verify-deployment` can sign with: one file per scheme in `signers/`, one line here. */
import type { BodyCover } from '../client/request.ts';
import { CountersignError } from '../core/client-error.ts';
import type { Signer } from '../core/signer.ts';
import { whyUnreachable } from './admin-api.ts';
import { CommandError, EXIT, optional, required, type Options, type Values } from './command.ts';
import { betterAuthSigner } from './signers/better-auth.ts';
import { challengeSignatureSigner } from './signers/challenge-signature.ts';
import { clientChallengeSigner } from './signers/client-challenge.ts';
import { opaquePopSigner } from './signers/opaque-pop.ts';
import { timeScrambledSigner } from './signers/time-scrambled.ts';
import type { TerminalSigner } from './terminal-signer.ts';

const SIGNERS: Readonly<Record<string, TerminalSigner>> = {
  'better-auth': betterAuthSigner,
  'challenge-signature': challengeSignatureSigner,
  'client-challenge': clientChallengeSigner,
  'opaque-pop': opaquePopSigner,
  'time-scrambled': timeScrambledSigner,
};

/** Options of every scheme together: one name means one thing. */
export const SIGNER_OPTIONS: Options = {
  ...Object.assign({}, ...Object.values(SIGNERS).map(({ options }) => options)),
  scheme: { type: 'string' },
  tenant: { type: 'string' },
  issuer: { type: 'string' },
  body: { type: 'string' },
};

/** For the help, one line a scheme. */
export const SIGNERS_USAGE = Object.entries(SIGNERS)
  .map(([name, { usage }]) => `\n  --scheme ${name} ${usage}`)
  .join('');

/** @throws {CommandError} usage */
export function terminalOf(values: Values): TerminalSigner {
  const scheme = required(values, 'scheme');
  const found = Object.hasOwn(SIGNERS, scheme) ? SIGNERS[scheme] : undefined;
  if (found !== undefined) return found;
  throw new CommandError(EXIT.usage, `--scheme: expected ${Object.keys(SIGNERS).join(', ')}, got "${scheme}"`);
}

/** @throws {CommandError} usage, unreadable */
export function signerOf(values: Values): Promise<Signer> {
  return terminalOf(values).signer(values);
}

/** @throws {CommandError} usage */
export function bodyCoverOf(values: Values): BodyCover {
  const body = optional(values, 'body') ?? 'required';
  if (body === 'required' || body === 'none') return body;
  throw new CommandError(EXIT.usage, `--body: expected required or none, got "${body}"`);
}

/** Refusals, unreadable keys and dead connections have exit codes of their own. */
export async function judged<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (thrown) {
    if (thrown instanceof CountersignError) throw new CommandError(exitOf(thrown), thrown.message, { cause: thrown });
    const reason = whyUnreachable(thrown);
    if (reason === undefined) throw thrown;
    throw new CommandError(EXIT.unreachable, `no answer (${reason})`, { cause: thrown });
  }
}

export function exitOf({ code, status }: CountersignError): number {
  if (code === 'key_unusable') return EXIT.unreadable;
  if (code === 'request_unsuitable' || code === 'body_not_fixed') return EXIT.usage;
  if (code === 'unavailable' || code === 'not_offered' || code === 'answer_invalid') return EXIT.unreachable;
  // A wrong password is found out before the server is asked.
  return status === undefined && code !== 'signature_invalid' ? EXIT.failed : EXIT.refused;
}
