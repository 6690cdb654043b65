/**
 * A client's chains in a file, readable by its owner only. One process at a time: two that show tokens of one chain would shut each
 * other out. Part of `countersign/client/node`.
 */
import { closeSync, fsyncSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, resolve } from 'node:path';
import process from 'node:process';
import { CountersignError } from '../core/client-error.ts';
import type { ChainStorage } from '../schemes/time-scrambled/client-state.ts';
import { lanesOf } from './lanes.ts';

export interface ChainFile extends ChainStorage {
  /** Lets other processes have the file. The end of the process does so too. */
  close(): void;
}

const OTHERS = 0o077;

/**
 * Opens the file, or makes an empty one at the first write.
 *
 * @throws {CountersignError} `key_unusable` when another process has it, others may read it, or it is not such a file.
 */
export async function openChainFile(path: string): Promise<ChainFile> {
  const unlock = lock(`${resolve(path)}.lock`);
  try {
    let keeping = Promise.resolve();
    const storage = lanesOf(await readLanes(path), (texts) => {
      // One after the other; a failure is told to its own caller only.
      const kept = keeping.then(() => writeLanes(path, texts));
      keeping = kept.catch(() => {});
      return kept;
    });
    return { ...storage, close: unlock };
  } catch (thrown) {
    unlock();
    throw thrown;
  }
}

async function readLanes(path: string): Promise<readonly string[]> {
  const text = await readWhole(path);
  if (text === undefined) return [];
  try {
    const { version, lanes } = JSON.parse(text) as { version: unknown; lanes: unknown };
    if (version === 1 && Array.isArray(lanes)) return lanes.map((lane) => JSON.stringify(lane));
  } catch {
    // Told below, without the cause: its message quotes the file, which holds the secret.
  }
  throw new CountersignError('key_unusable', `${path}: expected the chains of a client`);
}

/** Mode and text of one open file, so that it can't be exchanged in between. Undefined when there is none. */
async function readWhole(path: string): Promise<string | undefined> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(path, 'r');
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return undefined;
    throw new CountersignError('key_unusable', `${path}: can not be read`, { cause });
  }
  try {
    if (process.platform !== 'win32' && ((await file.stat()).mode & OTHERS) !== 0)
      throw new CountersignError(
        'key_unusable',
        `${path}: expected mode 0600, others may read or write it (chmod 600)`,
      );
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

/** On the disk when it resolves: the file is the one before or the one after, never a part. */
async function writeLanes(path: string, lanes: readonly string[]): Promise<void> {
  const next = `${path}.next`;
  try {
    rmSync(next, { force: true });
    const file = await open(next, 'wx', 0o600);
    try {
      await file.writeFile(`{"version":1,"lanes":[\n${lanes.join(',\n')}\n]}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(next, path);
    await syncFolder(dirname(path));
  } catch (cause) {
    throw new CountersignError('key_unusable', `${path}: can not be written`, { cause });
  }
}

async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return; // Folders can't be opened there.
  const opened = await open(folder, 'r');
  try {
    await opened.sync();
  } finally {
    await opened.close();
  }
}

/**
 * A file that only one process can make. One whose process is gone gives way; who decides so holds a second one, so that of two that
 * find it gone only one takes it.
 *
 * @returns what removes it again.
 */
function lock(path: string): () => void {
  if (!claim(path)) {
    const takeover = `${path}.takeover`;
    if (!isLeftOver(path) || !claim(takeover)) throw inUse(path);
    try {
      if (!isLeftOver(path)) throw inUse(path);
      rmSync(path);
      if (!claim(path)) throw inUse(path);
    } finally {
      rmSync(takeover, { force: true });
    }
  }
  held.add(path);
  const unlock = () => {
    if (!held.delete(path)) return;
    process.removeListener('exit', unlock);
    rmSync(path, { force: true });
  };
  process.once('exit', unlock);
  return unlock;
}

/** Locks of this process. */
const held = new Set<string>();

/** @returns false when the file exists. */
function claim(path: string): boolean {
  try {
    const file = openSync(path, 'wx', 0o600);
    writeSync(file, JSON.stringify({ pid: process.pid, host: hostname() }));
    fsyncSync(file);
    closeSync(file);
    return true;
  } catch (cause) {
    if (codeOf(cause) === 'EEXIST') return false;
    throw new CountersignError('key_unusable', `${path}: can not be written`, { cause });
  }
}

/** Of a process of this host that is no more. Of another host nothing can be known. */
function isLeftOver(path: string): boolean {
  try {
    const { pid, host } = JSON.parse(readFileSync(path, 'utf8')) as { pid: unknown; host: unknown };
    if (host !== hostname() || typeof pid !== 'number') return false;
    return pid === process.pid ? !held.has(path) : !isAlive(pid);
  } catch {
    // Just made, just removed, or none of ours: somebody is at it.
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return codeOf(cause) !== 'ESRCH';
  }
}

function inUse(path: string): CountersignError {
  return new CountersignError(
    'key_unusable',
    `${path}: another process uses these chains; if that is gone for good, remove this file`,
  );
}

function codeOf(thrown: unknown): unknown {
  return Error.isError(thrown) && 'code' in thrown ? thrown.code : undefined;
}
