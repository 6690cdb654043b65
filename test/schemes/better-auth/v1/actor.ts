/**
 * A v1 client by hand: it writes any message, right or wrong, and moves its key chain only when told so. What a client should do is the
 * library's (`client.ts`).
 */
import { textDigest } from '../../../../src/crypto/blake3.ts';
import { randomBytes } from '../../../../src/crypto/random.ts';
import { newNonce } from '../../../../src/encoding/cesr.ts';
import { formatWireTime } from '../../../../src/schemes/better-auth/message.ts';
import { complete, type RequestParts } from '../../../support/auth-request.ts';
import type { SchemeWorld } from '../../../support/scheme-world.ts';
import { call, type CallOptions, type Key, newKey, type Reply } from '../world.ts';

export interface Actor {
  /** Device keys in the order in which they are shown; `at` is the current one. */
  readonly keys: Key[];
  at: number;
  /** Recovery keys; `recoveryAt` is the one whose hash the issuer has. */
  readonly recovery: Key[];
  recoveryAt: number;
  readonly identity: string;
  readonly device: string;
}

const CHAIN = 24;

/** Of the same identity when one is given. */
export function newActor(identity?: string): Actor {
  const keys = Array.from({ length: CHAIN }, newKey);
  const recovery = Array.from({ length: 4 }, newKey);
  const [first, second, recoveryKey] = [wordAt(keys, 0), wordAt(keys, 1), wordAt(recovery, 0)];
  return {
    keys,
    at: 0,
    recovery,
    recoveryAt: 0,
    identity: identity ?? textDigest(first, textDigest(second), textDigest(recoveryKey)),
    device: textDigest(first, textDigest(second)),
  };
}

export function keyAt(keys: readonly Key[], at: number): Key {
  const key = keys[at];
  if (key === undefined) throw new Error('chain too short');
  return key;
}

function wordAt(keys: readonly Key[], at: number): string {
  return keyAt(keys, at).word;
}

export function nonce(): string {
  return newNonce(randomBytes);
}

/** What a test may change in a message before it is signed. */
export interface Changes {
  readonly nonce?: string;
  /** Instead of the right one. */
  readonly signer?: Key;
  /** Members of `request.authentication`. */
  readonly authentication?: object;
  /** The whole `request`. */
  readonly request?: (request: Record<string, unknown>) => unknown;
}

export function message(request: Record<string, unknown>, signer: Key, changes: Changes = {}): string {
  const changed = changes.request?.(request) ?? request;
  const payload = JSON.stringify({ access: { nonce: changes.nonce ?? nonce() }, request: changed });
  return envelope(payload, changes.signer ?? signer);
}

export function envelope(payload: string, signer: Key): string {
  return `{"payload":${payload},"signature":"${signer.sign(payload)}"}`;
}

/** Shows the key at this place and commits to the next. */
function authenticationAt({ identity, device, keys }: Actor, at: number) {
  const publicKey = wordAt(keys, at);
  return { device, identity, publicKey, rotationHash: textDigest(wordAt(keys, at + 1)) };
}

export function createMessage(actor: Actor, changes: Changes = {}): string {
  const recoveryHash = textDigest(wordAt(actor.recovery, actor.recoveryAt));
  const authentication = { ...authenticationAt(actor, 0), recoveryHash, ...changes.authentication };
  return message({ authentication }, keyAt(actor.keys, 0), changes);
}

/** Any of the chain operations. @param more members beside `authentication`. */
export function chainMessage(actor: Actor, more: object = {}, changes: Changes = {}): string {
  const authentication = { ...authenticationAt(actor, actor.at + 1), ...changes.authentication };
  return message({ authentication, ...more }, keyAt(actor.keys, actor.at + 1), changes);
}

export function container(fresh: Actor, changes: Changes = {}): { payload: unknown; signature: string } {
  const payload = { authentication: { ...authenticationAt(fresh, 0), ...changes.authentication } };
  return { payload, signature: (changes.signer ?? keyAt(fresh.keys, 0)).sign(JSON.stringify(payload)) };
}

export function linkMessage(actor: Actor, fresh: Actor, changes: Changes = {}): string {
  return chainMessage(actor, { link: container(fresh) }, changes);
}

export function unlinkMessage(actor: Actor, device: string, changes: Changes = {}): string {
  return chainMessage(actor, { link: { device } }, changes);
}

export function changeRecoveryMessage(actor: Actor, changes: Changes = {}): string {
  const recoveryHash = textDigest(wordAt(actor.recovery, actor.recoveryAt + 1));
  return chainMessage(actor, {}, { ...changes, authentication: { recoveryHash, ...changes.authentication } });
}

