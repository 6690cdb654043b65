/** Runs the docker command. One line for those who have no engine. */
import { spawn } from 'node:child_process';

/** @param shown whether its output is for the reader. @returns what it printed. @throws {Error} with its last words. */
export async function docker(
  args: readonly string[],
  { env = {}, shown = false }: { env?: Readonly<Record<string, string>>; shown?: boolean } = {},
): Promise<string> {
  const child = spawn('docker', args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', shown ? 'inherit' : 'pipe', shown ? 'inherit' : 'pipe'],
  });
  let output = '';
  let errors = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (errors += chunk));
  const code = await new Promise<number | null>((resolve) => {
    child.on('error', () => resolve(null));
    child.on('close', resolve);
  });
  if (code === 0) return output;
  throw new Error(`docker ${args.slice(0, 2).join(' ')}: ${errors.trim().split('\n').at(-1) ?? ''} (exit ${code})`);
}

/** @throws {Error} with one line that says what `command` needs. */
export async function requireDocker(command: string, ...plugins: readonly string[]): Promise<void> {
  const missing = async (args: readonly string[]) =>
    docker(args).then(
      () => false,
      () => true,
    );
  if (await missing(['info']))
    throw new Error(
      `${command} needs a Docker engine that this user may call ("docker info" fails); npm test needs none`,
    );
  for (const plugin of plugins)
    if (await missing([plugin, 'version'])) throw new Error(`${command} needs "docker ${plugin}" beside the engine`);
}
