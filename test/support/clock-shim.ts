/** A wall clock that a test sets, for a server it starts: a small library preloaded into that process alone. Linux, and needs a C compiler. */
import { execFile } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

export interface ClockShim {
  /** For the server's environment. */
  readonly env: Readonly<Record<string, string>>;
  /** From now on the server's clock is off by this. */
  set(offsetMs: number): void;
  remove(): Promise<void>;
}

/** @throws {Error} with one line when there is no compiler. */
export async function buildClockShim(): Promise<ClockShim> {
  const folder = await mkdtemp(join(tmpdir(), 'cs-clock-'));
  const [library, file] = [join(folder, 'clock-shim.so'), join(folder, 'offset')];
  const source = join(import.meta.dirname, 'clock-shim.c');
  try {
    await promisify(execFile)('cc', ['-shared', '-fPIC', '-O1', '-o', library, source, '-ldl']);
  } catch (cause) {
    throw new Error('the clock of a server is set by a small C library: install a C compiler (cc)', { cause });
  }
  await writeFile(file, Buffer.alloc(8));
  return {
    env: { LD_PRELOAD: library, CLOCK_SHIM_FILE: file },
    set(offsetMs) {
      const bytes = Buffer.alloc(8);
      bytes.writeBigInt64LE(BigInt(offsetMs));
      const target = openSync(file, 'r+'); // In place: the server has it mapped.
      writeSync(target, bytes, 0, 8, 0);
      closeSync(target);
    },
    remove: () => rm(folder, { recursive: true }),
  };
}
