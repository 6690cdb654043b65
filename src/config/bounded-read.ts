/** Reads a file that the operator named, up to a limit: a device or a pipe that never ends must not hang or fill the process. */
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';

export interface BoundedFile {
  /** One byte more than the limit when the file is longer. */
  readonly bytes: Uint8Array;
  /** Of the open file: what was looked at is what was read. */
  readonly stats: Stats;
}

/**
 * @param flags besides reading: `O_NONBLOCK` where a pipe without a writer must not hang.
 * @throws the system's error, with a `code`.
 */
export function readBounded(path: string, maxBytes: number, flags = 0): BoundedFile {
  const descriptor = openSync(path, constants.O_RDONLY | flags);
  try {
    const stats = fstatSync(descriptor);
    const buffer = new Uint8Array(maxBytes + 1);
    let length = 0;
    while (length < buffer.length) {
      const read = readSync(descriptor, buffer, length, buffer.length - length, null);
      if (read === 0) break;
      length += read;
    }
    return { bytes: buffer.subarray(0, length), stats };
  } finally {
    closeSync(descriptor);
  }
}
