/**
 * A client and a verifier with a line between them that loses and alters: the signer signs, the scheme judges, the signer hears of it,
 * once more if it thinks so, as the client library does it.
 */
import { challengeParameters, infoParameters } from '../../../src/client/answers.ts';
import { Denial, wireCode } from '../../../src/core/decision.ts';
import type { Header } from '../../../src/core/decision.ts';
import { AUTH_SCHEME } from '../../../src/schemes/time-scrambled/message.ts';
import { complete, type RequestParts } from '../../support/auth-request.ts';
import type { SchemeWorld } from '../../support/scheme-world.ts';
import { type Client, issuerOf, outgoing, signedBy } from './prover.ts';

export const REQUEST: RequestParts = {
  method: 'POST',
  scheme: 'https',
  authority: 'api.example.com',
  target: '/transfer?dry=0',
  headers: [['content-type', 'application/json']],
  body: complete('{"amount":50,"to":"bob@example.com"}'),
};

export interface Line {
  /** On its way there. */
  readonly lose?: 'request' | 'answer';
  readonly alterRequest?: (parts: RequestParts) => RequestParts;
  /** Value of `authentication-info` or `www-authenticate` on its way back. */
  readonly alterAnswer?: (value: string) => string;
  /** The client's clock. */
  readonly clientMs?: () => number;
  /** Default 1: whether the client may sign once more when it thinks that worthwhile. */
  readonly repeats?: number;
  /** Told of each request as it was judged. */
  readonly judged?: (parts: RequestParts) => void;
}

/** @returns `allow`, `lost`, or the code that the client is told. */
export async function exchange(world: SchemeWorld, client: Client, line: Line = {}): Promise<string> {
  const { repeats = 1, clientMs = () => world.clock.nowMs() } = line;
  const { signer } = client;
  const sent = await signer.sign(outgoing(REQUEST), { ...issuerOf(world), nowMs: clientMs });
  const parts = signedBy(REQUEST, sent);
  const arriving = line.alterRequest?.(parts) ?? parts;
  if (line.lose === 'request') return lost(client, sent);
  line.judged?.(arriving);
  const answer = await answerTo(world, arriving);
  if (line.lose === 'answer') return lost(client, sent);
  const value = line.alterAnswer?.(answer.value) ?? answer.value;
  if (answer.code === 'allow') {
    await signer.accepted(infoParameters(value), sent);
    return 'allow';
  }
  const parameters = challengeParameters(value, AUTH_SCHEME);
  const refusal = { code: answer.code, parameters, serverTimeMs: answer.serverTimeMs };
  const isWorthAnother = await signer.refused(refusal, sent);
  if (!isWorthAnother || repeats === 0) return answer.code;
  // The library has learnt the server's time by now.
  return exchange(world, client, { ...line, repeats: repeats - 1, clientMs: () => answer.serverTimeMs ?? clientMs() });
}

async function lost(client: Client, sent: readonly Header[]): Promise<string> {
  await client.signer.unanswered?.(sent);
  return 'lost';
}

/** As Envoy would pass it on: the code, the header of the scheme, the time. */
export async function answerTo(world: SchemeWorld, parts: RequestParts) {
  try {
    const { replyHeaders = [] } = await world.judge(parts);
    return { code: 'allow', value: replyHeaders[0]?.[1] ?? '', serverTimeMs: undefined };
  } catch (denial) {
    if (!(denial instanceof Denial)) throw denial;
    const [value = ''] = world.scheme.challenges(world.policy(), { denial, nowMs: world.clock.nowMs() });
    const time = denial.options.replyHeaders?.find(([name]) => name === 'auth-server-time')?.[1];
    // Of `stale` the front tells it, whatever the scheme.
    const serverTimeMs = denial.code === 'stale' ? world.clock.nowMs() : time === undefined ? undefined : Number(time);
    return { code: wireCode(denial.code), value, serverTimeMs };
  }
}
