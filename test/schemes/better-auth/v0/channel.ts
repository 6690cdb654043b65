/** The issuer of a world as the library reaches it, over a wire that loses messages where the test says so. */
import { expect } from '@jest/globals';
import { CountersignError } from '../../../../src/core/client-error.ts';
import { Denial, wireCode } from '../../../../src/core/decision.ts';
import type { IssuerConnection, MessageChannel, OutgoingRequest, Signer } from '../../../../src/core/signer.ts';
import { sha256 } from '../../../../src/crypto/digest.ts';
import { type RequestParts, withHeader } from '../../../support/auth-request.ts';
import type { SchemeWorld } from '../../../support/scheme-world.ts';
import { callEndpoint, PREFIX } from './prover.ts';

export interface TestChannel extends MessageChannel {
  /** Messages that arrived, as `path body`. */
  readonly sent: string[];
  /** What happens to the next message of this path. */
  lose: { path: string; what: 'request' | 'reply' } | undefined;
  /** Changes what the server answered. */
  alter: (reply: string) => string;
}

export function channelTo(world: SchemeWorld): TestChannel {
  const channel: TestChannel = {
    sent: [],
    lose: undefined,
    alter: (reply) => reply,
    async post(under, path, body, headers = {}) {
      const lost = channel.lose?.path === path ? channel.lose.what : undefined;
      if (lost !== undefined) channel.lose = undefined;
      if (lost === 'request') throw new TypeError('fetch failed');
      channel.sent.push(`${path} ${body}`);
      const answered = told(callEndpoint(world, 'issuer', `${PREFIX}${path}`, body, { headers }));
      if (lost === 'reply') {
        await answered.catch(() => undefined);
        throw new TypeError('fetch failed');
      }
      const answer = await answered;
      expect(under).toBe('v0');
      return channel.alter(new TextDecoder().decode(answer.body as Uint8Array));
    },
    async get(path) {
      const endpoint = world.scheme.endpoints.find((one) => one.path === path && one.method === 'GET');
      const answer = await endpoint?.handle({} as never);
      return typeof answer?.body === 'object' && !ArrayBuffer.isView(answer.body)
        ? JSON.stringify(answer.body)
        : new TextDecoder().decode(answer?.body as Uint8Array);
    },
    nowMs: () => world.clock.nowMs(),
  };
  return channel;
}

/** A refusal as the library tells it. */
async function told<T>(answered: Promise<T>): Promise<T> {
  try {
    return await answered;
  } catch (thrown) {
    if (!(thrown instanceof Denial)) throw thrown;
    const code = wireCode(thrown.code);
    if (code === 'body_unverifiable') throw thrown;
    throw new CountersignError(code, 'the issuer refused', { status: thrown.form.issuer });
  }
}

/** The request with the signer's proof, at the world's time. */
export async function signedBy(world: SchemeWorld, signer: Signer, request: RequestParts): Promise<RequestParts> {
  const body = request.body.kind === 'complete' ? request.body.bytes : new Uint8Array(0);
  const outgoing: OutgoingRequest = { ...request, body, bodyDigest: sha256(body) };
  const issuer: IssuerConnection = {
    nowMs: () => world.clock.nowMs(),
    parameters: async () => ({}),
    post: async () => ({}),
  };
  const [[name, value] = ['', '']] = await signer.sign(outgoing, issuer);
  return withHeader(request, name, value);
}
