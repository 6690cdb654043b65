/** A store observer that hears nothing, for tests about something else. */
import type { StoreObserver } from '../../src/core/store.ts';

export const quietObserver: StoreObserver = {
  operation() {},
  state() {},
  breaker() {},
  clockOffset() {},
  horizon() {},
  connections() {},
};
