/** `countersign users`: the admin API from the terminal. There is no list: the store can't enumerate. */
import { readFileSync } from 'node:fs';
import { ADMIN_OPTIONS, callAdmin } from './admin-api.ts';
import {
  CommandError,
  EXIT,
  optional,
  printJson,
  required,
  requireOnly,
  type Command,
  type Values,
} from './command.ts';

export const users: Command = {
  summary: 'users, their keys and invitations, through the admin API',
  usage: `add|show|revoke|delete --subject X [--attributes JSON] [--disabled] [--tenant T]
       users add-key --subject X --scheme S --kid K --jwk FILE
       users add-chain --subject X --id ID --anchors FILE [--profile keyed|seed] [--replace]
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
    id: { type: 'string' },
    anchors: { type: 'string' },
    profile: { type: 'string' },
    ttl: { type: 'string' },
    replace: { type: 'boolean' },
  },
  words: 1,
  async run(values, [action = '']) {
    const chosen = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
    if (chosen === undefined) throw new CommandError(EXIT.usage, `expected ${Object.keys(ACTIONS).join(', ')}`);
    requireOnly(values, action, [...Object.keys(ADMIN_OPTIONS), 'tenant', ...chosen.options]);
    const { method, path, body } = chosen.call(values);
    printJson(await callAdmin(values, method, path, { ...body, ...present('tenant', optional(values, 'tenant')) }));
    return EXIT.ok;
  },
};

interface Call {
  readonly method: 'PUT' | 'POST';
  readonly path: string;
  readonly body: object;
}

const ACTIONS: Readonly<Record<string, { options: readonly string[]; call(values: Values): Call }>> = {
  add: {
    options: ['subject', 'attributes', 'disabled'],
    call: (values) => {
      const disabled = values['disabled'] === true && { disabled: true };
      const body = {
        subject: required(values, 'subject'),
        ...present('attributes', attributesOf(values)),
        ...disabled,
      };
      return { method: 'PUT', path: '/admin/v1/users', body };
    },
  },
  show: { options: ['subject'], call: (values) => aboutSubject('lookup', values) },
  revoke: { options: ['subject'], call: (values) => aboutSubject('revoke', values) },
  delete: { options: ['subject'], call: (values) => aboutSubject('delete', values) },
  'add-key': {
    options: ['subject', 'scheme', 'kid', 'jwk'],
    call: (values) => {
      const path = `/admin/v1/credentials/${encodeURIComponent(required(values, 'scheme'))}`;
      const key = { keyId: required(values, 'kid'), jwk: publicJwkOf(required(values, 'jwk')) };
      return { method: 'PUT', path, body: { subject: required(values, 'subject'), ...key } };
    },
  },
  'add-chain': {
    options: ['subject', 'id', 'anchors', 'profile', 'replace'],
    call: (values) => {
      const keyId = required(values, 'id');
      const { n, anchors } = anchorsOf(required(values, 'anchors'), keyId);
      const chain = { keyId, profile: optional(values, 'profile') ?? 'keyed', n, anchors };
      const body = { subject: required(values, 'subject'), ...chain, replace: values['replace'] === true };
      return { method: 'PUT', path: '/admin/v1/credentials/time-scrambled', body };
    },
  },
  invite: {
    options: ['subject', 'scheme', 'ttl', 'replace'],
    call: (values) => {
      const subject = present('subject', optional(values, 'subject'));
      const terms = { ttl: optional(values, 'ttl') ?? '24h', replace: values['replace'] === true };
      return {
        method: 'POST',
        path: '/admin/v1/invites',
        body: { scheme: required(values, 'scheme'), ...subject, ...terms },
      };
    },
  },
};

/** The subject travels in the body, so that it stays out of access logs. */
function aboutSubject(call: 'lookup' | 'revoke' | 'delete', values: Values): Call {
  return { method: 'POST', path: `/admin/v1/users/${call}`, body: { subject: required(values, 'subject') } };
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

/**
 * A JWK, or what `keys client --json` printed. Only the public members leave this machine, also when the file holds the private key.
 */
function publicJwkOf(file: string): object {
  let jwk: unknown;
  try {
    jwk = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    // Without the cause: its message quotes the file, which may hold a private key.
    throw new CommandError(EXIT.unreadable, `${file}: expected a JWK in JSON`);
  }
  if (typeof jwk !== 'object' || jwk === null)
    throw new CommandError(EXIT.unreadable, `${file}: expected a JWK in JSON`);
  const { kty, crv, x, y } =
    (jwk as { publicJwk?: Record<string, unknown> }).publicJwk ?? (jwk as Record<string, unknown>);
  return y === undefined ? { kty, crv, x } : { kty, crv, x, y };
}

/** What `keys chain` printed. @throws {CommandError} when it is about another chain: whoever mixes them up locks a client out. */
function anchorsOf(file: string, id: string): { n: unknown; anchors: unknown } {
  let printed: unknown;
  try {
    printed = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new CommandError(EXIT.unreadable, `${file}: expected what "keys chain" printed`, { cause });
  }
  const { id: printedId, n, anchors } = (printed ?? {}) as Readonly<Record<string, unknown>>;
  if (printedId !== id) throw new CommandError(EXIT.unreadable, `${file}: expected the anchors of ${id}`);
  return { n, anchors };
}
