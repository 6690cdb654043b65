/** Asks a server binary for its version; says nothing about whether it fits. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** @returns the first `n.n.n` that `<command> --version` prints; undefined when the command is missing or prints none. */
export async function versionOf(command: string): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)(command, ['--version'], { timeout: 10_000 });
    // Envoy prints "version: <commit>/1.40.0/Clean/...", Redis "v=7.2.4", Valkey "v=9.1.2".
    return /(?:\/|v=)(\d+\.\d+\.\d+)/.exec(stdout)?.[1];
  } catch {
    return undefined;
  }
}
