/**
 * opaque-pop for the client library: registers a password, logs in by it, and signs requests with the session's key. The password and
 * what it is stretched to never leave this machine. When to log in again is the application's decision: it alone can ask for a password.
 */
import { CountersignError } from '../../core/client-error.ts';
import type { IssuerConnection, Signer } from '../../core/signer.ts';
import { decodeBase64url, encodeBase64url } from '../../encoding/base64url.ts';
import { utf8 } from '../../encoding/bytes.ts';
import {
  AUTH_SCHEME,
  decodeExactly,
  formatStrictProof,
  isKeyStretching,
  isSid,
  logoutMessage,
  NONCE_BYTES,
  OPAQUE_BYTES,
  SCHEME,
  STRICT_KEY_BYTES,
  strictKeyInfo,
  strictMessage,
} from './message.ts';

export interface PasswordCredential {
  readonly user: string;
  readonly password: string;
  /** Name space of the deployment's user; absent for the default one. */
  readonly tenant?: string;
}

export interface PasswordSession {
  readonly user: string;
  readonly tenant?: string;
  readonly sid: string;
  /** HMAC, not readable unless the login asked for that. */
  readonly key: CryptoKey;
  /** Unix ms by the server's clock: it ends then, used or not. */
  readonly expiresAtMs: number;
  /** It ends earlier when it is not used for so long. */
  readonly idleMs: number;
}

/**
 * @param issuer `connectIssuer({ scheme: 'opaque-pop', ... })`
 * @throws {CountersignError} `signature_invalid` for an invitation spent, expired or another user's; `conflict` when the user has a
 *   password and the invitation does not say that it may be replaced.
 */
export async function registerPassword(
  issuer: IssuerConnection,
  { user, password, tenant, invitation }: PasswordCredential & { readonly invitation: string },
): Promise<void> {
  const { client, stretching } = await prepare(issuer);
  const secret = normal(password);
  const { clientRegistrationState, registrationRequest } = client.startRegistration({ password: secret });
  const about = { user, invitation, ...inTenant(tenant) };
  const { response } = await issuer.post('register/start', { ...about, request: registrationRequest });
  const { registrationRecord } = refusable('the server did not help with the registration', () =>
    client.finishRegistration({
      clientRegistrationState,
      registrationResponse: expectBytes(response, OPAQUE_BYTES.registrationResponse),
      password: secret,
      keyStretching: stretching,
    }),
  );
  await issuer.post('register/finish', { ...about, record: registrationRecord });
}

export interface LogInOptions extends PasswordCredential {
  /** The key can be read out again, by `exportSession`: for programs that keep a session in a file of their own. */
  readonly extractable?: boolean;
}

/**
 * @throws {CountersignError} `signature_invalid` for a wrong password and for a user that has none, which nobody can tell apart;
 *   `revoked` for a disabled user.
 */
export async function logIn(issuer: IssuerConnection, options: LogInOptions): Promise<PasswordSession> {
  const { session } = await performLogin(issuer, options, {});
  return session;
}

/** Ends all sessions of the user, this one's included. @throws {CountersignError} as `logIn` and `registerPassword`. */
export async function changePassword(
  issuer: IssuerConnection,
  { newPassword, ...credential }: PasswordCredential & { readonly newPassword: string },
): Promise<void> {
  const { answer } = await performLogin(issuer, credential, { changePassword: true });
  const { invitation } = answer;
  if (typeof invitation !== 'string') throw invalid('the issuer answered without an invitation');
  await registerPassword(issuer, { ...credential, password: newPassword, invitation });
}

/** Ends the session on the server. @throws {CountersignError} `signature_invalid` when it had ended already. */
export async function logOut(issuer: IssuerConnection, { sid, key, tenant }: PasswordSession): Promise<void> {
  await issuer.parameters(); // From here on the connection knows the server's time, whatever this machine's clock says.
  const fresh = { sid, tsMs: Math.floor(issuer.nowMs()), nonce: newNonce() };
  const mac = await hmac(key, logoutMessage(fresh));
  const text = { nonce: encodeBase64url(fresh.nonce), mac: encodeBase64url(mac) };
  await issuer.post('logout', { sid, ts: fresh.tsMs, ...text, ...inTenant(tenant) });
}

export function opaquePop({ sid, key }: Pick<PasswordSession, 'sid' | 'key'>): Signer {
  return {
    scheme: SCHEME,
    authScheme: AUTH_SCHEME,
    async sign(request, issuer) {
      const fresh = { sid, tsMs: Math.floor(issuer.nowMs()), nonce: newNonce() };
      const mac = await hmac(key, strictMessage(fresh, request, request.bodyDigest));
      return [['authorization', formatStrictProof({ ...fresh, mac })]];
    },
    accepted() {},
    refused: ({ code }) => code === 'stale' || code === 'not_yet_valid' || code === 'replayed',
  };
}

/** Text for a file that nobody else may read: whoever has it is logged in. @throws {CountersignError} `key_unusable` unless the login said `extractable`. */
export async function exportSession({ key, ...session }: PasswordSession): Promise<string> {
  if (!key.extractable) throw new CountersignError('key_unusable', 'the key of this session can not be read out');
  const k = encodeBase64url(new Uint8Array(await crypto.subtle.exportKey('raw', key)));
  return JSON.stringify({ ...session, k });
}

