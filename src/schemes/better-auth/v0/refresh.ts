/**
 * A session's chain of nonces: each message shows the nonce that the one before committed to. A copy of a message is harmless; another
 * message that shows a spent nonce means that two parties hold the session's key, and ends it.
 */
import { deny } from '../../../core/decision.ts';
import { sha256Base64url } from '../../../crypto/digest.ts';
import { textDigest } from '../../../crypto/blake3.ts';
import { constantTimeEqual } from '../../../crypto/equal.ts';
import { utf8 } from '../../../encoding/bytes.ts';
import { decode } from '../../../encoding/cesr.ts';
import { tokenAttributes } from '../attributes.ts';
import { type LiveAccount, tailOf } from './account.ts';
import type { Caller, V0Parts } from './operation.ts';
import { activeAccount } from './proofs.ts';
import type { Loaded } from './records.ts';
import type { Payload, SignedMessage } from './requests.ts';
import { advanced, ENDED, isBacked, isLive, type LiveSession } from './session.ts';
import { untilSwapped } from '../swapped.ts';

/** @throws {Denial} @throws {Fault} */
export async function refresh(
  parts: V0Parts,
  message: SignedMessage<Payload<'refresh'>>,
  { nowMs }: Caller,
): Promise<object> {
  const { records, clientKeys } = parts;
  const { refresh: shown, access } = message.payload;
  const { current, nextDigest } = shown.nonces;
  const accessKey = access.publicKey;
  clientKeys.import(accessKey);
  const digest = textDigest(current);
  if (nextDigest === digest) deny('malformed', 'commits to the nonce it shows');

  let members: object = {};
  await untilSwapped(async () => {
    const session = await provenSession(parts, shown.sessionId, message, nowMs);
    if (accessKey === session.record.refreshKey) deny('malformed', 'the access key is the refresh key');
    const account = await backing(parts, session.record);
    await requireNext(parts, shown.sessionId, session, digest, message.bytes, nowMs);
    if (session.record.past.includes(tailOf(nextDigest))) deny('malformed', 'commits to a nonce shown before');

    const token = mint(parts, session.record, account, accessKey, nowMs);
    const { accountId } = session.record;
    const binding = { accountId, sessionId: shown.sessionId, digest: sha256Base64url(utf8(token.json)) };
    if (!(await records.bind(accessKey, binding, token.boundForMs)))
      deny('replayed', 'the access key signs for a token already');

    const after = advanced(session.record, digest, sha256Base64url(message.bytes), nextDigest);
    const lifetimeMs = session.record.expiresAtMs - nowMs;
    const isSwapped = await records.saveSession(shown.sessionId, session, after, lifetimeMs);
    // Another message was faster: the token of this one is never told.
    if (!isSwapped) await records.unbind(accessKey);
    members = { access: { token: token.content, signature: token.signature } };
    return isSwapped;
  });
  return members;
}

/** Its tokens end with it. @throws {Denial} @throws {Fault} */
export async function endSession(
  parts: V0Parts,
  message: SignedMessage<Payload<'endSession'>>,
  { nowMs }: Caller,
): Promise<object> {
  const { sessionId, nonces } = message.payload.refresh;
  const digest = textDigest(nonces.current);
  await untilSwapped(async () => {
    const session = await provenSession(parts, sessionId, message, nowMs);
    await requireNext(parts, sessionId, session, digest, message.bytes, nowMs);
    return end(parts, sessionId, session, nowMs);
  });
  return { success: true };
}

/** @throws {Denial} `signature_invalid`, also without such a session. */
async function provenSession(
  { records, clientKeys, resources }: V0Parts,
  sessionId: string,
  { bytes, signature }: SignedMessage<unknown>,
  nowMs: number,
): Promise<Loaded<LiveSession>> {
  const raw = decode(signature, ['0I'], 'signature').raw;
  const read = await records.session(sessionId);
  const session = read !== null && isLive(read.record, nowMs) ? { text: read.text, record: read.record } : null;
  const key = session === null ? clientKeys.dummy : clientKeys.import(session.record.refreshKey);
  const isSigned = await resources.signatures.verify(key, bytes, raw);
  if (session === null) return deny('unknown_credential', 'no such session');
  if (!isSigned) deny('signature_invalid', "not signed by the session's key");
  return session;
}

/** The account, when the session's method is still its own. @throws {Denial} `revoked` */
async function backing(parts: V0Parts, session: LiveSession): Promise<LiveAccount> {
  const account = await activeAccount(parts, session.accountId);
  if (account === null || !isBacked(session, account.record, parts.settings.v0.passphrase))
    return deny('revoked', 'account, device or passphrase of the session');
  return account.record;
}

/**
 * After the signature, so that an eavesdropper's copy can't end a session.
 *
 * @param digest of the nonce shown.
 * @throws {Denial} `replayed` for a copy, `revoked` for a theft, `signature_invalid` for a nonce that was never committed to.
 */
async function requireNext(
  parts: V0Parts,
  sessionId: string,
  session: Loaded<LiveSession>,
  digest: string,
  message: Uint8Array,
  nowMs: number,
): Promise<void> {
  const { nextDigest, past, recent } = session.record;
  if (constantTimeEqual(utf8(digest), utf8(nextDigest))) return;
  if (!past.includes(tailOf(digest))) deny('signature_invalid', 'not the nonce that was committed to');
  if (recent.includes(sha256Base64url(message))) deny('replayed', 'the message was seen before');
  // Two writers can race here, a refresh of the owner among them: whoever reads the session next finds the same.
  await untilSwapped(async () => {
    const read = await parts.records.session(sessionId);
    if (read === null || !isLive(read.record, nowMs)) return true;
    return end(parts, sessionId, { text: read.text, record: read.record }, nowMs);
  });
  parts.tell('session_theft', session.record.accountId);
  deny('revoked', 'a spent nonce in another message: the session was stolen and ends');
}

function end({ records }: V0Parts, sessionId: string, session: Loaded<LiveSession>, nowMs: number): Promise<boolean> {
  return records.saveSession(sessionId, session, ENDED, session.record.expiresAtMs - nowMs);
}

/** Whole seconds on this wire, cut down. */
function mint(
  { tokens, settings, resources }: V0Parts,
  session: LiveSession,
  account: LiveAccount,
  publicKey: string,
  nowMs: number,
) {
  const issuedAtMs = wholeSeconds(nowMs);
  const expiryMs = wholeSeconds(Math.min(issuedAtMs + settings.accessLifetimeMs, session.expiresAtMs));
  const { accountId } = session;
  const attributes = tokenAttributes(settings, account.attributes);
  const token = tokens.mintV0({ accountId, publicKey, issuedAtMs, expiryMs, attributes });
  return { ...token, boundForMs: Math.max(1, expiryMs + resources.skewMs + 1 - nowMs) };
}

function wholeSeconds(ms: number): number {
  return ms - (ms % 1000);
}
