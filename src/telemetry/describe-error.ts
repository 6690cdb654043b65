/**
 * What a log may say of something thrown. Messages of faults are our own constant phrases; other messages may quote
 * what was being parsed (V8 quotes JSON), so of anything else only name, code and stack frames are told.
 */
import { Denial } from '../core/decision.ts';
import { Fault } from '../core/fault.ts';

const MAX_CAUSES = 3;

export function describeError(thrown: unknown): string {
  const parts: string[] = [];
  let current = thrown;
  for (let depth = 0; depth <= MAX_CAUSES && current !== undefined; depth++) {
    parts.push(describeOne(current));
    current = Error.isError(current) ? current.cause : undefined;
  }
  return parts.join('; caused by ');
}

function describeOne(thrown: unknown): string {
  if (thrown instanceof Fault || thrown instanceof Denial) return thrown.message;
  if (!Error.isError(thrown)) return `thrown ${thrown === null ? 'null' : typeof thrown}`;
  const code = (thrown as { code?: unknown }).code;
  const named =
    typeof code === 'string' && /^[A-Z][A-Z0-9_]{1,63}$/.test(code) ? `${nameOf(thrown)} ${code}` : nameOf(thrown);
  return named + framesOf(thrown);
}

function nameOf(error: Error): string {
  return /^[A-Za-z]{1,64}$/.test(error.name) ? error.name : 'Error';
}

/** The stack without its message. None when the message can't be told from the frames, since it might hold anything. */
function framesOf(error: Error): string {
  const stack = error.stack ?? '';
  const start = stack.indexOf(error.message);
  if (start < 0 || start > error.name.length + 64) return '';
  const frames = stack.slice(start + error.message.length);
  return /^(\n {4}at [^\n]*)*$/.test(frames) ? frames : '';
}
