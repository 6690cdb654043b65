/**
 * Holds the arrows of `.dependency-cruiser.cjs`, and first shows the tool a planted violation: with a parser that understands no
 * TypeScript it sees no import at all, and then every rule passes.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { root, runTool, type ToolResult } from './tool.ts';

export async function checkImports(): Promise<ToolResult> {
  const planted = await checkPlanted();
  return planted.ok ? cruise(root) : planted;
}

function cruise(folder: string): Promise<ToolResult> {
  const config = join(root, '.dependency-cruiser.cjs');
  return runTool('depcruise', ['--config', config, '--output-type', 'err-long', 'src'], folder);
}

/** A source tree of two files, in which a scheme imports a type of a concrete store. */
async function checkPlanted(): Promise<ToolResult> {
  await mkdir(join(root, '.cache'), { recursive: true });
  const folder = await mkdtemp(join(root, '.cache', 'planted-'));
  try {
    await mkdir(join(folder, 'src', 'schemes', 'planted'), { recursive: true });
    await mkdir(join(folder, 'src', 'store'));
    await writeFile(join(folder, 'src', 'store', 'memory.ts'), 'export interface Memory {}\n');
    const verify = "export type { Memory } from '../../store/memory.ts';\n";
    await writeFile(join(folder, 'src', 'schemes', 'planted', 'verify.ts'), verify);
    const { ok, output } = await cruise(folder);
    const isCaught = !ok && output.includes('schemes may import: src/schemes/planted/verify.ts');
    return {
      ok: isCaught,
      output: isCaught ? '' : `a planted import of store/ by a scheme was not caught:\n${output}`,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
