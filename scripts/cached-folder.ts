/** A folder of fetched programs below `.cache/servers/`, filled once. What goes in is for the callers. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';

/** Not below `node_modules`, which `npm ci` empties. */
const cacheFolder = resolve(import.meta.dirname, '..', '.cache', 'servers');

/**
 * @param name says what is in it and in which version.
 * @param fill puts into `folder` what is to be kept; `scratch`, beside it, is thrown away.
 * @returns the absolute path.
 * Safe when several processes ask at once: each fills a folder of its own and the first one to finish gives it its name.
 */
export async function cachedFolder(
  name: string,
  fill: (folder: string, scratch: string) => Promise<void>,
): Promise<string> {
  const home = join(cacheFolder, name);
  if (existsSync(home)) return home;
  await mkdir(cacheFolder, { recursive: true });
  const staging = await mkdtemp(join(cacheFolder, '.unpacking-'));
  try {
    const [folder, scratch] = [join(staging, 'folder'), join(staging, 'scratch')];
    await mkdir(folder);
    await mkdir(scratch);
    await fill(folder, scratch);
    await rename(folder, home).catch((error: NodeJS.ErrnoException) => {
      // Another process was faster; its copy passed the same checks.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  return home;
}
