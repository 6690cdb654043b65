/**
 * What the public clients of v1 really send (BA-32): their own messages, recorded by running them unchanged against an issuer with the
 * server keys of `better-auth.json`. Each prints JSON in its own way, which no message of ours would show.
 */
import { expect, test } from '@jest/globals';
import { createSignatures } from '../../src/crypto/signatures.ts';
import { utf8 } from '../../src/encoding/bytes.ts';
import { decode } from '../../src/encoding/cesr.ts';
import { OPERATIONS } from '../../src/schemes/better-auth/v1/message.ts';
import { betterAuthWorld, call, vectorKey } from '../schemes/better-auth/world.ts';
import { complete } from '../support/auth-request.ts';
import { outcomeOf } from '../support/refused.ts';
import type { SchemeWorld } from '../support/scheme-world.ts';
import recorded from './better-auth-clients.json' with { type: 'json' };

type Message = (typeof recorded.clients)[number]['messages'][number];

test.each(recorded.clients)('$source: every operation and access, as it was sent', async ({ messages }) => {
  expect(new Set(messages.map(({ path }) => path))).toEqual(new Set([...OPERATIONS.map((path) => `/${path}`), ACCESS]));
  const world = betterAuthWorld();
  for (const message of messages) {
    world.clock.set(message.nowMs);
    const outcome = message.path === ACCESS ? await judged(world, message) : await answered(world, message);
    expect([message.path, outcome]).toEqual([message.path, 'allow']);
  }
});

/** Whatever else the recording asked for, it asked for under this path. */
const ACCESS = '/foo/bar';

function judged(world: SchemeWorld, { path, body }: Message): Promise<string> {
  return outcomeOf(
    world.judge({
      method: 'POST',
      scheme: 'https',
      authority: 'api.example.com',
      target: path,
      headers: [['content-type', 'application/json']],
      body: complete(body),
    }),
  );
}

/** @returns `allow` for a reply that the client would take. */
async function answered(world: SchemeWorld, { path, body, challenge }: Message): Promise<string> {
  // The next message names the challenge that was handed out when this one was recorded.
  const { random } = world.resources;
  if (challenge !== undefined) world.resources.random = () => Uint8Array.from(decode(challenge, ['0A']).raw);
  const { status, text } = await call(world, path, body);
  world.resources.random = random;
  if (status !== 200) return text;
  const [, payload = '', signature = ''] = /^\{"payload":(.*),"signature":"(0I.{86})"\}$/.exec(text) ?? [];
  const key = vectorKey('response-server');
  const { d: _, ...jwk } = key.privateJwk;
  const signed = decode(signature, ['0I']).raw;
  expect(createSignatures({ mode: 'sync' }).verify({ alg: 'ES256', jwk }, utf8(payload), signed)).toBe(true);
  const { access } = JSON.parse(payload) as { access: object };
  const { nonce } = (JSON.parse(body) as { payload: { access: { nonce: string } } }).payload.access;
  expect(access).toEqual({ nonce, serverIdentity: key.word });
  return 'allow';
}
