/**
 * Everything that can be said about the source without running it. Each step prints one line; a failing one shows what its tool said.
 * All steps run, so that one pass shows all that is wrong.
 */
import { checkImports } from './check-imports.ts';
import { runTool, type ToolResult } from './tool.ts';

const steps: readonly (readonly [title: string, run: () => Promise<ToolResult>])[] = [
  ['types', () => runTool('tsc', ['-p', '.'])],
  ['lint', () => runTool('oxlint', ['src', 'test', 'scripts', 'bench'])],
  ['format', () => runTool('oxfmt', ['--check', '.'])],
  ['imports', checkImports],
  ['dead code', () => runTool('knip', [])],
  ['generated files', () => runTool('node', ['scripts/generate.ts', '--check'])],
];

let failed = 0;
for (const [title, run] of steps) {
  const startedAt = performance.now();
  const { ok, output } = await run();
  process.stdout.write(`${ok ? 'ok  ' : 'FAIL'} ${title} (${((performance.now() - startedAt) / 1000).toFixed(1)} s)\n`);
  if (!ok) {
    failed += 1;
    process.stdout.write(`${output.trimEnd()}\n`);
  }
}
process.exitCode = failed === 0 ? 0 : 1;
