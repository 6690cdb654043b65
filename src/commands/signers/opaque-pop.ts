/**
 * `--scheme opaque-pop`: a password in a file, or a session that an earlier login left in one. With both, the session serves as long as
 * it lasts, then a new one takes its place in the file.
 */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { readSecretFile, SecretFileError } from '../../config/secret-files.ts';
import { CountersignError } from '../../core/client-error.ts';
import { Secret } from '../../core/secret.ts';
import type { IssuerConnection } from '../../core/signer.ts';
import {
  exportSession,
  importSession,
  logIn,
  opaquePop,
  type PasswordSession,
} from '../../schemes/opaque-pop/client.ts';
import { AUTH_SCHEME, SCHEME } from '../../schemes/opaque-pop/message.ts';
import { optional, required, type Values } from '../command.ts';
import type { TerminalSigner } from '../terminal-signer.ts';

export const opaquePopSigner: TerminalSigner = {
  usage: '--user U --password-file FILE|- [--session FILE], or --session FILE',
  options: { user: { type: 'string' }, 'password-file': { type: 'string' }, session: { type: 'string' } },
  async signer(values) {
    const file = optional(values, 'session');
    const passwordLogin = loginOf(values, file);
    const kept = file !== undefined && existsSync(file) ? await readSession(file, values) : undefined;
    let signer = kept && opaquePop(kept);
    if (signer === undefined && passwordLogin === undefined) required(values, 'password-file');
    return {
      scheme: SCHEME,
      authScheme: AUTH_SCHEME,
      async sign(request, issuer) {
        signer ??= opaquePop((await passwordLogin?.(issuer)) ?? noPassword());
        return signer.sign(request, issuer);
      },
      accepted() {},
      refused(refusal, sent) {
        const isOver = refusal.code === 'signature_invalid' || refusal.code === 'revoked';
        if (!isOver) return signer?.refused(refusal, sent) ?? false;
        signer = undefined;
        return passwordLogin !== undefined;
      },
    };
  },
};

/** @returns undefined without a password. */
function loginOf(
  values: Values,
  file: string | undefined,
): ((issuer: IssuerConnection) => Promise<PasswordSession>) | undefined {
  const passwordFile = optional(values, 'password-file');
  if (passwordFile === undefined) return undefined;
  const user = required(values, 'user');
  const tenant = optional(values, 'tenant');
  const password = passwordFile === '-' ? fromStandardInput() : readSecret(passwordFile);
  return async (issuer) => {
    const credential = { user, password: password.reveal(), ...(tenant !== undefined && { tenant }) };
    const session = await logIn(issuer, { ...credential, extractable: file !== undefined });
    if (file !== undefined) writePrivate(file, await exportSession(session));
    return session;
  };
}

/** Whose it is must be who was asked for: nobody acts as another by a file that was left over. */
async function readSession(file: string, values: Values): Promise<PasswordSession> {
  const session = await importSession(readSecret(file).reveal());
  const { user = session.user, tenant = session.tenant } = values;
  if (session.user === user && session.tenant === tenant) return session;
  throw new CountersignError('key_unusable', `${file}: expected a session of this user, not another's`);
}

function readSecret(file: string): Secret<string> {
  try {
    return readSecretFile(file);
  } catch (cause) {
    if (!(cause instanceof SecretFileError)) throw cause;
    throw new CountersignError('key_unusable', cause.message, { cause });
  }
}

function fromStandardInput(): Secret<string> {
  return new Secret(readFileSync(0, 'utf8').replace(/\r?\n$/, ''));
}

/** In one step: a reader never finds half a session. */
function writePrivate(file: string, text: string): void {
  const next = `${file}.next`;
  rmSync(next, { force: true });
  writeFileSync(next, `${text}\n`, { mode: 0o600, flag: 'wx' });
  renameSync(next, file);
}

function noPassword(): never {
  throw new CountersignError('key_unusable', 'the session is over: expected --user and --password-file to log in anew');
}
