/**
 * What clients of v0 send to the issuer: one closed schema per operation, and the envelope around it. The seed's members and no
 * others; who may say it is the operations' business.
 */
import * as v from 'valibot';
import { deny } from '../../../core/decision.ts';
import { utf8 } from '../../../encoding/bytes.ts';
import { minifyJson } from '../../../encoding/json-minify.ts';
import { parseJsonDocument } from '../../../encoding/strict-json.ts';
import { digest, nonce, passphraseKey, passphraseSignature, publicKey, signature } from '../fields.ts';

const registration = v.strictObject({ token: digest('token') });
const account = v.strictObject({ accountId: digest('accountId') });
const device = v.strictObject({ deviceId: digest('deviceId') });
const deviceOfAccount = v.strictObject({ accountId: digest('accountId'), deviceId: digest('deviceId') });
const shownKeys = v.strictObject({
  publicKeys: v.strictObject({ current: publicKey('current'), nextDigest: v.optional(digest('nextDigest')) }),
});
const challenge = v.strictObject({ nonce: nonce() });
const passphraseProof = v.strictObject({ nonce: nonce(), publicKey: passphraseKey() });
const newSession = v.strictObject({
  publicKey: publicKey(),
  nonces: v.strictObject({ nextDigest: digest('nextDigest') }),
});
const kind = v.strictObject({ kind: v.picklist(['key', 'passphrase']) });

export const requests = {
  registerKey: v.strictObject({ registration, identification: device, authentication: shownKeys }),
  registerPassphraseKey: v.strictObject({
    registration,
    passphraseAuthentication: v.strictObject({ publicKey: passphraseKey() }),
  }),
  rotateKey: v.strictObject({ identification: deviceOfAccount, authentication: shownKeys }),
  begin: v.strictObject({ identification: account }),
  complete: v.strictObject({ identification: device, authentication: challenge, refresh: newSession }),
  completePassphrase: v.strictObject({ passphraseAuthentication: passphraseProof, refresh: newSession }),
  refresh: v.strictObject({
    refresh: v.strictObject({
      sessionId: digest('sessionId'),
      nonces: v.strictObject({ current: nonce('current'), nextDigest: digest('nextDigest') }),
    }),
    access: v.strictObject({ publicKey: publicKey() }),
  }),
  endSession: v.strictObject({
    refresh: v.strictObject({
      sessionId: digest('sessionId'),
      nonces: v.strictObject({ current: nonce('current') }),
    }),
  }),
  /** Of a device, or of the passphrase. */
  requestRegistration: v.union([
    v.strictObject({ identification: deviceOfAccount, authentication: challenge, registration: kind }),
    v.strictObject({ identification: account, passphraseAuthentication: passphraseProof, registration: kind }),
  ]),
} as const;

export type Payload<Name extends keyof typeof requests> = v.InferOutput<(typeof requests)[Name]>;

/** A message as far as it can be read without looking anything up. */
export interface Message<Members> {
  readonly payload: Members;
  /** What is signed, and what a bound reply names: the payload without blanks. */
  readonly text: string;
  readonly bytes: Uint8Array;
}

export interface SignedMessage<Members> extends Message<Members> {
  /** 64 bytes in a word, `0I` or `0B`. */
  readonly signature: string;
}

/** @param raw at most 16 KiB: the caller has looked. @throws {Denial} `malformed` */
export function readEnvelope<Members>(
  raw: Uint8Array,
  schema: v.GenericSchema<unknown, Members>,
  maxDepth: number,
): SignedMessage<Members> {
  const { value, sourceOf } = parseJsonDocument(raw, { maxDepth });
  const envelope = parsed(ENVELOPE, value);
  const text = minifyJson(sourceOf(envelope.payload as Parameters<typeof sourceOf>[0]));
  return { payload: parsed(schema, envelope.payload), text, bytes: utf8(text), signature: envelope.signature };
}

/** A request without a signature: the whole body is the payload. @throws {Denial} `malformed` */
export function readBare<Members>(
  raw: Uint8Array,
  schema: v.GenericSchema<unknown, Members>,
  maxDepth: number,
): Message<Members> {
  const { value, sourceOf } = parseJsonDocument(raw, { maxDepth });
  const text = minifyJson(sourceOf(value));
  return { payload: parsed(schema, value), text, bytes: utf8(text) };
}

/** The parsed object goes through as it is, since its place in the text is known by identity. */
const ENVELOPE = v.strictObject({
  payload: v.custom<object>((value) => typeof value === 'object' && value !== null && !Array.isArray(value)),
  signature: v.union([signature(), passphraseSignature()]),
});

function parsed<Output>(schema: v.GenericSchema<unknown, Output>, value: unknown): Output {
  const result = v.safeParse(schema, value);
  return result.success ? result.output : deny('malformed', 'members that the message does not have');
}
