/**
 * Runs a pod's containers as processes of this machine, in the order and with the arguments that a kubelet would: init containers one
 * after another, native sidecars until their startup probe succeeds, then the containers. Images are stood in for by programs here,
 * volumes by folders; paths and ports are rewritten, since they are this machine's.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Manifest } from './chart.ts';

export interface PodOptions {
  readonly pod: Manifest;
  /** ConfigMaps and Secrets that it mounts. */
  readonly manifests: readonly Manifest[];
  /** Image and command (without arguments, from the manifest) to program and its first arguments. */
  program(image: string, command: readonly string[]): readonly [file: string, ...args: string[]];
  /** Text in arguments, commands and mounted files to what it is here: ports, names of services. Paths are done already. */
  readonly rewrite: readonly (readonly [from: string, to: string])[];
}

export interface Ran {
  readonly name: string;
  readonly exit: number | null;
  readonly output: string;
}

/** @returns what the containers said that ended, in order; it stops at the first that failed, as a kubelet does. */
export async function runPod({ pod, manifests, program, rewrite }: PodOptions): Promise<Ran[]> {
  const folder = await mkdtemp(join(tmpdir(), 'cs-pod-'));
  const sidecars: ChildProcess[] = [];
  const ended: Ran[] = [];
  const { spec } = pod;

  const local = (text: string, mounts: readonly Manifest[]) => {
    let rewritten = text;
    for (const { name, mountPath } of mounts) rewritten = rewritten.replaceAll(mountPath, join(folder, name));
    for (const [from, to] of rewrite) rewritten = rewritten.replaceAll(from, to);
    return rewritten;
  };
  const start = ({ image, command = [], args = [], volumeMounts }: Manifest) => {
    const [file, ...first] = program(image, command);
    const rest = [...command.slice(command.length === 0 ? 0 : 1), ...args].map((arg) => local(arg, volumeMounts));
    const child = spawn(file, [...first, ...rest], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    return { child, output: () => output };
  };
  const finish = async (container: Manifest): Promise<Ran> => {
    const { child, output } = start(container);
    const [exit] = (await once(child, 'close')) as [number | null];
    return { name: container.name, exit, output: output() };
  };
  const isUp = async ({ startupProbe, ...container }: Manifest): Promise<boolean> => {
    if (startupProbe.tcpSocket !== undefined)
      return answers(Number(local(`:${startupProbe.tcpSocket.port}`, []).slice(1)));
    // The program and its script are the image's entry point.
    const [, , ...args] = startupProbe.exec.command;
    return (await finish({ ...container, command: [], args })).exit === 0;
  };

  try {
    await fillVolumes(spec, folder, manifests, (text) => local(text, allMounts(spec)));
    for (const container of [...spec.initContainers, ...spec.containers]) {
      if (container.restartPolicy === 'Always') {
        const { child, output } = start(container);
        sidecars.push(child);
        for (let attempt = 0; !(await isUp(container)); attempt += 1) {
          if (attempt === container.startupProbe.failureThreshold || child.exitCode !== null)
            return [...ended, { name: container.name, exit: child.exitCode, output: output() }];
          await sleep(200);
        }
        continue;
      }
      const ran = await finish(container);
      ended.push(ran);
      if (ran.exit !== 0) break;
    }
    return ended;
  } finally {
    for (const child of sidecars.toReversed()) {
      const gone = child.exitCode === null ? once(child, 'close') : undefined;
      child.kill('SIGTERM');
      await gone;
    }
    await rm(folder, { recursive: true, force: true });
  }
}

function allMounts(spec: Manifest): Manifest[] {
  return [...spec.initContainers, ...spec.containers].flatMap(({ volumeMounts }) => volumeMounts);
}

async function fillVolumes(
  spec: Manifest,
  folder: string,
  manifests: readonly Manifest[],
  local: (text: string) => string,
): Promise<void> {
  for (const { name, configMap, secret } of spec.volumes) {
    await mkdir(join(folder, name));
    const source = manifests.find(
      ({ kind, metadata }) =>
        (kind === 'ConfigMap' && metadata.name === configMap?.name) ||
        (kind === 'Secret' && metadata.name === secret?.secretName),
    );
    const files: Record<string, string> = source?.data ?? source?.stringData ?? {};
    for (const [file, text] of Object.entries(files))
      await writeFile(join(folder, name, file), local(text), { mode: secret === undefined ? 0o644 : 0o440 });
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      done(true);
    });
    socket.on('error', () => done(false));
  });
}
