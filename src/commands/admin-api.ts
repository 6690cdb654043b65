/** Calls of the admin API by commands. */
import { readFileSync } from 'node:fs';
import { CommandError, EXIT, optional, required, type Options, type Values } from './command.ts';

export const ADMIN_OPTIONS: Options = { admin: { type: 'string' }, 'token-file': { type: 'string' } };
export const DEFAULT_ADMIN = 'http://127.0.0.1:9090';

const WAIT_MS = 10_000;

/** @returns the answer's members. @throws {CommandError} unreachable, refused */
export async function callAdmin(values: Values, method: 'PUT' | 'POST', path: string, body: object): Promise<unknown> {
  const file = required(values, 'token-file');
  let token: string;
  try {
    token = readFileSync(file, 'utf8').trim();
  } catch {
    throw new CommandError(EXIT.unreadable, `${file}: expected a readable file with the admin token`);
  }
  const admin = optional(values, 'admin') ?? DEFAULT_ADMIN;
  const answer = await request(new URL(path, admin), {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const members = (await answer.json().catch(() => ({}))) as { code?: string };
  if (answer.ok) return members;
  throw new CommandError(EXIT.refused, `${method} ${path}: ${answer.status} ${members.code ?? ''}`.trimEnd());
}

/** @throws {CommandError} unreachable */
export async function request(url: URL, init: RequestInit = {}): Promise<Response> {
  try {
    return await fetch(url, { ...init, signal: AbortSignal.timeout(WAIT_MS), redirect: 'manual' });
  } catch (cause) {
    throw new CommandError(EXIT.unreachable, `${url.origin}: no answer (${reasonOf(cause)})`, { cause });
  }
}

/** Of what `fetch` throws: the code of the system's error, when there is one. */
export function reasonOf(thrown: unknown): string {
  const cause = Error.isError(thrown) ? thrown.cause : undefined;
  if (Error.isError(cause) && 'code' in cause) return String(cause.code);
  return Error.isError(thrown) ? thrown.name : 'unknown';
}
