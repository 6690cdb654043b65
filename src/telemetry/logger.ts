/**
 * Where lines go. Writing never blocks and never throws: when the reader is too slow, lines are dropped and counted. `audit`
 * lines are waited for instead. What is written is `events.ts`; how a line looks, `line.ts`.
 */
import { constants, fstatSync, openSync } from 'node:fs';
import process from 'node:process';
import sonicBoom from 'sonic-boom';
import type { Clock } from '../core/clock.ts';
import { escapeText, formatLine, MAX_LINE_BYTES, type LogFields } from './line.ts';

export const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface Logger {
  isOn(level: LogLevel): boolean;
  /** @param msg constant text. */
  write(level: LogLevel, event: string, msg: string, fields?: LogFields): void;
  /** For warnings that repeat: the first of a `key` at once, those of the next minute counted and written as one line. */
  repeated(level: LogLevel, event: string, msg: string, key: string, fields?: LogFields): void;
  /** Written whatever the level. @returns when the operating system has taken the line. @throws when it can't be written. */
  audit(msg: string, fields: LogFields): Promise<void>;
  /** For good: the configuration's level. */
  setLevel(level: LogLevel): void;
  /** For a while; the configuration's level comes back by itself. */
  overrideLevel(level: LogLevel, ttlMs: number): void;
  droppedLines(): number;
  /** Waits until everything is written, at most `withinMs`. */
  flush(withinMs: number): Promise<void>;
  /** Writes what is counted, waits as `flush` does, and lets go. */
  close(withinMs: number): Promise<void>;
}

export interface LoggerOptions {
  readonly clock: Clock;
  readonly level: LogLevel;
  readonly role: string;
  readonly version: string;
  /** File descriptor; standard output by default. */
  readonly fd?: number;
  /** Bytes that may wait for a slow reader. */
  readonly maxQueuedBytes?: number;
}

const MAX_QUEUED_BYTES = 1024 * 1024;
const REPEAT_MS = 60_000;
/** Keys come from closed sets; a map without a cap is a leak all the same. */
const MAX_REPEATS = 1000;

interface Repeat {
  readonly level: LogLevel;
  readonly event: string;
  readonly msg: string;
  fields: LogFields;
  sinceMs: number;
  count: number;
}

export function createLogger(options: LoggerOptions): Logger {
  const { clock } = options;
  const sink = createSink(options.fd ?? 1, options.maxQueuedBytes ?? MAX_QUEUED_BYTES);
  const tail = `,"pid":${process.pid},"role":"${escapeText(options.role, 32)}","version":"${escapeText(options.version, 64)}"`;
  const repeats = new Map<string, Repeat>();
  let configured = options.level;
  let override: { level: LogLevel; untilMs: number } | undefined;

  function level(): LogLevel {
    if (override !== undefined && clock.monotonicMs() >= override.untilMs) override = undefined;
    return override?.level ?? configured;
  }

  function line(lineLevel: LogLevel, event: string, msg: string, fields: LogFields): string {
    const time = new Date(clock.nowMs()).toISOString();
    return formatLine(
      `{"time":"${time}","level":"${lineLevel}","event":"${event}","msg":"${escapeText(msg, 200)}"${tail}`,
      fields,
    );
  }

  function isOn(wanted: LogLevel): boolean {
    return LOG_LEVELS.indexOf(wanted) <= LOG_LEVELS.indexOf(level());
  }

  function write(lineLevel: LogLevel, event: string, msg: string, fields: LogFields = {}): void {
    if (isOn(lineLevel)) sink.write(line(lineLevel, event, msg, fields));
  }

  function repeated(lineLevel: LogLevel, event: string, msg: string, key: string, fields: LogFields = {}): void {
    const nowMs = clock.monotonicMs();
    const known = repeats.get(key);
    if (known === undefined) {
      write(lineLevel, event, msg, fields);
      if (repeats.size < MAX_REPEATS)
        repeats.set(key, { level: lineLevel, event, msg, fields, sinceMs: nowMs, count: 0 });
      return;
    }
    known.count += 1;
    known.fields = fields;
    if (nowMs - known.sinceMs >= REPEAT_MS) writeCounted(known, nowMs);
  }

  function writeCounted(repeat: Repeat, nowMs: number): void {
    const seconds = Math.round((nowMs - repeat.sinceMs) / 1000);
    const counted = `${repeat.count} more in ${seconds} s`;
    const detail = repeat.fields.detail === undefined ? counted : `${repeat.fields.detail}; ${counted}`;
    write(repeat.level, repeat.event, repeat.msg, { ...repeat.fields, detail });
    repeat.sinceMs = nowMs;
    repeat.count = 0;
  }

  function sweep(all: boolean): void {
    const nowMs = clock.monotonicMs();
    for (const [key, repeat] of repeats) {
      if (!all && nowMs - repeat.sinceMs < REPEAT_MS) continue;
      if (repeat.count > 0) writeCounted(repeat, nowMs);
      else repeats.delete(key);
    }
  }

  const sweeper = setInterval(() => sweep(false), REPEAT_MS).unref();

  return {
    isOn,
    write,
    repeated,
    audit: (msg, fields) => sink.writeAndWait(line('info', 'audit', msg, fields)),
    setLevel: (next) => {
      configured = next;
    },
    overrideLevel: (next, ttlMs) => {
      override = { level: next, untilMs: clock.monotonicMs() + ttlMs };
    },
    droppedLines: () => sink.droppedLines(),
    flush: (withinMs) => sink.flush(withinMs),
    close: async (withinMs) => {
      clearInterval(sweeper);
      sweep(true);
      await sink.flush(withinMs);
      sink.close();
    },
  };
}

