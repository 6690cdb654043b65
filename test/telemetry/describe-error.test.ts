import { describe, expect, test } from '@jest/globals';
import { Denial } from '../../src/core/decision.ts';
import { Fault, StoreFault } from '../../src/core/fault.ts';
import { describeError } from '../../src/telemetry/describe-error.ts';

function thrownBy(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    return error;
  }
}

describe('what a log may say of something thrown', () => {
  test('is the message of a fault or a refusal, which is ours', () => {
    expect(describeError(new StoreFault('timeout', 'no answer within 50 ms'))).toBe('no answer within 50 ms');
    expect(describeError(new Denial('stale', 'too old'))).toBe('stale: too old');
  });

  test('is name, code and frames of anything else, never its message: a parser quotes what it reads', () => {
    const parseError = thrownBy(() => JSON.parse('{"password":"canary"') as unknown);
    expect(String(parseError)).toMatch(/JSON/);
    expect(describeError(parseError)).toMatch(/^SyntaxError\n {4}at /);
    expect(describeError(thrownBy(() => JSON.parse('canary') as unknown))).not.toContain('canary');
    const closed = Object.assign(new Error('write to canary failed'), { code: 'EPIPE' });
    expect(describeError(new Fault('down', 'connection lost', { cause: closed }))).toMatch(
      /^connection lost; caused by Error EPIPE\n {4}at /,
    );
  });

  test.each([
    ['a message that imitates frames', Object.assign(new Error('x'), { stack: 'Error: y\n    at canary (file:1:1)' })],
    ['a message cut short later', Object.assign(new Error('x'), { stack: 'Error: x canary\n    at f (file:1:1)' })],
    ['a message changed later', Object.assign(new Error('canary'), { message: 'other' })],
    ['a message of several lines', new Error('a\n    at canary\nb')],
    ['a name that is text', Object.assign(new Error('x'), { name: 'canary says' })],
    ['a code that is text', Object.assign(new Error('x'), { code: 'canary says' })],
    ['no error at all', 'canary'],
    ['an object', { canary: true }],
    ['null', null],
  ])('leaks nothing of %s', (_, thrown) => {
    expect(describeError(thrown)).not.toContain('canary');
  });

  test('ends although causes form a circle', () => {
    const error = new Error('x');
    error.cause = error;
    expect(describeError(error).length).toBeLessThan(10_000);
  });
});
