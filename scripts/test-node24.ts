/**
 * `npm run test:node24`: the oldest Node that countersign runs on, with the tests that need no other program. It comes as a package of
 * its own, since there is one pinned runtime beside which it must not stand in PATH.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { installIn } from './install-in.ts';
import { root } from './tool.ts';

const FOLDER = join(root, 'tools', 'node-24');
const PROGRAM = join(FOLDER, 'node_modules', `node-linux-${process.arch}`, 'bin', 'node');
const JEST = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js'];
/** Folders whose tests are about other programs: nothing in them depends on Node's version. */
const WITHOUT = [
  '/node_modules/',
  ...['browser', 'containers', 'envoy', 'faults', 'helm'].map((name) => `/test/${name}/`),
];

async function main(): Promise<number> {
  if (process.platform !== 'linux') throw new Error('test:node24 runs on Linux, x64 or arm64');
  installIn(FOLDER, 'Node 24 (once; some 130 MB)');
  const args = [...JEST, '--testPathIgnorePatterns', ...WITHOUT, '--', ...process.argv.slice(2)];
  const child = spawn(PROGRAM, args, {
    cwd: root,
    stdio: 'inherit',
    // The tests start programs of "env node" too.
    env: { ...process.env, PATH: `${join(PROGRAM, '..')}:${process.env['PATH'] ?? ''}` },
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 1));
  });
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`countersign: ${Error.isError(error) ? error.message : 'the tests could not be run'}\n`);
  process.exitCode = 1;
}