interface Sink {
  write(line: string): void;
  writeAndWait(line: string): Promise<void>;
  flush(withinMs: number): Promise<void>;
  droppedLines(): number;
  close(): void;
}

/** Lines are ASCII: their length is their bytes. */
function createSink(fd: number, maxQueuedBytes: number): Sink {
  let queuedBytes = 0;
  let writtenBytes = 0;
  let dropped = 0;
  let isClosing = false;
  let waiting: { resolve: () => void; reject: (reason: unknown) => void }[] = [];

  const stream = new sonicBoom.SonicBoom({
    fd: nonBlocking(fd),
    sync: false,
    // One write holds whole lines only, and so few that it can't be mixed with another process's.
    maxWrite: MAX_LINE_BYTES,
    // A reader that is gone or stuck must not keep the process alive.
    retryEAGAIN: () => !isClosing,
  });
  stream.on('write', (bytes: number) => {
    writtenBytes += bytes;
    const woken = waiting;
    waiting = [];
    for (const { resolve } of woken) resolve();
  });
  stream.on('error', (error: unknown) => {
    const woken = waiting;
    waiting = [];
    for (const { reject } of woken) reject(error);
  });

  const progress = () => new Promise<void>((resolve, reject) => waiting.push({ resolve, reject }));
  const isWritten = (upTo: number) => writtenBytes >= upTo;
  const hasRoom = (bytes: number) => queuedBytes - writtenBytes + bytes <= maxQueuedBytes;

  function push(line: string): void {
    queuedBytes += line.length;
    stream.write(line);
  }

  async function written(upTo: number): Promise<void> {
    while (!isWritten(upTo)) await progress();
  }

  return {
    write(line) {
      if (!isClosing && hasRoom(line.length)) push(line);
      else dropped += 1;
    },
    async writeAndWait(line) {
      while (!hasRoom(line.length)) await progress();
      push(line);
      await written(queuedBytes);
    },
    async flush(withinMs) {
      const timeout = Promise.withResolvers<void>();
      const timer = setTimeout(timeout.resolve, withinMs);
      await Promise.race([written(queuedBytes).catch(() => undefined), timeout.promise]);
      clearTimeout(timer);
    },
    droppedLines: () => dropped,
    close() {
      isClosing = true;
    },
  };
}

/**
 * The same pipe opened once more, so that a write to a full one fails at once: a blocked write holds a thread, and with it the end of
 * the process, for as long as the reader sleeps. A flag on the descriptor itself would change it for everybody who shares it.
 */
function nonBlocking(fd: number): number {
  try {
    if (!fstatSync(fd).isFIFO()) return fd;
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    return fd; // Off Linux, or not ours to open: then as it is.
  }
}