/** @throws {CountersignError} `key_unusable` for anything but what `exportSession` gave. */
export async function importSession(text: string): Promise<PasswordSession> {
  const { k, user, tenant, sid, expiresAtMs, idleMs } = parseObject(text);
  const raw = decodeExactly(k, STRICT_KEY_BYTES);
  const isSession =
    raw !== undefined &&
    typeof user === 'string' &&
    (tenant === undefined || typeof tenant === 'string') &&
    typeof sid === 'string' &&
    isSid(sid) &&
    Number.isSafeInteger(expiresAtMs) &&
    Number.isSafeInteger(idleMs);
  if (!isSession) throw new CountersignError('key_unusable', 'expected a session as exportSession gives it');
  const key = await crypto.subtle.importKey('raw', new Uint8Array(raw), HMAC, false, ['sign']);
  const times = { expiresAtMs: expiresAtMs as number, idleMs: idleMs as number };
  return { user, sid, key, ...times, ...inTenant(tenant) };
}

const HMAC = { name: 'HMAC', hash: 'SHA-256' } as const;

type Answer = Readonly<Record<string, unknown>>;

async function performLogin(
  issuer: IssuerConnection,
  { user, password, tenant, extractable = false }: LogInOptions,
  wish: { readonly changePassword?: true },
): Promise<{ session: PasswordSession; answer: Answer }> {
  const { client, stretching } = await prepare(issuer);
  const secret = normal(password);
  const { clientLoginState, startLoginRequest } = client.startLogin({ password: secret });
  const about = inTenant(tenant);
  const first = await issuer.post('login/start', { user, request: startLoginRequest, ...about });
  const loginResponse = expectBytes(first['response'], OPAQUE_BYTES.ke2);
  const finished = refusable('the server answered outside the protocol', () =>
    client.finishLogin({ clientLoginState, loginResponse, password: secret, keyStretching: stretching }),
  );
  if (finished === undefined) throw new CountersignError('signature_invalid', 'wrong user or password');
  const second = { loginId: first['loginId'], finalization: finished.finishLoginRequest };
  const answer = await issuer.post('login/finish', { ...second, ...wish, ...about });
  const { sid, expiresAtMs, idleMs } = answer;
  if (typeof sid !== 'string' || !isSid(sid) || !Number.isSafeInteger(expiresAtMs) || !Number.isSafeInteger(idleMs))
    throw invalid('the issuer answered without a session');
  const key = await deriveKey(finished.sessionKey, sid, extractable);
  const times = { expiresAtMs: expiresAtMs as number, idleMs: idleMs as number };
  return { session: { user, sid, key, ...times, ...about }, answer };
}

/** The engine is half a megabyte: only who uses passwords loads it. What a password costs is the deployment's to say, within bounds. */
async function prepare(issuer: IssuerConnection) {
  const { ksf } = await issuer.parameters();
  if (!isKeyStretching(ksf)) throw invalid('the deployment asks for a key stretching out of all bounds');
  const { client, ready } = await import('@serenity-kit/opaque');
  await ready;
  const { memoryKib: memory, iterations, parallelism } = ksf;
  return { client, stretching: { 'argon2id-custom': { memory, iterations, parallelism } } };
}

/** Two keyboards may compose one letter differently. */
function normal(password: string): string {
  if (!password.isWellFormed()) throw new CountersignError('request_unsuitable', 'a password that has no UTF-8 form');
  return password.normalize('NFC');
}

async function deriveKey(sessionKey: string, sid: string, extractable: boolean): Promise<CryptoKey> {
  const ikm = new Uint8Array(decodeBase64url(sessionKey) ?? []);
  const base = await crypto.subtle.importKey('raw', ikm, 'HKDF', false, ['deriveKey']);
  const info = new Uint8Array(utf8(strictKeyInfo(sid)));
  const hkdf = { name: 'HKDF', hash: 'SHA-512', salt: new Uint8Array(0), info };
  return crypto.subtle.deriveKey(hkdf, base, { ...HMAC, length: STRICT_KEY_BYTES * 8 }, extractable, ['sign']);
}

async function hmac(key: CryptoKey, message: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.sign('HMAC', key, new Uint8Array(message)));
}

function newNonce(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
}

function inTenant(tenant: string | undefined): { tenant?: string } {
  return tenant === undefined ? {} : { tenant };
}

/** As text again: the engine reads it. */
function expectBytes(value: unknown, bytes: number): string {
  if (typeof value === 'string' && decodeExactly(value, bytes) !== undefined) return value;
  throw invalid('the issuer answered with a message of another form');
}

function refusable<T>(message: string, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    throw new CountersignError('answer_invalid', message, { cause });
  }
}

function parseObject(text: string): Answer {
  try {
    return (JSON.parse(text) ?? {}) as Answer;
  } catch {
    // Without the cause: its message quotes the text, which holds the key.
    return {};
  }
}

function invalid(message: string): CountersignError {
  return new CountersignError('answer_invalid', message);
}
