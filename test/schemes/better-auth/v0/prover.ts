/** Clients of v0 in a world, written apart from the library's own: they can also say what no honest client would. */
import * as v from 'valibot';
import type { Answer } from '../../../../src/core/scheme.ts';
import { textDigest } from '../../../../src/crypto/blake3.ts';
import { sha256 } from '../../../../src/crypto/digest.ts';
import { randomBytes } from '../../../../src/crypto/random.ts';
import { generateKeyPair, type PrivateJwk, sign } from '../../../../src/crypto/signatures.ts';
import { utf8 } from '../../../../src/encoding/bytes.ts';
import { encode, newNonce } from '../../../../src/encoding/cesr.ts';
import { compressPoint } from '../../../../src/encoding/p256.ts';
import { b64 } from '../../../support/bytes.ts';
import { formatHeaderProof, headerSignedBytes } from '../../../../src/schemes/better-auth/message-header.ts';
import { betterAuth } from '../../../../src/schemes/better-auth/index.ts';
import { formatWireTime } from '../../../../src/schemes/better-auth/message.ts';
import { packToken } from '../../../../src/schemes/better-auth/token-text.ts';
import { newCheckId, type RequestParts, withHeader } from '../../../support/auth-request.ts';
import { ringWith } from '../../../support/key-ring.ts';
import { createSchemeWorld, type SchemeWorld, type WorldOptions } from '../../../support/scheme-world.ts';

export const PREFIX = '/better-auth/v0';

/** A private key and the word of its public half. */
export interface Key {
  readonly word: string;
  /** @returns a word `0I`, or `0B` by a passphrase key. */
  sign(message: string | Uint8Array): string;
}

export function newKey(): Key {
  const { privateJwk } = generateKeyPair('ES256');
  return p256Key(privateJwk);
}

export function p256Key(privateJwk: PrivateJwk): Key {
  if (privateJwk.kty !== 'EC') throw new Error('not P-256');
  return {
    word: encode('1AAI', compressPoint(privateJwk)),
    sign: (message) => encode('0I', sign(privateJwk, typeof message === 'string' ? utf8(message) : message)),
  };
}

/** In place of one that Argon2 gave: to the server it is any Ed25519 key. */
export function newPassphraseKey(): Key {
  const { privateJwk } = generateKeyPair('Ed25519');
  return {
    word: encode('B', b64(privateJwk.x)),
    sign: (message) => encode('0B', sign(privateJwk, typeof message === 'string' ? utf8(message) : message)),
  };
}

export const nonce = (): string => newNonce(randomBytes);
export const label = (): string => encode('E', randomBytes(32));

export function betterAuthWorld(options: WorldOptions = {}): SchemeWorld {
  return createSchemeWorld(betterAuth, {
    ring: ringWith('response-signing', 'access-signing', 'pepper'),
    ...options,
  });
}

