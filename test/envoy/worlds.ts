/** Worlds for one test each: whatever it opens here ends with it, latest first. */
import { afterEach } from '@jest/globals';
import { openWorld, type World, type WorldOptions } from './world.ts';

const closing: (() => Promise<unknown> | void)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

export function atEnd(close: () => Promise<unknown> | void): void {
  closing.push(close);
}

export async function open(options: WorldOptions = {}): Promise<World> {
  const world = await openWorld(options);
  atEnd(() => world.stop());
  return world;
}
