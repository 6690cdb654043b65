/** Calls of the admin API by commands. */
import { readFileSync } from 'node:fs';
import { CommandError, EXIT, httpUrl, optional, required, type Options, type Values } from './command.ts';

export const ADMIN_OPTIONS: Options = { admin: { type: 'string' }, 'token-file': { type: 'string' } };
const DEFAULT_ADMIN = 'http://127.0.0.1:9090';

const WAIT_MS = 10_000;

/** @returns the answer's members. @throws {CommandError} unreachable, refused, unreadable, usage */
export async function callAdmin(values: Values, method: 'PUT' | 'POST', path: string, body: object): Promise<unknown> {
  const url = new URL(path, adminUrl(values));
  const token = readToken(required(values, 'token-file'));
  const answer = await request(url, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const members = (await answer.json().catch(() => ({}))) as { code?: unknown };
  if (answer.ok) return members;
  const code = typeof members.code === 'string' ? ` ${members.code}` : '';
  const hint = answer.status === 404 ? ' (no such user, or the admin API is off: listeners.admin.tokenFile)' : '';
  const exit = answer.status >= 500 ? EXIT.unreachable : EXIT.refused;
  throw new CommandError(exit, `${method} ${path}: ${answer.status}${code}${hint}`);
}

/** @throws {CommandError} usage */
export function adminUrl(values: Values): URL {
  return httpUrl(optional(values, 'admin') ?? DEFAULT_ADMIN, '--admin');
}

function readToken(file: string): string {
  let token: string;
  try {
    token = readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (cause) {
    throw new CommandError(EXIT.unreadable, `${file}: expected a readable file with the admin token`, { cause });
  }
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new CommandError(EXIT.unreadable, `${file}: expected one line of printable ASCII, the admin token`);
}

/** @throws {CommandError} unreachable */
export async function request(url: URL, init: RequestInit = {}): Promise<Response> {
  try {
    return await fetch(url, { ...init, signal: AbortSignal.timeout(WAIT_MS), redirect: 'manual' });
  } catch (thrown) {
    const reason = whyUnreachable(thrown);
    if (reason === undefined) throw thrown;
    throw new CommandError(EXIT.unreachable, `${url.origin}: no answer (${reason})`, { cause: thrown });
  }
}

/** @returns why `fetch` got no answer; undefined when what it threw has another cause. */
export function whyUnreachable(thrown: unknown): string | undefined {
  if (!Error.isError(thrown)) return undefined;
  if (thrown.name === 'TimeoutError') return 'timeout';
  if (thrown.message !== 'fetch failed') return undefined;
  const { cause } = thrown;
  if (!Error.isError(cause)) return 'failed';
  return 'code' in cause ? String(cause.code) : cause.message;
}
