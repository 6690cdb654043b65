/**
 * The two messages that are ever sent to the proxy. Imported by `encode-response.ts` alone, which decides what goes into them.
 *
 * The proxy decides by `status.code`: 0, absent or an empty message is an allow, whatever else is there. So the status comes first
 * and fields ascend, and what was meant can be read off the first bytes (`answer-assertion.ts`).
 */
import type { GrpcDenyCode, Header } from '../core/decision.ts';
import type { MetadataFields } from './metadata.ts';
import { field, integerField, text, toBytes } from './protobuf-writer.ts';
import type { Wire } from './protobuf-writer.ts';

/** Where the answer to the client stands. */
export const DENIED_RESPONSE = 2;
export const OK_RESPONSE = 3;
export const DYNAMIC_METADATA = 4;
/** Counted as an error by the proxy, and open under its `failure_mode_allow`; known to it since 1.37. */
export const ERROR_RESPONSE = 5;

export interface DeniedResponse {
  readonly grpcCode: GrpcDenyCode;
  /** HTTP. */
  readonly status: number;
  readonly headers: readonly Header[];
  /** Empty for none. */
  readonly body: string;
  readonly metadata: MetadataFields;
  readonly as: typeof DENIED_RESPONSE | typeof ERROR_RESPONSE;
}

export function deniedResponse({ grpcCode, status, headers, body, metadata, as }: DeniedResponse): Uint8Array {
  const answer = field(
    as,
    field(1, integerField(1, status)) +
      headers.map((header) => field(2, headerOption(header))).join('') +
      (body === '' ? '' : field(3, text(body))),
  );
  const head = field(1, integerField(1, grpcCode));
  return toBytes(
    as === DENIED_RESPONSE ? head + answer + metadataField(metadata) : head + metadataField(metadata) + answer,
  );
}

export interface OkResponse {
  /** To the upstream, each in place of every copy that the request may hold. */
  readonly set: readonly Header[];
  /** From the request to the upstream. None of them is in `set`: removals run after writes. */
  readonly remove: readonly string[];
  /** To the client. */
  readonly toClient: readonly Header[];
  readonly metadata: MetadataFields;
}

export function okResponse({ set, remove, toClient, metadata }: OkResponse): Uint8Array {
  const ok =
    set.map((header) => field(2, headerOption(header))).join('') +
    remove.map((name) => field(5, text(name))).join('') +
    toClient.map((header) => field(6, headerOption(header))).join('');
  return toBytes(field(1, '') + field(OK_RESPONSE, ok) + metadataField(metadata));
}

const OVERWRITE_IF_EXISTS_OR_ADD = 2;

/** Both ways of saying "overwrite": releases differ in which one they read, and what each means when it is unset. */
function headerOption([name, value]: Header): Wire {
  const append = field(2, '');
  return field(1, field(1, text(name)) + field(2, text(value))) + append + integerField(3, OVERWRITE_IF_EXISTS_OR_ADD);
}

function metadataField(metadata: MetadataFields): Wire {
  let fields = '';
  for (const [name, value] of Object.entries(metadata)) fields += entry(name, field(3, text(value)));
  return fields === '' ? '' : field(DYNAMIC_METADATA, entry('countersign', field(5, fields)));
}

/** One field of a `google.protobuf.Struct`. @param value of type `google.protobuf.Value`. */
function entry(name: string, value: Wire): Wire {
  return field(1, field(1, text(name)) + field(2, value));
}
