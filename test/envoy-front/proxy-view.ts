/** An answer as the proxy reads it, decoded by another codec: `status.code` alone decides. */
import { CheckResponse } from './check-builder.ts';

export interface View {
  readonly allowed: boolean;
  readonly grpcCode: number;
  /** Which kinds of response there are. */
  readonly kinds: readonly string[];
  readonly status: number | undefined;
  readonly body: string | undefined;
  /** To the client. */
  readonly headers: readonly (readonly [string, string])[];
  /** To the upstream. */
  readonly set: readonly (readonly [string, string])[];
  readonly remove: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
}

interface Option {
  readonly header: { readonly key: string; readonly value: string };
  readonly append?: { readonly value: boolean };
  readonly append_action: string;
}

interface Denied {
  readonly status: { readonly code: number };
  readonly headers: readonly Option[];
  readonly body: string;
}

interface Decoded {
  readonly status?: { readonly code: number };
  readonly denied_response?: Denied;
  readonly error_response?: Denied;
  readonly ok_response?: {
    headers: readonly Option[];
    headers_to_remove: readonly string[];
    response_headers_to_add: readonly Option[];
  };
  readonly dynamic_metadata?: {
    fields: { countersign?: { struct_value: { fields: Record<string, { string_value: string }> } } };
  };
}

/** @throws for a header write that does not overwrite on every release. */
export function viewOf(answer: Uint8Array): View {
  const decoded = CheckResponse.toObject(CheckResponse.decode(answer), {
    enums: String,
    defaults: true,
    arrays: true,
    objects: true,
    oneofs: false,
  }) as Decoded;
  const code = decoded.status?.code ?? 0;
  const denied = decoded.denied_response ?? decoded.error_response;
  const ok = decoded.ok_response;
  return {
    allowed: code === 0,
    grpcCode: code,
    kinds: (['denied_response', 'error_response', 'ok_response'] as const).filter((kind) => decoded[kind]),
    status: denied?.status.code,
    body: denied?.body,
    headers: (denied?.headers ?? ok?.response_headers_to_add ?? []).map(write),
    set: (ok?.headers ?? []).map(write),
    remove: ok?.headers_to_remove ?? [],
    metadata: Object.fromEntries(
      Object.entries(decoded.dynamic_metadata?.fields.countersign?.struct_value.fields ?? {}).map(([name, value]) => [
        name,
        value.string_value,
      ]),
    ),
  };
}

function write({ header, append, append_action: action }: Option): readonly [string, string] {
  if (append?.value !== false || action !== 'OVERWRITE_IF_EXISTS_OR_ADD')
    throw new Error(`${header.key} is not overwritten`);
  return [header.key, header.value];
}
