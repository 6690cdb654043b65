/** What a promise is rejected with, as far as refusals go. */
import { Denial, type DenialCode } from '../../src/core/decision.ts';
import { Fault } from '../../src/core/fault.ts';

/** The denial. @throws Error when the promise resolves, and whatever else it is rejected with. */
export async function denialOf(judged: Promise<unknown>): Promise<Denial> {
  const thrown = await rejectionOf(judged);
  if (thrown instanceof Denial) return thrown;
  throw thrown;
}

export async function codeOf(judged: Promise<unknown>): Promise<DenialCode> {
  return (await denialOf(judged)).code;
}

export async function faultOf(judged: Promise<unknown>): Promise<Fault> {
  const thrown = await rejectionOf(judged);
  if (thrown instanceof Fault) return thrown;
  throw thrown;
}

/** `allow`, or the code of the denial. */
export async function outcomeOf(judged: Promise<unknown>): Promise<DenialCode | 'allow'> {
  try {
    await judged;
    return 'allow';
  } catch (thrown) {
    if (thrown instanceof Denial) return thrown.code;
    throw thrown;
  }
}

export async function rejectionOf(judged: Promise<unknown>): Promise<unknown> {
  try {
    await judged;
  } catch (thrown) {
    return thrown;
  }
  throw new Error('was allowed');
}
