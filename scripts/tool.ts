/** Runs one of the development tools below `node_modules/.bin` and keeps what it said; whether that is good is the caller's business. */
import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';

export const root = resolve(import.meta.dirname, '..');

export interface ToolResult {
  readonly ok: boolean;
  /** stdout and stderr as they came. */
  readonly output: string;
}

/** @param command a program of `node_modules/.bin`, or `node` for the pinned runtime. */
export async function runTool(command: string, args: readonly string[], cwd = root): Promise<ToolResult> {
  const bin = join(root, 'node_modules', '.bin');
  // The tools are programs of "env node": the first one in PATH has to be the pinned one.
  const env = { ...process.env, PATH: `${bin}:${process.env['PATH'] ?? ''}` };
  const child = spawn(join(bin, command), args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
    });
  }
  return new Promise((done, fail) => {
    child.on('error', fail);
    child.on('close', (code) => {
      done({ ok: code === 0, output });
    });
  });
}
