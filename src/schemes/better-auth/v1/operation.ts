/**
 * How every operation of v1 is called and answered: the bucket of the address, the closed envelope, the signature over the payload as
 * it was received, the signed reply, the protocol's own error bodies. What an operation does is its own file.
 */
import * as v from 'valibot';
import { deny } from '../../../core/decision.ts';
import type { Charge } from '../../../core/limits.ts';
import type { Answer, Endpoint, EndpointCall } from '../../../core/scheme.ts';
import { utf8 } from '../../../encoding/bytes.ts';
import { decode } from '../../../encoding/cesr.ts';
import { parseJsonDocument, type JsonDocument, type JsonObject } from '../../../encoding/strict-json.ts';
import type { VerifyingKey } from '../imported-keys.ts';
import { nonce, signature } from '../fields.ts';
import type { Parts } from '../parts.ts';
import { errorBody } from './errors.ts';
import { envelope, replyPayload, type Operation } from './message.ts';

export interface Message<Request> {
  readonly nonce: string;
  readonly request: Request;
  /** Source text of an object inside the request. */
  sourceOf(...path: readonly string[]): Uint8Array;
}

export interface SignedMessage<Request> extends Message<Request> {
  isSignedBy(key: VerifyingKey): Promise<boolean>;
}

export interface Caller {
  readonly source: string;
  /** `now` of every rule. */
  readonly nowMs: number;
  header(name: string): string | undefined;
}

/** @returns the members of `response`. @throws {Denial} */
type Run<M> = (message: M, caller: Caller) => Promise<object>;

const MAX_BODY_BYTES = 32 * 1024;

export function signedOperation<Request>(
  parts: Parts,
  operation: Operation,
  schema: v.GenericSchema<unknown, Request>,
  run: Run<SignedMessage<Request>>,
): Endpoint {
  const closed = v.strictObject({ payload: payloadOf(schema), signature: signature() });
  return endpoint(parts, operation, run, ({ raw }) => {
    const document = readDocument(parts, raw);
    const { payload, signature: word } = membersOf(closed, document);
    const message = messageOf(document, payload);
    const bytes = decode(word, ['0I'], 'signature').raw;
    const { signatures } = parts.resources;
    return { ...message, isSignedBy: async (key) => signatures.verify(key, message.sourceOf(), bytes) };
  });
}

/** @param narrow the bucket that is charged besides the address's. */
export function unsignedOperation<Request>(
  parts: Parts,
  operation: Operation,
  schema: v.GenericSchema<unknown, Request>,
  narrow: (request: Request, source: string) => Charge,
  run: Run<Message<Request>>,
): Endpoint {
  const closed = v.strictObject({ payload: payloadOf(schema) });
  const read = ({ raw }: EndpointCall) => {
    const document = readDocument(parts, raw);
    return messageOf(document, membersOf(closed, document).payload);
  };
  return endpoint(parts, operation, run, read, narrow);
}

function payloadOf<Request>(schema: v.GenericSchema<unknown, Request>) {
  return v.strictObject({ access: v.strictObject({ nonce: nonce() }), request: schema });
}

function endpoint<Request, M extends Message<Request>>(
  { settings, resources, serverKeys }: Parts,
  operation: Operation,
  run: Run<M>,
  read: (call: EndpointCall) => M,
  narrow?: (request: Request, source: string) => Charge,
): Endpoint {
  const { limits } = resources;

  /** What can't be read is charged all the same. */
  function readCharged(call: EndpointCall): M {
    const { source } = call;
    const peer: Charge = { bucket: 'peer', limit: settings.limits.peer, key: [source] };
    if (narrow === undefined) {
      limits.charge([peer]);
      return read(call);
    }
    let message: M;
    try {
      message = read(call);
    } catch (thrown) {
      limits.charge([peer]);
      throw thrown;
    }
    limits.charge([narrow(message.request, source), peer]);
    return message;
  }

  return {
    listener: 'issuer',
    method: 'POST',
    path: `${settings.v1.pathPrefix}/${operation}`,
    bucket: 'own',
    problem: (status, _code, hint) => errorBody(status, hint),
    async handle(call): Promise<Answer> {
      const message = readCharged(call);
      const { source, receivedAtMs: nowMs, header } = call;
      const response = await run(message, { source, nowMs, header });
      const { publicKey, sign } = serverKeys.responseKey();
      const payload = replyPayload({ nonce: message.nonce, response }, publicKey);
      return { status: 200, body: utf8(envelope(payload, sign(payload))) };
    },
  };
}

function readDocument({ settings }: Parts, raw: Uint8Array): JsonDocument {
  if (raw.length > MAX_BODY_BYTES) deny('malformed', 'a message above 32 KiB', { oversized: true });
  return parseJsonDocument(raw, { maxDepth: settings.maxJsonDepth });
}

function membersOf<Members>(schema: v.GenericSchema<unknown, Members>, { value }: JsonDocument): Members {
  const parsed = v.safeParse(schema, value, { abortEarly: true });
  return parsed.success ? parsed.output : deny('malformed', 'not the members of this operation');
}

function messageOf<Request>(
  { value, sourceOf }: JsonDocument,
  payload: { access: { nonce: string }; request: Request },
): Message<Request> {
  return {
    nonce: payload.access.nonce,
    request: payload.request,
    sourceOf: (...path) =>
      utf8(sourceOf(path.reduce((object, name) => object[name] as JsonObject, value['payload'] as JsonObject))),
  };
}
