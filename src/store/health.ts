/** Whether verbs may be sent, and the one state that readiness and metrics see. Who finds out what is wrong is `redis-watch.ts`. */
import type { Clock } from '../core/clock.ts';
import type { StoreFaultReason } from '../core/fault.ts';
import type { StoreObserver, StoreState } from '../core/store.ts';
import type { Breaker } from './breaker.ts';
import type { Marks } from './marks.ts';
import type { StoreClock } from './store-clock.ts';

export interface Health {
  /** `ok` when the server of the present connection has proven itself. */
  standing(): StoreFaultReason | 'ok';
  /** @param remark what telemetry should say of a state `ok`. */
  stand(standing: StoreFaultReason | 'ok', remark?: StoreFaultReason): void;
  provenOnce(): boolean;
  state(): StoreState;
  /** Tells the observer of a change, one by the passing of time too. */
  tell(): void;
}

export interface HealthParts {
  readonly clock: Clock;
  readonly observer: StoreObserver;
  readonly breaker: Breaker;
  readonly storeClock: StoreClock;
  readonly marks: Marks;
}

export function createHealth({ clock, observer, breaker, storeClock, marks }: HealthParts): Health {
  let standing: StoreFaultReason | 'ok' = 'down';
  let remark: StoreFaultReason | undefined;
  let isProven = false;
  let told = '';

  const present = (): readonly [StoreState, StoreFaultReason | 'ok'] => {
    if (standing !== 'ok') return [stateOf(standing), standing];
    if (breaker.isOpen()) return ['down', 'down'];
    if (storeClock.state() !== 'good') return ['clock', 'clock'];
    if (clock.nowMs() < (marks.horizonMs() ?? Number.POSITIVE_INFINITY)) return ['recovering', 'recovering'];
    return ['ok', remark ?? 'ok'];
  };

  const tell = () => {
    const [state, reason] = present();
    if (told === `${state} ${reason}`) return;
    told = `${state} ${reason}`;
    observer.state(state, reason);
  };

  return {
    standing: () => standing,
    stand(next, nextRemark) {
      standing = next;
      remark = nextRemark;
      isProven ||= next === 'ok';
      tell();
    },
    provenOnce: () => isProven,
    state: () => present()[0],
    tell,
  };
}

function stateOf(standing: StoreFaultReason): StoreState {
  if (standing === 'unsafe' || standing === 'auth') return 'unsafe';
  return standing === 'clock' ? 'clock' : 'down';
}
