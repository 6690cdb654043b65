import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger, type Logger } from '../../src/telemetry/logger.ts';
import { createFakeClock, type FakeClock } from '../support/fake-clock.ts';
import { createLogFile, NOW_MS, type LogFile } from './rig.ts';

describe('a logger', () => {
  let file: LogFile;
  let clock: FakeClock;
  let logger: Logger;
  beforeEach(() => {
    file = createLogFile();
    clock = createFakeClock(NOW_MS);
    logger = createLogger({ clock, level: 'info', role: 'single', version: '1.2.3', fd: file.fd });
  });
  afterEach(async () => {
    await logger.close(1000);
    file.remove();
  });
  const lines = async () => {
    await logger.flush(1000);
    return file.lines();
  };

  test('writes time, level, event, msg, pid, role and version on every line', async () => {
    logger.write('warn', 'drain', 'draining');
    expect(await lines()).toEqual([
      {
        time: '2023-11-14T22:13:20.000Z',
        level: 'warn',
        event: 'drain',
        msg: 'draining',
        pid: process.pid,
        role: 'single',
        version: '1.2.3',
      },
    ]);
  });

  test('leaves out what lies below the level', async () => {
    logger.write('debug', 'decision', 'below');
    logger.write('info', 'decision', 'at');
    logger.setLevel('error');
    logger.write('warn', 'decision', 'below');
    logger.write('error', 'decision', 'at');
    expect((await lines()).map(({ msg }) => msg)).toEqual(['at', 'at']);
  });

  test("goes back to the configuration's level when the time of an override is over", async () => {
    logger.overrideLevel('debug', 60_000);
    clock.advance(59_999);
    expect(logger.isOn('debug')).toBe(true);
    clock.advance(1);
    expect(logger.isOn('debug')).toBe(false);
    expect(logger.isOn('info')).toBe(true);
  });

  test('writes the first of identical warnings at once and the rest of the minute as one line with their count', async () => {
    for (let index = 0; index < 100; index++)
      logger.repeated('error', 'fault', 'failed', 'fault down', { reason: 'down' });
    logger.repeated('error', 'fault', 'failed', 'fault timeout', { reason: 'timeout' });
    expect(await lines()).toMatchObject([{ reason: 'down' }, { reason: 'timeout' }]);
    clock.advance(60_000);
    logger.repeated('error', 'fault', 'failed', 'fault down', { reason: 'down' });
    expect((await lines()).slice(2)).toMatchObject([{ reason: 'down', detail: '100 more in 60 s' }]);
  });

  test('tells what it has counted before it closes', async () => {
    for (let index = 0; index < 3; index++) logger.repeated('warn', 'fault', 'failed', 'key', { detail: 'slow' });
    await logger.close(1000);
    expect(file.lines()).toMatchObject([{ detail: 'slow' }, { detail: 'slow; 2 more in 0 s' }]);
  });

  test('writes an audit line whatever the level, before the promise settles', async () => {
    logger.setLevel('error');
    await logger.audit('administrative change', { action: 'users.revoke', actor: 'admin' });
    expect(file.lines()).toMatchObject([{ event: 'audit', action: 'users.revoke', actor: 'admin' }]);
  });
});

describe('a logger whose reader does not read (OP-16)', () => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-pipe-'));
  const pipes: number[] = [];
  let pipe: number;
  beforeEach(() => {
    const path = join(folder, String(pipes.length));
    execFileSync('mkfifo', [path]);
    pipe = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    pipes.push(pipe);
  });
  // Only at the end: a logger that still tries to write must not find another test's pipe under the number of its own.
  afterAll(() => {
    for (const each of pipes) closeSync(each);
    rmSync(folder, { recursive: true });
  });
  const create = () =>
    createLogger({
      clock: createFakeClock(NOW_MS),
      level: 'info',
      role: 'single',
      version: '1',
      fd: pipe,
      maxQueuedBytes: 64 * 1024,
    });

  test('does not block, drops lines and counts them', async () => {
    const logger = create();
    for (let index = 0; index < 10_000; index++)
      logger.write('info', 'decision', 'check refused', { detail: 'x'.repeat(100) });
    await logger.flush(50);
    for (let index = 0; index < 10_000; index++)
      logger.write('info', 'decision', 'check refused', { detail: 'x'.repeat(100) });
    expect(logger.droppedLines()).toBeGreaterThan(10_000);
    await logger.close(10);
  });

  test('holds no thread of the pool: files can be read while eight such readers sleep', async () => {
    const loggers = Array.from({ length: 8 }, (_, index) => {
      const path = join(folder, `sleeping-${index}`);
      execFileSync('mkfifo', [path]);
      const fd = openSync(path, constants.O_RDWR);
      pipes.push(fd);
      return createLogger({ clock: createFakeClock(NOW_MS), level: 'info', role: 'single', version: '1', fd });
    });
    for (const logger of loggers) {
      for (let index = 0; index < 2000; index++) logger.write('info', 'decision', 'check refused');
    }
    await Promise.all(loggers.map((logger) => logger.flush(50)));
    expect((await stat(folder)).isDirectory()).toBe(true);
    await Promise.all(loggers.map((logger) => logger.close(10)));
  });

  test('keeps an audit line waiting until it is read, and neither loses it nor any line before it that was taken', async () => {
    const logger = create();
    for (let index = 0; index < 2000; index++)
      logger.write('info', 'decision', 'check refused', { detail: 'x'.repeat(100) });
    await logger.flush(50);
    let isAudited = false;
    const audited = logger.audit('administrative change', { action: 'users.delete' }).then(() => {
      isAudited = true;
      return undefined;
    });
    await logger.flush(50);
    expect(isAudited).toBe(false);

    let text = '';
    const buffer = new Uint8Array(65_536);
    while (!text.includes('users.delete')) {
      try {
        text += new TextDecoder().decode(buffer.subarray(0, readSync(pipe, buffer)));
      } catch {
        await logger.flush(20); // Empty just now.
      }
    }
    await audited;
    const lines = text.split('\n').filter((line) => line !== '');
    expect(lines.length + logger.droppedLines()).toBe(2001);
    for (const line of lines) expect(() => JSON.parse(line) as unknown).not.toThrow();
    await logger.close(10);
  });
});
