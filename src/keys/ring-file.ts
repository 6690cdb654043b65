/**
 * The key ring as a file: read whole, written so that a reader sees the old text or the new one and a crash leaves one of them.
 */
import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { randomBytes } from '../crypto/random.ts';
import { toHex, utf8 } from '../encoding/bytes.ts';
import { formatRing, parseRing, RingError, type StoredKey } from './ring.ts';

const MAX_BYTES = 64 * 1024;
const WORLD_READABLE = 0o004;

/**
 * The bytes of a file that holds secrets.
 *
 * @throws {RingError} when it can't be read, is longer than 64 KiB, or everybody may read it.
 */
export async function readRingBytes(file: string): Promise<Uint8Array> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(file, 'r');
    const { mode, size } = await handle.stat();
    if ((mode & WORLD_READABLE) !== 0)
      throw new RingError(`key ring ${file}: everybody may read it; chmod 0600 or 0640`);
    if (size > MAX_BYTES) throw new RingError(`key ring ${file}: expected at most 64 KiB`);
    return new Uint8Array(await handle.readFile());
  } catch (cause) {
    throw cause instanceof RingError ? cause : new RingError(`key ring ${file}: can't be read`, { cause });
  } finally {
    await handle?.close();
  }
}

/** @throws {RingError} naming file and place. */
export async function readRingFile(file: string): Promise<readonly StoredKey[]> {
  return parseRing(await readRingBytes(file));
}

/** Temporary file beside it, fsync, rename, fsync of the folder. Mode 0600. @throws {RingError} */
export async function writeRingFile(file: string, ring: readonly StoredKey[]): Promise<void> {
  const bytes = utf8(formatRing(ring));
  // What is written must be readable again: a ring that no process loads is found out here, not at the next restart.
  parseRing(bytes);
  const temporary = join(dirname(file), `.${toHex(randomBytes(8))}.tmp`);
  try {
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (cause) {
    await unlink(temporary).catch(() => undefined);
    throw new RingError(`key ring ${file}: can't be written`, { cause });
  }
  await syncFolder(dirname(file));
}

/** So that the new name survives a power cut; some file systems refuse it, and then it is as it is. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}
