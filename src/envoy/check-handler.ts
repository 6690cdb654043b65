/**
 * Bytes in, bytes out: one Check from the transport's message to the transport's answer. A refusal is prepared before anything is
 * read and is replaced only at the end; any throw leaves it in place. The transport is `server.ts`, the judgement `authenticate.ts`.
 */
import type { Authenticate, Outcome } from '../authenticate.ts';
import type { Clock } from '../core/clock.ts';
import type { Stage } from '../core/scheme.ts';
import { preparedDeny, renderAnswer, type AnswerSettings } from './answer.ts';
import { isAnswer } from './answer-assertion.ts';
import { decodeCheck, type DecodeSettings } from './decode-request.ts';

/** What the transport knows of a call besides its message. */
export interface CallFacts {
  /** Milliseconds that the caller will wait in all; undefined when it did not say. */
  readonly totalMs: number | undefined;
  /** Milliseconds that the caller will wait for this try; undefined when it did not say. */
  readonly tryMs: number | undefined;
  /** True once the caller has given up. */
  readonly cancelled: { readonly aborted: boolean };
}

export type CheckHandler = (message: Uint8Array, call: CallFacts) => Promise<Uint8Array>;

export interface CheckHandlerParts {
  /** Asked for each Check, so that a reload swaps them between two. */
  authenticate(): Authenticate;
  settings(): DecodeSettings & AnswerSettings & { readonly checkBudget: number };
  /** Checks that may be in flight. */
  maxInFlight(): number;
  /** The event loop is so late that Checks already accepted would miss their deadline. */
  mustShed(): boolean;
  readonly clock: Clock;
  readonly events: {
    shed(reason: 'delay' | 'in_flight'): void;
    stage(stage: Stage, ms: number): void;
    encodeAssertionFailed(): void;
  };
}

/** Left for the way back to the proxy. */
const MARGIN_MS = 30;
const MIN_BUDGET_MS = 10;
/** Bytes of messages held at once. */
const MAX_HELD_BYTES = 64 * 1024 * 1024;

export function createCheckHandler(parts: CheckHandlerParts): { handle: CheckHandler; inFlight(): number } {
  const { clock, events } = parts;
  let inFlight = 0;
  let heldBytes = 0;

  const handle: CheckHandler = async (message, call) => {
    const settings = parts.settings();
    if (inFlight >= parts.maxInFlight() || heldBytes + message.length > MAX_HELD_BYTES) {
      events.shed('in_flight');
      return prepared('overload', settings);
    }
    if (parts.mustShed()) {
      events.shed('delay');
      return prepared('overload', settings);
    }
    inFlight += 1;
    heldBytes += message.length;
    try {
      const receivedAtMs = clock.nowMs();
      const outcome = await parts.authenticate()(() => decodeCheck(message, receivedAtMs, settings), {
        budgetMs: budget(call, settings.checkBudget),
        cancelled: call.cancelled,
      });
      return answer(outcome, settings);
    } catch {
      return prepared('internal', settings);
    } finally {
      inFlight -= 1;
      heldBytes -= message.length;
    }
  };

  function answer(outcome: Outcome, settings: AnswerSettings): Uint8Array {
    const startMs = clock.monotonicMs();
    const { decision, route, checkId, request } = outcome;
    const { intent, bytes } = renderAnswer(
      { decision, route, checkId, headers: request?.headers, method: request?.method },
      settings,
    );
    if (!isAnswer(bytes, intent)) {
      events.encodeAssertionFailed();
      return prepared('internal', settings);
    }
    events.stage('encode', clock.monotonicMs() - startMs);
    return bytes;
  }

  return { handle, inFlight: () => inFlight };
}

function budget({ totalMs, tryMs }: CallFacts, checkBudgetMs: number): number {
  const callerMs = Math.min(totalMs ?? Number.POSITIVE_INFINITY, tryMs ?? Number.POSITIVE_INFINITY) - MARGIN_MS;
  return Math.max(MIN_BUDGET_MS, Math.min(checkBudgetMs, callerMs));
}

const PREPARED = {
  denied: { internal: preparedDeny('internal', 'denied'), overload: preparedDeny('overload', 'denied') },
  error: { internal: preparedDeny('internal', 'error'), overload: preparedDeny('overload', 'error') },
};

function prepared(reason: 'internal' | 'overload', { faultResponse }: AnswerSettings): Uint8Array {
  return PREPARED[faultResponse][reason];
}
