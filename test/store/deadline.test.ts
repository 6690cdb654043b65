import { expect, test } from '@jest/globals';
import { createDeadline } from '../../src/store/deadline.ts';
import { faultOf } from '../support/refused.ts';

const monotonicMs = () => performance.now();
const never = new Promise<string>(() => undefined);
const block = (ms: number) => {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
};

test('a command that is not answered is refused with timeout, one that is keeps its answer', async () => {
  const deadline = createDeadline(30, monotonicMs);
  const hung = deadline.bound(never);
  const quick = deadline.bound(Promise.resolve('answer'));
  expect(await quick).toBe('answer');
  expect((await faultOf(hung)).reason).toBe('timeout');
});

test('each command has its own limit, whoever is before it in the queue', async () => {
  const deadline = createDeadline(60, monotonicMs);
  const startMs = performance.now();
  const ends: number[] = [];
  const commands = [0, 20, 40].map(async (delayMs) => {
    await new Promise((begin) => setTimeout(begin, delayMs));
    await faultOf(deadline.bound(never));
    ends.push(performance.now() - startMs - delayMs);
  });
  await Promise.all(commands);
  for (const ranMs of ends) expect(ranMs).toBeGreaterThanOrEqual(59);
});

test('a rejection is handed on as it came', async () => {
  const deadline = createDeadline(1_000, monotonicMs);
  await expect(deadline.bound(Promise.reject(new Error('as it came')))).rejects.toThrow('as it came');
  await deadline.drained();
});

test('an answer that has arrived while the loop was blocked counts', async () => {
  const deadline = createDeadline(20, monotonicMs);
  const answered = deadline.bound(new Promise((resolve) => setTimeout(() => resolve('in time'), 5)));
  block(60);
  expect(await answered).toBe('in time');
});

test('its time begins when the turn ends, as that is when a command is sent', async () => {
  const deadline = createDeadline(20, monotonicMs);
  const sent = new Promise((resolve) => setImmediate(resolve));
  const answered = deadline.bound(sent.then(() => new Promise((resolve) => setTimeout(() => resolve('in time'), 5))));
  block(60);
  expect(await answered).toBe('in time');
});

test('what runs out while the loop reads is not late before it has read once more', async () => {
  let nowMs = 0;
  const deadline = createDeadline(20, () => nowMs);
  const { promise, resolve } = Promise.withResolvers<string>();
  // Beside the deadline's own timer, due with it: the loop then reads for long, and finds the answer the next time.
  const readForLong = () => {
    nowMs = 100;
    setImmediate(() => resolve('in time'));
  };
  setImmediate(() => setTimeout(() => setImmediate(readForLong), 20));
  const answered = deadline.bound(promise);
  expect(await answered).toBe('in time');
});

test('drained waits for what is unanswered, and no longer than the limit', async () => {
  const deadline = createDeadline(30, monotonicMs);
  let settled = 0;
  const commands = [deadline.bound(never), deadline.bound(Promise.resolve(1))].map((command) =>
    command.then(
      () => (settled += 1),
      () => (settled += 1),
    ),
  );
  await deadline.drained();
  await Promise.all(commands);
  expect(settled).toBe(2);
  await createDeadline(30, monotonicMs).drained();
});
