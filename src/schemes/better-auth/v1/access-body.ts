/** Members of a v1 access message: the envelope of every v1 message, with token and time beside its nonce. */
import { deny } from '../../../core/decision.ts';
import { utf8 } from '../../../encoding/bytes.ts';
import type { JsonDocument, JsonObject, JsonValue } from '../../../encoding/strict-json.ts';
import type { BodyMembers } from '../access-message.ts';

/** Judged by hand, as it is on each Check. @throws {Denial} `malformed` */
export function readV1Body({ value, sourceOf }: JsonDocument): BodyMembers {
  const { payload, signature } = closed(value, ['payload', 'signature']);
  const { access, request } = closed(payload, ['access', 'request']);
  const { nonce, timestamp, token } = closed(access, ['nonce', 'timestamp', 'token']);
  return {
    token: text(token),
    timestamp: text(timestamp),
    nonce: text(nonce),
    signature: text(signature),
    request: request as JsonValue,
    signedBytes: utf8(sourceOf(payload as JsonObject)),
  };
}

/** Exactly these members. */
function closed(value: JsonValue | undefined, names: readonly string[]): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return wrong();
  const object = value as JsonObject;
  return Object.keys(object).length === names.length && names.every((name) => name in object) ? object : wrong();
}

function text(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : wrong();
}

function wrong(): never {
  return deny('malformed', 'not the members of a v1 access message');
}
