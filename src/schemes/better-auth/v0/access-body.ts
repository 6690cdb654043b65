/** Members of a v0 access message: the token beside the payload, which the signature covers without its blanks. */
import * as v from 'valibot';
import { deny } from '../../../core/decision.ts';
import { utf8 } from '../../../encoding/bytes.ts';
import { minifyJson } from '../../../encoding/json-minify.ts';
import type { JsonDocument, JsonObject } from '../../../encoding/strict-json.ts';
import type { BodyMembers } from '../access-message.ts';

const BODY = v.strictObject({
  token: v.string(),
  payload: v.strictObject({
    access: v.strictObject({ timestamp: v.string(), nonce: v.string() }),
    request: v.unknown(),
  }),
  signature: v.string(),
});

/** @throws {Denial} `malformed` */
export function readV0Body({ value, sourceOf }: JsonDocument): BodyMembers {
  const parsed = v.safeParse(BODY, value);
  if (!parsed.success) return deny('malformed', 'not the members of a v0 access message');
  const { token, payload, signature } = parsed.output;
  const source = value['payload'] as JsonObject;
  const { request } = source;
  if (request === undefined) return deny('malformed', 'an access message without request');
  return { token, ...payload.access, signature, request, signedBytes: utf8(minifyJson(sourceOf(source))) };
}
