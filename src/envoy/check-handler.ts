/**
 * One Check, bytes to bytes. It starts from a prepared deny and replaces it only at the end: whatever throws or ends early before
 * that leaves it in place. Transport is `server.ts`; judgement is `authenticate.ts`, which settles within the budget whatever hangs.
 */
import type { Arrival, Authenticate } from '../authenticate.ts';
import type { Clock } from '../core/clock.ts';
import { Denial } from '../core/decision.ts';
import { Fault } from '../core/fault.ts';
import type { Events } from '../telemetry/events.ts';
import { isAnswer } from './answer-assertion.ts';
import { preparedDeny, renderAnswer } from './answer.ts';
import type { AnswerSettings } from './answer.ts';
import { budgetFor } from './budget.ts';
import type { Patience } from './budget.ts';
import { decodeCheck } from './decode-request.ts';
import type { CheckArrival, DecodeSettings } from './decode-request.ts';

/** What a transport knows of a call besides its message. */
export interface CallFacts extends Patience {
  /** Own clock at the first byte, unix ms. */
  readonly receivedAtMs: number;
  /** True once nobody waits for the answer any more. */
  readonly cancelled: { readonly aborted: boolean };
}

export interface CheckHandler {
  /**
   * Never rejects, never hangs.
   *
   * @param message the Check, or why there is none: it is judged, counted and answered all the same.
   */
  handle(message: Uint8Array | Denial | Fault, call: CallFacts): Promise<Uint8Array>;
  /** A 503, for calls that can't be answered any more otherwise. */
  prepared(): Uint8Array;
  /** Largest message that may be handed over. */
  maxMessageBytes(): number;
  inFlight(): number;
}

export interface CheckHandlerParts {
  /** This and the next two are asked for each Check, so that a reload swaps them between two. */
  authenticate(): Authenticate;
  settings(): DecodeSettings & AnswerSettings & { readonly checkBudget: number };
  /** `process.maxInFlight`. */
  maxInFlight(): number;
  /** The event loop is so late that Checks already accepted would miss their deadline. */
  mustShed(): boolean;
  readonly clock: Clock;
  readonly events: Pick<Events, 'shed' | 'encodeAssertionFailed' | 'fault' | 'stage'>;
}

/** Beside the body, the rest of a Check: headers, extensions, what is skipped. */
const MESSAGE_OVERHEAD_BYTES = 256 * 1024;
const LEAST_MESSAGE_BYTES = 512 * 1024;

const PREPARED: Readonly<Record<AnswerSettings['faultResponse'], Uint8Array>> = {
  denied: preparedDeny('denied'),
  error: preparedDeny('error'),
};

export function createCheckHandler(parts: CheckHandlerParts): CheckHandler {
  const { clock, events } = parts;
  let inFlight = 0;

  function turnedAway(): Fault | undefined {
    const reason = inFlight > parts.maxInFlight() ? 'in_flight' : parts.mustShed() ? 'delay' : undefined;
    if (reason === undefined) return undefined;
    events.shed(reason);
    return new Fault('overload', 'too many Checks at once, or the event loop is late');
  }

  async function judge(
    message: Uint8Array | Denial | Fault,
    call: CallFacts,
    settings: Settings,
    budgetMs: number,
  ): Promise<Uint8Array> {
    const input = turnedAway() ?? message;
    let arrival: CheckArrival | undefined;
    const open = (): Arrival => {
      if (input instanceof Denial || input instanceof Fault) throw input;
      arrival = decodeCheck(input, call.receivedAtMs, settings);
      return arrival;
    };
    const outcome = await parts.authenticate()(open, { budgetMs, cancelled: call.cancelled });
    const startMs = clock.monotonicMs();
    const { decision, route, checkId } = outcome;
    const verdict = { decision, route, checkId, headers: arrival?.headers, method: arrival?.method };
    const { intent, bytes } = renderAnswer(verdict, settings);
    events.stage('encode', clock.monotonicMs() - startMs);
    if (isAnswer(bytes, intent)) return bytes;
    events.encodeAssertionFailed();
    return PREPARED[settings.faultResponse];
  }

  return {
    async handle(message, call) {
      let answer = PREPARED.denied;
      inFlight += 1;
      try {
        const settings = parts.settings();
        answer = PREPARED[settings.faultResponse];
        const budgetMs = budgetFor(settings.checkBudget, call);
        answer = await judge(message, call, settings, budgetMs);
      } catch (thrown) {
        events.fault('internal', thrown);
      } finally {
        inFlight -= 1;
      }
      return answer;
    },
    prepared: () => PREPARED[parts.settings().faultResponse],
    maxMessageBytes: () => Math.max(LEAST_MESSAGE_BYTES, parts.settings().maxRequestBytes + MESSAGE_OVERHEAD_BYTES),
    inFlight: () => inFlight,
  };
}

type Settings = ReturnType<CheckHandlerParts['settings']>;
