/** `npm ci` in a folder that has a lockfile of its own, unless that lockfile is the one that was installed there last. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** @param what is said when there is something to install. @throws {Error} with one line. */
export function installIn(folder: string, what: string): void {
  const stamp = join(folder, 'node_modules', '.installed');
  const lockfile = readFileSync(join(folder, 'package-lock.json'));
  const wanted = createHash('sha256').update(lockfile).digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  process.stderr.write(`countersign: installing ${what}\n`);
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const { status } = spawnSync('npm', args, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) throw new Error(`"npm ci" in ${folder} failed (exit ${status})`);
  writeFileSync(stamp, wanted);
}
