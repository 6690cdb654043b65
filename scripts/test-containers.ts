/**
 * `npm run test:containers`: builds the image, installs what only these tests need, and runs them. Needs a Docker engine with Compose,
 * and from registries the base images that are not there yet.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { docker, requireDocker } from './docker.ts';
import { installIn } from './install-in.ts';
import { root, runTool } from './tool.ts';

const FOLDER = join(root, 'test', 'containers');
const JEST = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js'];
const LABEL = 'dev.countersign.test';

async function main(): Promise<number> {
  await requireDocker('npm run test:containers', 'compose');
  installIn(FOLDER, 'testcontainers (once; some 50 MB)');
  const types = await runTool('tsc', ['-p', 'test/containers']);
  if (!types.ok) throw new Error(types.output);
  await removeLeftOvers();
  say('building the image');
  await docker(['build', '--file', 'deploy/Dockerfile', '--tag', 'countersign:test', '.'], { shown: true });
  await docker(['build', '--tag', 'countersign-echo:test', 'deploy/echo'], { shown: true });
  try {
    return await runJest();
  } finally {
    await removeLeftOvers();
  }
}

/** Containers and networks of a run that was cut off: the library's own remover is an image that no package registry has. */
async function removeLeftOvers(): Promise<void> {
  const containers = await docker(['ps', '--all', '--quiet', '--filter', `label=${LABEL}`]);
  for (const id of containers.split('\n').filter(Boolean)) await docker(['rm', '--force', '--volumes', id]);
}

function runJest(): Promise<number> {
  const files = ['--testMatch', '<rootDir>/test/containers/*.test.ts', '--testPathIgnorePatterns', '/node_modules/'];
  const child = spawn(process.execPath, [...JEST, ...files, '--maxWorkers=1', ...process.argv.slice(2)], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, TESTCONTAINERS_RYUK_DISABLED: 'true', TESTCONTAINERS_HOST_OVERRIDE: '127.0.0.1' },
  });
  return new Promise((resolve) => child.on('close', (code) => resolve(code ?? 1)));
}

function say(line: string): void {
  process.stderr.write(`countersign: ${line}\n`);
}

try {
  process.exitCode = await main();
} catch (error) {
  say(Error.isError(error) ? error.message : 'the tests could not be run');
  process.exitCode = 1;
}
