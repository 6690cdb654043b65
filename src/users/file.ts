/**
 * `directory.file`: fixed users for deployments without enrolment. JSON, `{"users":[{"user","attributes"?,"disabled"?,"epoch"?,
 * "keys":[{"kid","jwk","uses"?,"expiresAt"?}]}]}`; `uses` defaults to every scheme with public keys.
 */
import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import type { Denial } from '../core/decision.ts';
import type { UserRecord } from '../core/directory.ts';
import { identifier, keyId } from '../core/settings.ts';
import { isAcceptableKey, thumbprint } from '../crypto/signatures.ts';
import { encodeBase64url } from '../encoding/base64url.ts';
import { algOf, parsePublicJwk } from '../encoding/jwk.ts';
import { parseStrictJson, type JsonObject } from '../encoding/strict-json.ts';
import { attributesSchema } from './attributes.ts';
import { MAX_KEYS } from './record.ts';

const MAX_FILE_BYTES = 16 * 1024 * 1024;
const time = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const fileSchema = v.strictObject({
  users: v.array(
    v.strictObject({
      user: identifier(),
      attributes: v.optional(attributesSchema, {}),
      disabled: v.optional(v.boolean(), false),
      epoch: v.optional(time, 0),
      keys: v.pipe(
        v.array(
          v.strictObject({
            kid: keyId(),
            jwk: v.unknown(),
            uses: v.optional(v.array(v.string())),
            expiresAt: v.optional(v.nullable(time), null),
          }),
        ),
        v.maxLength(MAX_KEYS),
      ),
    }),
  ),
});

/** @param schemes with public keys. @throws {Error} that names the file and what was expected. */
export function readUserFile(file: string, schemes: readonly string[]): ReadonlyMap<string, UserRecord> {
  const expected = (what: string): never => {
    throw new Error(`directory.file ${file}: expected ${what}`);
  };
  const bytes = readFileSync(file);
  if (bytes.length > MAX_FILE_BYTES) expected('at most 16 MiB');
  const result = v.safeParse(fileSchema, parsed(bytes, expected));
  if (!result.success) return expected(`{"users":[...]}, see ${v.getDotPath(result.issues[0]) ?? 'the top'}`);

  const users = new Map<string, UserRecord>();
  const owners = new Map<string, string>();
  for (const { user, attributes, disabled, epoch, keys } of result.output.users) {
    if (users.has(user)) expected(`each user once, got ${user} twice`);
    if (new Set(keys.map(({ kid }) => kid)).size < keys.length) expected(`each key id of ${user} once`);
    users.set(user, {
      v: 0,
      user,
      epoch,
      disabled,
      deleted: false,
      attributes,
      keys: keys.map(({ kid, jwk: given, uses, expiresAt }) => {
        const jwk = parsePublicJwk(given);
        if (jwk === undefined || !isAcceptableKey(jwk))
          return expected(`a public Ed25519 or P-256 JWK as key ${kid} of ${user}`);
        const digest = encodeBase64url(thumbprint(jwk));
        if (owners.has(digest)) expected(`each key once, got key ${kid} of ${user} under ${owners.get(digest)} too`);
        owners.set(digest, user);
        return { kid, alg: algOf(jwk), jwk, uses: uses ?? schemes, addedAt: 0, expiresAt };
      }),
      updatedAt: 0,
    });
  }
  return users;
}

function parsed(bytes: Uint8Array, expected: (what: string) => never): JsonObject {
  try {
    return parseStrictJson(bytes);
  } catch (thrown) {
    return expected(`a JSON object, got ${(thrown as Denial).detail}`);
  }
}
