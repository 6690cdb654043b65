/**
 * The access message as a whole body, as public clients send it. Its signature covers the body and nothing else: not method, host or
 * path, hence the two rules about the target. Which members each version has is its own `access-body.ts`.
 */
import { deny } from '../../core/decision.ts';
import type { AuthRequest, RoutePolicy } from '../../core/request.ts';
import { decode, isNonce } from '../../encoding/cesr.ts';
import { parseJsonDocument, type JsonObject, type JsonValue } from '../../encoding/strict-json.ts';
import type { AccessMessage } from './access-message.ts';
import { parseWireTime } from './message.ts';
import type { Parts } from './parts.ts';
import type { Settings, WireVersion } from './settings.ts';
import { readV0Body } from './v0/access-body.ts';
import { readV1Body } from './v1/access-body.ts';

/** A body that may be an access message: whether it is one shows when it is parsed. */
export function carriesBodyForm(request: AuthRequest, policy: RoutePolicy): boolean {
  const { bodyMethods } = policy.options as Settings;
  return (
    policy.body === 'required' &&
    bodyMethods.includes(request.method) &&
    isJson(request.headers.all('content-type')) &&
    !(request.body.kind === 'absent' || (request.body.kind === 'complete' && request.body.bytes.length === 0))
  );
}

function isJson([type = '', ...others]: readonly string[]): boolean {
  return others.length === 0 && type.split(';', 1)[0]?.trim().toLowerCase() === 'application/json';
}

/** @throws {Denial} `body_unverifiable`, `malformed`, `credentials_missing` for JSON that is none of ours. */
export function readBodyForm({ settings, tokens }: Parts, request: AuthRequest, policy: RoutePolicy): AccessMessage {
  const { versions, allowUnsignedQuery, requireTargetMember } = policy.options as Settings;
  const bytes = wholeBody(request, settings.maxBodyBytes);
  const document = parseJsonDocument(bytes, { maxDepth: settings.maxJsonDepth });
  const { value } = document;
  if (!('payload' in value && 'signature' in value)) deny('credentials_missing', 'JSON that is no access message');
  const version: WireVersion = 'token' in value ? 'v0' : 'v1';
  if (!versions.includes(version)) deny('credentials_missing', `wire version ${version} is not taken here`);

  const members = version === 'v0' ? readV0Body(document) : readV1Body(document);
  const timestampMs = parseWireTime(members.timestamp) ?? deny('malformed', 'timestamp: no RFC 3339 time in UTC');
  if (!isNonce(members.nonce)) deny('malformed', 'nonce: no 0A word');
  const signature = decode(members.signature, ['0I'], 'signature').raw;
  const token = tokens.decode(members.token);
  if (token.content.version !== version) deny('malformed', 'token of another version than its message');

  if (request.query !== null && !allowUnsignedQuery) deny('malformed', 'a query, which the message does not sign');
  if (requireTargetMember && !namesTarget(members.request, request))
    deny('malformed', 'request.target is not that of the request');
  const { nonce, signedBytes } = members;
  return { token, timestampMs, nonce, signature, signedBytes, consumed: [] };
}

function wholeBody({ body }: AuthRequest, maxBytes: number): Uint8Array {
  if (body.kind !== 'complete') {
    const why = body.kind === 'absent' ? 'absent' : body.why;
    return deny('body_unverifiable', `the body is not proven whole: ${why}`, {
      oversized: why === 'partial' || why === 'at_limit',
    });
  }
  if (body.bytes.length > maxBytes) deny('malformed', `body above ${maxBytes} bytes`, { oversized: true });
  return body.bytes;
}

/** The members are signed with the rest, so this is what binds the message to its place. */
function namesTarget(signed: JsonValue, { authority, method, target }: AuthRequest): boolean {
  const named = memberOf(signed, 'target');
  if (!isObject(named) || Object.keys(named).length !== 3) return false;
  return named['authority'] === authority && named['method'] === method && named['target'] === target;
}

function memberOf(value: JsonValue, name: string): JsonValue | undefined {
  return isObject(value) ? value[name] : undefined;
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