export interface Sending {
  readonly source?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One call of an issuer endpoint, by its path behind the prefix. @returns the reply as text. @throws what the endpoint throws. */
export async function send(
  world: SchemeWorld,
  path: string,
  body: string,
  { source, headers }: Sending = {},
): Promise<string> {
  const answer = await callEndpoint(world, 'issuer', `${PREFIX}${path}`, body, { source, headers });
  if (answer.status !== 200) throw new Error(`status ${answer.status}`);
  return new TextDecoder().decode(answer.body as Uint8Array);
}

export async function callEndpoint(
  world: SchemeWorld,
  listener: 'issuer' | 'admin',
  path: string,
  body: string,
  {
    source = '203.0.113.9',
    headers = {},
  }: { source?: string | undefined; headers?: Sending['headers'] | undefined } = {},
): Promise<Answer> {
  const endpoint = world.scheme.endpoints.find((one) => one.path === path && one.listener === listener);
  if (endpoint === undefined) throw new Error(`no endpoint ${path}`);
  const all: Readonly<Record<string, string>> = { 'content-type': 'application/json', ...headers };
  return endpoint.handle({
    body: endpoint.body === undefined ? undefined : v.parse(endpoint.body, JSON.parse(body)),
    raw: utf8(body),
    header: (name) => all[name],
    source,
    owner: newCheckId(),
    receivedAtMs: world.clock.nowMs(),
    signal: new AbortController().signal,
  });
}

/** A call of the administrator, by its path behind `/admin/v1/better-auth/`. */
export async function admin(world: SchemeWorld, path: string, body: object): Promise<Record<string, unknown>> {
  const answer = await callEndpoint(world, 'admin', `/admin/v1/better-auth/${path}`, JSON.stringify(body));
  return answer.body as Record<string, unknown>;
}

export function envelope(payload: object, key: Key): string {
  const text = JSON.stringify(payload);
  return `{"payload":${text},"signature":"${key.sign(text)}"}`;
}

/** What replies hold, each of them some of it. */
export interface Payload {
  readonly registration: { readonly token: string };
  readonly identification: { readonly accountId: string };
  readonly authentication: { readonly nonce: string };
  readonly passphraseAuthentication: { readonly nonce: string; readonly parameters: string; readonly salt: string };
  readonly refresh: { readonly sessionId: string };
  readonly access: { readonly token: object; readonly signature: string };
  readonly success: true;
  readonly requestDigest: string;
}

/** Members of a reply's payload. */
export function payloadOf(reply: string): Payload {
  return (JSON.parse(reply) as { payload: Payload }).payload;
}

export interface Issued {
  readonly subject: string;
  readonly token: string;
  readonly payload: Payload;
}

export async function issue(world: SchemeWorld, order: object = { kind: 'key' }): Promise<Issued> {
  const { subject, material } = await admin(world, 'v0/registrations', order);
  const payload = payloadOf(String(material));
  return { subject: String(subject), token: payload.registration.token, payload };
}

export interface Device {
  readonly accountId: string;
  readonly deviceId: string;
  current: Key;
  next: Key;
}

export const registerKeyMessage = (token: string, deviceId: string, current: Key, next?: Key): string =>
  envelope(
    {
      registration: { token },
      identification: { deviceId },
      authentication: {
        publicKeys: { current: current.word, ...(next && { nextDigest: textDigest(next.word) }) },
      },
    },
    current,
  );

export async function registered(world: SchemeWorld, order: object = { kind: 'key' }): Promise<Device> {
  const { token } = await issue(world, order);
  return registerDevice(world, token);
}

export async function registerDevice(world: SchemeWorld, token: string): Promise<Device> {
  const [current, next, deviceId] = [newKey(), newKey(), label()];
  const reply = payloadOf(await send(world, '/register/key', registerKeyMessage(token, deviceId, current, next)));
  return { accountId: reply.identification.accountId, deviceId, current, next };
}

export interface PassphraseAccount {
  readonly accountId: string;
  readonly key: Key;
}

export const registerPassphraseMessage = (token: string, key: Key): string =>
  envelope({ registration: { token }, passphraseAuthentication: { publicKey: key.word } }, key);

export async function registeredPassphrase(
  world: SchemeWorld,
  order: object = { kind: 'passphrase' },
): Promise<PassphraseAccount> {
  const { token } = await issue(world, order);
  const key = newPassphraseKey();
  const reply = payloadOf(await send(world, '/register/passphrase-key', registerPassphraseMessage(token, key)));
  return { accountId: reply.identification.accountId, key };
}

export function rotateMessage({ accountId, deviceId }: Device, shown: Key, next: Key | string | undefined): string {
  const nextDigest = typeof next === 'string' ? next : next && textDigest(next.word);
  const authentication = { publicKeys: { current: shown.word, ...(nextDigest !== undefined && { nextDigest }) } };
  return envelope({ identification: { accountId, deviceId }, authentication }, shown);
}

/** Rotates, and keeps the client a step ahead. */
export async function rotated(world: SchemeWorld, device: Device): Promise<void> {
  const next = newKey();
  await send(world, '/rotate/key', rotateMessage(device, device.next, next));
  device.current = device.next;
  device.next = next;
}

export async function challenge(world: SchemeWorld, accountId: string, sending: Sending = {}): Promise<string> {
  const reply = await send(world, '/authenticate/begin', JSON.stringify({ identification: { accountId } }), sending);
  return payloadOf(reply).authentication.nonce;
}

export async function passphraseChallenge(
  world: SchemeWorld,
  accountId: string,
  sending: Sending = {},
): Promise<Payload['passphraseAuthentication']> {
  const body = JSON.stringify({ identification: { accountId } });
  return payloadOf(await send(world, '/authenticate-passphrase/begin', body, sending)).passphraseAuthentication;
}

export interface Session {
  readonly sessionId: string;
  readonly refreshKey: Key;
  /** The nonce to be shown next. */
  current: string;
}

export const completeMessage = (
  deviceId: string,
  key: Key,
  challengeNonce: string,
  refreshKey: Key,
  first: string,
): string =>
  envelope(
    {
      identification: { deviceId },
      authentication: { nonce: challengeNonce },
      refresh: { publicKey: refreshKey.word, nonces: { nextDigest: textDigest(first) } },
    },
    key,
  );

export const completePassphraseMessage = (key: Key, challengeNonce: string, refreshKey: Key, first: string): string =>
  envelope(
    {
      passphraseAuthentication: { nonce: challengeNonce, publicKey: key.word },
      refresh: { publicKey: refreshKey.word, nonces: { nextDigest: textDigest(first) } },
    },
    key,
  );

export async function loggedIn(world: SchemeWorld, device: Device): Promise<Session> {
  const [refreshKey, current] = [newKey(), nonce()];
  const message = completeMessage(
    device.deviceId,
    device.current,
    await challenge(world, device.accountId),
    refreshKey,
    current,
  );
  const reply = payloadOf(await send(world, '/authenticate/complete', message));
  return { sessionId: reply.refresh.sessionId, refreshKey, current };
}

export async function loggedInByPassphrase(
  world: SchemeWorld,
  { accountId, key }: PassphraseAccount,
): Promise<Session> {
  const [refreshKey, current] = [newKey(), nonce()];
  const { nonce: challengeNonce } = await passphraseChallenge(world, accountId);
  const message = completePassphraseMessage(key, challengeNonce, refreshKey, current);
  const reply = payloadOf(await send(world, '/authenticate-passphrase/complete', message));
  return { sessionId: reply.refresh.sessionId, refreshKey, current };
}

export function refreshMessage({ sessionId, refreshKey }: Session, current: string, next: string, access: Key): string {
  const nonces = { current, nextDigest: textDigest(next) };
  return envelope({ refresh: { sessionId, nonces }, access: { publicKey: access.word } }, refreshKey);
}

export const endMessage = ({ sessionId, refreshKey, current }: Session): string =>
  envelope({ refresh: { sessionId, nonces: { current } } }, refreshKey);

export interface Access {
  readonly token: string;
  readonly json: string;
  readonly key: Key;
}

export async function refreshed(world: SchemeWorld, session: Session): Promise<Access> {
  const [key, next] = [newKey(), nonce()];
  const access = accessOf(await send(world, '/refresh', refreshMessage(session, session.current, next, key)), key);
  session.current = next;
  return access;
}

export function accessOf(reply: string, key: Key): Access {
  const { access } = payloadOf(reply);
  const json = JSON.stringify(access.token);
  return { token: packToken(access.signature, json), json, key };
}

/** All the way to an access token. */
export async function entered(
  world: SchemeWorld,
  order?: object,
): Promise<Access & { device: Device; session: Session }> {
  const device = await registered(world, order);
  const session = await loggedIn(world, device);
  return { ...(await refreshed(world, session)), device, session };
}

export interface Proof {
  readonly timestampMs?: number;
  readonly nonce?: string;
  /** Signs in place of the access key. */
  readonly signer?: Key;
}

/** The request with the header form. @param json what the token says: its digest is signed. */
export function withHeaderProof(
  world: SchemeWorld,
  { token, json, key }: Access,
  request: RequestParts,
  { timestampMs = world.clock.nowMs(), nonce: once = nonce(), signer = key }: Proof = {},
): RequestParts {
  const body = request.body.kind === 'complete' ? request.body.bytes : new Uint8Array(0);
  const bytes = headerSignedBytes(sha256(utf8(json)), { timestampMs, nonce: once }, request, sha256(body));
  const signature = b64(`AA${signer.sign(bytes).slice(2)}`).subarray(2);
  return withHeader(request, 'authorization', formatHeaderProof({ token, timestampMs, nonce: once, signature }));
}

/** The body form, as text. */
export function accessBody(
  world: SchemeWorld,
  { token, key }: Pick<Access, 'token' | 'key'>,
  request: unknown,
  { timestampMs = world.clock.nowMs(), nonce: once = nonce(), signer = key }: Proof = {},
): string {
  const payload = JSON.stringify({ access: { timestamp: formatWireTime(timestampMs, 0), nonce: once }, request });
  return `{"token":"${token}","payload":${payload},"signature":"${signer.sign(payload)}"}`;
}
