/** A bug: Checks are refused from then on, the stack is logged, never request data, and whoever started the process starts it again. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Events } from '../telemetry/events.ts';

const EXIT_CRASH = 70;
const CRASH_WRITE_MS = 50;

export function onCrash(events: Events, denyAll: () => void): void {
  const crash = async (kind: 'exception' | 'rejection', thrown: unknown) => {
    try {
      denyAll();
      await events.crash(kind, thrown);
      await pause(CRASH_WRITE_MS);
    } finally {
      process.exit(EXIT_CRASH); // Whatever fails on the way: it would only come back here.
    }
  };
  process.on('uncaughtException', (error) => void crash('exception', error));
  process.on('unhandledRejection', (reason) => void crash('rejection', reason));
}
