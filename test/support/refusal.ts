/** What a call refuses with: the code of a denial, `fault <reason>`, or nothing when it returns. */
import { Denial } from '../../src/core/decision.ts';
import { Fault } from '../../src/core/fault.ts';

/** @throws whatever the call throws that is neither a denial nor a fault. */
export function refusalOf(call: () => unknown): string | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    if (error instanceof Denial) return error.code;
    if (error instanceof Fault) return `fault ${error.reason}`;
    throw error;
  }
}

/** What a call throws, or undefined. */
export function thrownBy(call: () => unknown): unknown {
  try {
    call();
    return undefined;
  } catch (error) {
    return error;
  }
}
