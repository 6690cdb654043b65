/** Lanes of one process: one request each, the lowest first, nothing written by who no longer holds one. */
import { expect, test } from '@jest/globals';
import { lanesOf } from '../../src/client/lanes.ts';
import { rejectionOf } from '../support/refused.ts';

function setup(texts: readonly string[]) {
  const kept: (readonly string[])[] = [];
  const lanes = lanesOf(texts, async (now) => void kept.push([...now]));
  return { lanes, kept };
}

test('the lowest free one is taken, and who finds none waits for the next that is given back', async () => {
  const { lanes } = setup(['a', 'b']);
  const [first, second] = [await lanes.take(), await lanes.take()];
  expect([first.text, second.text]).toEqual(['a', 'b']);
  let third: string | undefined;
  const waiting = lanes.take().then((held) => void (third = held.text));
  await Promise.resolve();
  expect(third).toBeUndefined();
  second.release();
  await waiting;
  expect(third).toBe('b');
});

test('a write is kept with all others before it resolves, and is what the next one reads', async () => {
  const { lanes, kept } = setup(['a', 'b']);
  const held = await lanes.take();
  await held.write('c');
  expect(kept).toEqual([['c', 'b']]);
  held.release();
  expect((await lanes.take()).text).toBe('c');
});

test('key_unusable after it was given back, twice or once', async () => {
  const { lanes, kept } = setup(['a']);
  const held = await lanes.take();
  held.release();
  const other = await lanes.take();
  held.release();
  expect(await rejectionOf(held.write('c'))).toMatchObject({ code: 'key_unusable' });
  await other.write('d');
  expect(kept).toEqual([['d']]);
  let isTaken = false;
  void lanes.take().then(() => (isTaken = true));
  await Promise.resolve();
  expect(isTaken).toBe(false);
});

test('a request that is on its way when other chains take their place writes nothing into them', async () => {
  const { lanes, kept } = setup(['a']);
  const held = await lanes.take();
  const waiting = lanes.take();
  await lanes.replace(['new', 'newer']);
  expect((await waiting).text).toBe('new');
  expect(await rejectionOf(held.write('old'))).toMatchObject({ code: 'key_unusable' });
  held.release();
  expect((await lanes.take()).text).toBe('newer');
  expect(kept).toEqual([['new', 'newer']]);
});

test('key_unusable where there is none, also for those who waited', async () => {
  expect(await rejectionOf(setup([]).lanes.take())).toMatchObject({ code: 'key_unusable' });
  const { lanes } = setup(['a']);
  await lanes.take();
  const waiting = rejectionOf(lanes.take());
  await lanes.replace([]);
  expect(await waiting).toMatchObject({ code: 'key_unusable' });
});

test('who gives up waiting is rejected with the reason at once, and no lane waits for him', async () => {
  const { lanes } = setup(['a']);
  const first = await lanes.take();
  const giving = new AbortController();
  const waiting = lanes.take(giving.signal);
  const patient = lanes.take();
  giving.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
  await expect(lanes.take(giving.signal)).rejects.toThrow('enough');
  first.release();
  expect((await patient).text).toBe('a');
});

test('who is woken and gives up in the same moment leaves the lane to the next', async () => {
  const { lanes } = setup(['a']);
  const first = await lanes.take();
  const giving = new AbortController();
  const waiting = lanes.take(giving.signal);
  const patient = lanes.take();
  first.release();
  giving.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
  expect((await patient).text).toBe('a');
});
