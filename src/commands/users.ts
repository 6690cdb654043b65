/** `countersign users`: the admin API from the terminal. There is no list: the store can't enumerate. */
import { readFileSync } from 'node:fs';
import { ADMIN_OPTIONS, callAdmin } from './admin-api.ts';
import { CommandError, EXIT, optional, printJson, required, type Command, type Values } from './command.ts';

export const users: Command = {
  summary: 'users, their keys and invitations, through the admin API',
  usage: `add|show|revoke|delete --subject X [--attributes JSON] [--disabled] [--tenant T]
       users add-key --subject X --scheme S --kid K --jwk FILE
       users invite --scheme S [--subject X] [--ttl 24h] [--replace]
       each with [--admin URL] --token-file FILE`,
  options: {
    ...ADMIN_OPTIONS,
    subject: { type: 'string' },
    tenant: { type: 'string' },
    attributes: { type: 'string' },
    disabled: { type: 'boolean' },
    scheme: { type: 'string' },
    kid: { type: 'string' },
    jwk: { type: 'string' },
    ttl: { type: 'string' },
    replace: { type: 'boolean' },
  },
  async run(values, [action]) {
    const [method, path, body] = callOf(action, values);
    printJson(await callAdmin(values, method, path, { ...body, ...present('tenant', optional(values, 'tenant')) }));
    return EXIT.ok;
  },
};

function callOf(action: string | undefined, values: Values): readonly ['PUT' | 'POST', string, object] {
  switch (action) {
    case 'add':
      return ['PUT', '/admin/v1/users', {
        subject: required(values, 'subject'),
        ...present('attributes', attributesOf(values)),
        ...(values['disabled'] === true && { disabled: true }),
      }];
    case 'show':
      return ['POST', '/admin/v1/users/lookup', { subject: required(values, 'subject') }];
    case 'revoke':
    case 'delete':
      return ['POST', `/admin/v1/users/${action}`, { subject: required(values, 'subject') }];
    case 'add-key':
      return ['PUT', `/admin/v1/credentials/${encodeURIComponent(required(values, 'scheme'))}`, {
        subject: required(values, 'subject'),
        keyId: required(values, 'kid'),
        jwk: publicJwkOf(required(values, 'jwk')),
      }];
    case 'invite':
      return ['POST', '/admin/v1/invites', {
        scheme: required(values, 'scheme'),
        ...present('subject', optional(values, 'subject')),
        ttl: optional(values, 'ttl') ?? '24h',
        replace: values['replace'] === true,
      }];
    default:
      throw new CommandError(EXIT.usage, 'expected add, show, revoke, delete, add-key or invite');
  }
}

function present(name: string, value: unknown): object {
  return value === undefined ? {} : { [name]: value };
}

function attributesOf(values: Values): unknown {
  const text = optional(values, 'attributes');
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw new CommandError(EXIT.usage, '--attributes: expected a JSON object such as {"role":"admin"}');
  }
}

/** Only the public members leave this machine, also when the file holds the private key. */
function publicJwkOf(file: string): object {
  let jwk: Record<string, unknown>;
  try {
    jwk = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  } catch {
    throw new CommandError(EXIT.unreadable, `${file}: expected a JWK in JSON`);
  }
  const { kty, crv, x, y } = jwk;
  return y === undefined ? { kty, crv, x } : { kty, crv, x, y };
}
