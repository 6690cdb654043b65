/** Members of a v1 access message: the envelope of every v1 message, with token and time beside its nonce. */
import * as v from 'valibot';
import { deny } from '../../../core/decision.ts';
import { utf8 } from '../../../encoding/bytes.ts';
import type { JsonDocument, JsonObject } from '../../../encoding/strict-json.ts';
import type { BodyMembers } from '../access-message.ts';

const BODY = v.strictObject({
  payload: v.strictObject({
    access: v.strictObject({ nonce: v.string(), timestamp: v.string(), token: v.string() }),
    request: v.unknown(),
  }),
  signature: v.string(),
});

/** @throws {Denial} `malformed` */
export function readV1Body({ value, sourceOf }: JsonDocument): BodyMembers {
  const parsed = v.safeParse(BODY, value);
  if (!parsed.success) return deny('malformed', 'not the members of a v1 access message');
  const { payload, signature } = parsed.output;
  const { request } = value['payload'] as JsonObject;
  if (request === undefined) return deny('malformed', 'an access message without request');
  return { ...payload.access, signature, request, signedBytes: utf8(sourceOf(value['payload'] as JsonObject)) };
}
