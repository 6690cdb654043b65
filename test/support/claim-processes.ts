/** Claims one key from four processes that begin at the same instant. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { ClaimResult, Key } from '../../src/core/store.ts';

const PROCESSES = 4;

export async function claimFromProcesses(
  url: string,
  key: Key,
  owners: readonly string[],
  expiresAtMs: number,
): Promise<ClaimResult[]> {
  const share = owners.length / PROCESSES;
  const children = Array.from({ length: PROCESSES }, (_, index) => {
    const own = owners.slice(index * share, (index + 1) * share);
    const script = join(import.meta.dirname, 'claim-process.ts');
    const args = [
      '--disable-warning=ExperimentalWarning',
      script,
      url,
      JSON.stringify(key),
      String(expiresAtMs),
      ...own,
    ];
    return spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  });
  const outputs = children.map(async (child) => {
    let text = '';
    for await (const chunk of child.stdout.setEncoding('utf8')) text += String(chunk);
    return text;
  });
  await Promise.all(children.map((child) => once(child.stdout, 'data')));
  for (const child of children) child.stdin.end();
  const lines = (await Promise.all(outputs)).map((text) => text.trim().split('\n').at(-1) ?? '[]');
  return lines.flatMap((line) => JSON.parse(line) as ClaimResult[]);
}