/** By the recovery key of the account's owner, for a new device. */
export function recoverMessage(owner: Actor, device: Actor, changes: Changes = {}): string {
  const authentication = {
    ...authenticationAt(device, 0),
    identity: owner.identity,
    recoveryHash: textDigest(wordAt(owner.recovery, owner.recoveryAt + 1)),
    recoveryKey: wordAt(owner.recovery, owner.recoveryAt),
    ...changes.authentication,
  };
  return message({ authentication }, keyAt(owner.recovery, owner.recoveryAt), changes);
}

export function requestSessionMessage(identity: string, changes: Changes = {}): string {
  const request = changes.request?.({ authentication: { identity } }) ?? { authentication: { identity } };
  return JSON.stringify({ payload: { access: { nonce: changes.nonce ?? nonce() }, request } });
}

/** Keys of a session: the one of its token, and those that refresh it in turn. */
export interface Session {
  readonly keys: Key[];
  at: number;
  token: string;
}

export function newSession(): Session {
  return { keys: Array.from({ length: CHAIN }, newKey), at: 0, token: '' };
}

function accessAt({ keys }: Session, at: number) {
  return { publicKey: wordAt(keys, at), rotationHash: textDigest(wordAt(keys, at + 1)) };
}

export function createSessionMessage(actor: Actor, session: Session, issued: string, changes: Changes = {}): string {
  const authentication = { device: actor.device, nonce: issued, ...changes.authentication };
  return message({ access: accessAt(session, 0), authentication }, keyAt(actor.keys, actor.at), changes);
}

export function refreshMessage(session: Session, changes: Changes = {}): string {
  const access = { ...accessAt(session, session.at + 1), token: session.token };
  return message({ access }, keyAt(session.keys, session.at + 1), changes);
}

export function accessMessage(session: Session, nowMs: number, changes: Changes & { access?: object } = {}): string {
  const access = { nonce: changes.nonce ?? nonce(), timestamp: formatWireTime(nowMs, 3), token: session.token };
  const request = { foo: 'bar', bar: 'foo' };
  const payload = JSON.stringify({
    access: { ...access, ...changes.access },
    request: changes.request?.(request) ?? request,
  });
  return envelope(payload, changes.signer ?? keyAt(session.keys, session.at));
}

export function accessRequest(body: string): RequestParts {
  return {
    method: 'POST',
    scheme: 'https',
    authority: 'api.example.com',
    target: '/foo/bar',
    headers: [['content-type', 'application/json']],
    body: complete(body),
  };
}

/** Sends, and expects success. */
export async function send(world: SchemeWorld, path: string, text: string, options?: CallOptions): Promise<Reply> {
  const reply = await call(world, path, text, options);
  if (reply.status !== 200) throw new Error(`${path}: ${reply.status} ${reply.text} (${reply.code})`);
  return reply;
}

/** An actor with an account. */
export async function created(world: SchemeWorld): Promise<Actor> {
  const actor = newActor();
  await send(world, '/account/create', createMessage(actor));
  return actor;
}

export async function rotate(world: SchemeWorld, actor: Actor): Promise<void> {
  await send(world, '/device/rotate', chainMessage(actor));
  actor.at += 1;
}

/** Another device of the account. */
export async function linked(world: SchemeWorld, actor: Actor): Promise<Actor> {
  const other = newActor(actor.identity);
  await send(world, '/device/link', linkMessage(actor, other));
  actor.at += 1;
  return other;
}

export async function challenge(world: SchemeWorld, identity: string): Promise<string> {
  const { json } = await send(world, '/session/request', requestSessionMessage(identity));
  return memberOf(json, 'payload', 'response', 'authentication', 'nonce');
}

export async function loggedIn(world: SchemeWorld, actor: Actor): Promise<Session> {
  const session = newSession();
  const text = createSessionMessage(actor, session, await challenge(world, actor.identity));
  session.token = tokenOf(await send(world, '/session/create', text));
  return session;
}

export async function refresh(world: SchemeWorld, session: Session): Promise<void> {
  session.token = tokenOf(await send(world, '/session/refresh', refreshMessage(session)));
  session.at += 1;
}

export function tokenOf({ json }: Reply): string {
  return memberOf(json, 'payload', 'response', 'access', 'token');
}

/** One access message, judged. */
export function visit(world: SchemeWorld, session: Session, changes?: Parameters<typeof accessMessage>[2]) {
  return world.judge(accessRequest(accessMessage(session, world.clock.nowMs(), changes)));
}

function memberOf(json: unknown, ...path: readonly string[]): string {
  return path.reduce((value, name) => (value as Record<string, unknown>)[name], json) as string;
}
