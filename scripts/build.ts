/** Makes `dist/`: what the package and the image carry, since Node strips no types below `node_modules`. */
import { chmod, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { root, runTool } from './tool.ts';

// A file that was renamed in src must not live on in a package.
await rm(join(root, 'dist'), { recursive: true, force: true });
const { ok, output } = await runTool('tsc', ['-p', 'tsconfig.build.json']);
process.stdout.write(output);
if (!ok) process.exit(1);

const program = join(root, 'dist', 'cli.js');
if (existsSync(program)) await chmod(program, 0o755);
