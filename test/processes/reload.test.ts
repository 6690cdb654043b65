/** What a worker has prepared, whenever the supervisor's word comes. */
import { expect, test } from '@jest/globals';
import { createReload } from '../../src/processes/reload.ts';

/** Builds that end when they are told to; `log` has what became of each. */
function rig() {
  const log: string[] = [];
  const building = new Map<string, () => void>();
  const reload = createReload(async (text) => {
    await new Promise<void>((resolve) => building.set(text, resolve));
    return { commit: () => void log.push(`commit ${text}`), cancel: () => void log.push(`cancel ${text}`) };
  });
  return { reload, log, end: (text: string) => building.get(text)?.() };
}

test('what was prepared is put in force once', async () => {
  const { reload, log, end } = rig();
  const prepared = reload.prepare('a');
  end('a');
  await prepared;
  reload.commit();
  expect(log).toEqual(['commit a']);
  expect(() => reload.commit()).toThrow('nothing is prepared');
});

test('a reload that is cancelled while it is being built is let go of, and can not be put in force', async () => {
  const { reload, log, end } = rig();
  const prepared = reload.prepare('a');
  reload.cancel();
  end('a');
  await expect(prepared).rejects.toThrow('cancelled');
  expect(log).toEqual(['cancel a']);
  expect(() => reload.commit()).toThrow('nothing is prepared');
});

test('of two that are being built the last one asked for is put in force, whichever is done first', async () => {
  const { reload, log, end } = rig();
  const first = reload.prepare('a');
  const second = reload.prepare('b');
  end('b');
  await second;
  end('a');
  await expect(first).rejects.toThrow('cancelled');
  reload.commit();
  expect(log).toEqual(['cancel a', 'commit b']);
});

test('what was prepared is let go of when another is asked for', async () => {
  const { reload, log, end } = rig();
  const first = reload.prepare('a');
  end('a');
  await first;
  const second = reload.prepare('b');
  end('b');
  await second;
  reload.cancel();
  expect(log).toEqual(['cancel a', 'cancel b']);
});
