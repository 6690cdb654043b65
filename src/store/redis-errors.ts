/**
 * From what went wrong to a reason of the closed set, by table. The text of an error of the client library never goes further: it may
 * hold the arguments of the command, and so a password.
 */
import { StoreFault, type StoreFaultReason } from '../core/fault.ts';

/** First word of an error reply. Whatever is not named is not understood: `protocol`. */
const REASONS: Readonly<Record<string, StoreFaultReason>> = {
  OOM: 'full',
  NOREPLICAS: 'fenced',
  READONLY: 'readonly',
  LOADING: 'loading',
  MASTERDOWN: 'loading',
  BUSY: 'busy',
  TRYAGAIN: 'busy',
  MOVED: 'moved',
  ASK: 'moved',
  CLUSTERDOWN: 'down',
  NOAUTH: 'auth',
  WRONGPASS: 'auth',
  NOPERM: 'auth',
};

/** Of a command inside a script, NOPERM reads so. */
const REFUSED_IN_SCRIPT = 'ERR ACL failure in script';

/** The server can't be asked now. The others say something about one command, or wait for the operator. */
const BREAKING: ReadonlySet<StoreFaultReason> = new Set(['down', 'timeout', 'readonly', 'loading', 'busy', 'moved']);

/** @param thrown what the client library rejected with, or a fault already. */
export function storeFault(thrown: unknown): StoreFault {
  if (thrown instanceof StoreFault) return thrown;
  if (!Error.isError(thrown)) return new StoreFault('protocol', 'the client library threw something that is no error');
  if (thrown.name === 'ReplyError') {
    const word = thrown.message.startsWith(REFUSED_IN_SCRIPT) ? 'NOPERM' : firstWord(thrown.message);
    const reason = REASONS[word] ?? 'protocol';
    return new StoreFault(
      reason,
      `the server answered ${word in REASONS ? word : 'an error that is not in the table'}`,
    );
  }
  if (thrown.message.startsWith('Too many Cluster redirections'))
    return new StoreFault('moved', 'too many redirections');
  // The parser's own errors; after them the library drops the connection.
  if (thrown.message.endsWith('Please report this.')) return new StoreFault('protocol', 'the answer is not RESP');
  return new StoreFault('down', `the connection is down${codeOf(thrown)}`);
}

export function countsForBreaker(reason: StoreFaultReason): boolean {
  return BREAKING.has(reason);
}

/** The server does not have the script: nothing was run. */
export function isNoScript(thrown: unknown): boolean {
  return Error.isError(thrown) && thrown.name === 'ReplyError' && firstWord(thrown.message) === 'NOSCRIPT';
}

function firstWord(text: string): string {
  return /^[A-Z]+/.exec(text)?.[0] ?? '';
}

function codeOf(error: Error & { code?: unknown }): string {
  return typeof error.code === 'string' && /^[A-Z_0-9]{1,40}$/.test(error.code) ? ` (${error.code})` : '';
}
