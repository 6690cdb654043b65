/**
 * Notices that a file's content has changed: by its hash every few seconds, and sooner by events of its folder, which also see the
 * symlink swap of a mounted ConfigMap or Secret. What a change means is the caller's business.
 */
import { watch } from 'node:fs';
import { dirname } from 'node:path';
import { sha256 } from '../crypto/digest.ts';
import { toHex } from '../encoding/bytes.ts';

/** Writers replace files in several steps; one look after the last of them is enough. */
const DEBOUNCE_MS = 500;

export interface WatchOptions {
  readonly file: string;
  readonly intervalMs: number;
  /** @throws when the file can't be read; a vanished file is an error, not an empty one. */
  read(): Promise<Uint8Array>;
  /** Bytes of which the caller makes use already. */
  readonly initial: Uint8Array;
  /** Called one at a time, once per content. Bytes that were refused come again when they come back after others. */
  onChange(bytes: Uint8Array): void | Promise<void>;
  /** Reading failed, or `onChange` threw. */
  onError(error: unknown): void;
}

export interface FileWatch {
  /** Looks now. Never rejects. */
  check(): Promise<void>;
  close(): void;
}

export function watchFile(options: WatchOptions): FileWatch {
  let seen: string | undefined = digest(options.initial);
  let running: Promise<void> = Promise.resolve();
  let isClosed = false;

  const look = async () => {
    if (isClosed) return;
    try {
      const before = seen;
      seen = undefined; // Stays so when it can't be read: what is there afterwards is news, be it as before.
      const bytes = await options.read();
      seen = digest(bytes);
      if (seen !== before) await options.onChange(bytes);
    } catch (error) {
      options.onError(error);
    }
  };
  const check = () => (running = running.then(look));

  const timer = setInterval(() => void check(), options.intervalMs);
  timer.unref();
  const closeEvents = watchFolder(dirname(options.file), () => void check());
  return {
    check,
    close() {
      isClosed = true;
      clearInterval(timer);
      closeEvents();
    },
  };
}

/** Events only make it quicker: where the platform has none, the interval is left. */
function watchFolder(folder: string, onEvent: () => void): () => void {
  let debounce: NodeJS.Timeout | undefined;
  try {
    const watcher = watch(folder, { persistent: false }, () => {
      clearTimeout(debounce);
      debounce = setTimeout(onEvent, DEBOUNCE_MS);
      debounce.unref();
    });
    watcher.on('error', () => watcher.close());
    return () => {
      clearTimeout(debounce);
      watcher.close();
    };
  } catch {
    return () => undefined;
  }
}

function digest(bytes: Uint8Array): string {
  return toHex(sha256(bytes));
}
