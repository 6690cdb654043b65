/**
 * How every operation of v0 is called and answered: what is read before anything is looked up, the bucket of the address, the signed
 * reply. What an operation does is its own file.
 */
import type { GenericSchema } from 'valibot';
import { HttpProblem } from '../../../core/http.ts';
import type { Charge } from '../../../core/limits.ts';
import type { Answer, Endpoint, EndpointCall } from '../../../core/scheme.ts';
import { textDigest } from '../../../crypto/blake3.ts';
import { utf8 } from '../../../encoding/bytes.ts';
import type { Parts } from '../parts.ts';
import { type Message, readBare, readEnvelope, type SignedMessage } from './requests.ts';
import type { Challenge, Challenges } from '../state.ts';
import type { RegistrationKind } from './account.ts';
import type { Records } from './records.ts';

/** What every operation is given. */
export interface V0Parts extends Parts {
  readonly records: Records;
  readonly challenges: Challenges<V0Challenge>;
  /** Looked up in place of an account that nobody named. */
  readonly nobody: string;
}

export interface V0Challenge extends Challenge {
  readonly accountId: string;
  readonly kind: RegistrationKind;
}

export interface Caller {
  readonly source: string;
  /** `now` of every rule. */
  readonly nowMs: number;
}

type Read<M> = (call: EndpointCall) => M;
/** @returns the members of the reply's payload. @throws {Denial} */
type Run<M> = (message: M, caller: Caller) => Promise<object>;

const MAX_BODY_BYTES = 16 * 1024;

export function signedOperation<Members>(
  parts: V0Parts,
  path: string,
  schema: GenericSchema<unknown, Members>,
  run: Run<SignedMessage<Members>>,
): Endpoint {
  return operation(
    parts,
    path,
    ({ raw }) => readEnvelope(raw, schema, parts.settings.maxJsonDepth),
    () => [],
    run,
  );
}

/** @param narrow buckets of this message beside the address's. */
export function bareOperation<Members>(
  parts: V0Parts,
  path: string,
  schema: GenericSchema<unknown, Members>,
  narrow: (payload: Members, source: string) => readonly Charge[],
  run: Run<Message<Members>>,
): Endpoint {
  return operation(parts, path, ({ raw }) => readBare(raw, schema, parts.settings.maxJsonDepth), narrow, run);
}

function operation<Members, M extends Message<Members>>(
  parts: V0Parts,
  path: string,
  read: Read<M>,
  narrow: (payload: Members, source: string) => readonly Charge[],
  run: Run<M>,
): Endpoint {
  const { settings, resources } = parts;
  const peer = (source: string): Charge => ({ bucket: 'peer', limit: settings.limits.peer, key: [source] });

  /** What can't be read is charged all the same. */
  function readCharged(call: EndpointCall): M {
    const { source } = call;
    let message: M;
    try {
      requireForm(call);
      message = read(call);
    } catch (thrown) {
      resources.limits.charge([peer(source)]);
      throw thrown;
    }
    resources.limits.charge([...narrow(message.payload, source), peer(source)]);
    return message;
  }

  return {
    listener: 'issuer',
    method: 'POST',
    path: `${settings.v0.pathPrefix}${path}`,
    bucket: 'own',
    async handle(call): Promise<Answer> {
      const message = readCharged(call);
      const members = await run(message, { source: call.source, nowMs: call.receivedAtMs });
      const isBound = call.header('better-auth-reply') === 'bound';
      return { status: 200, body: utf8(signedReply(parts, members, isBound ? message.text : undefined)) };
    },
  };
}

function requireForm({ raw, header }: EndpointCall): void {
  if (raw.length > MAX_BODY_BYTES) throw new HttpProblem('too_large', 'a message above 16 KiB');
  const type = (header('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase();
  if (type !== 'application/json') throw new HttpProblem('unsupported_media_type', 'expected application/json');
}

/** @param request signed text of the request that the reply is bound to, when its client asked for that. */
export function signedReply({ serverKeys }: Pick<V0Parts, 'serverKeys'>, members: object, request?: string): string {
  const { publicKey, sign } = serverKeys.responseKey();
  const payload = JSON.stringify({
    ...members,
    publicKeyDigest: textDigest(publicKey),
    ...(request !== undefined && { requestDigest: textDigest(request) }),
  });
  return `{"payload":${payload},"signature":"${sign(payload)}"}`;
}
