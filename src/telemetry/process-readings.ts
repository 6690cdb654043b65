/** The standard metrics of a process, under their standard names; of the runtime only the heap, to stay below the cap of series. */
import { readdirSync, readFileSync } from 'node:fs';
import process from 'node:process';
import type { Families } from './series.ts';

export function registerProcessReadings({ reading }: Pick<Families, 'reading'>): void {
  const startSeconds = Date.now() / 1000 - process.uptime();
  reading('process_cpu_user_seconds_total', 'User CPU time.', () => process.cpuUsage().user / 1e6, 'counter');
  reading('process_cpu_system_seconds_total', 'System CPU time.', () => process.cpuUsage().system / 1e6, 'counter');
  reading('process_cpu_seconds_total', 'User and system CPU time.', cpuSeconds, 'counter');
  reading('process_start_time_seconds', 'Start of the process, unix time.', () => startSeconds, 'first');
  reading('process_resident_memory_bytes', 'Resident memory.', () => process.memoryUsage.rss());
  reading('process_open_fds', 'Open file descriptors.', openFiles);
  reading('process_max_fds', 'File descriptors allowed.', maxFiles, 'min');
  reading('nodejs_heap_size_total_bytes', 'Heap reserved.', () => process.memoryUsage().heapTotal);
  reading('nodejs_heap_size_used_bytes', 'Heap in use.', () => process.memoryUsage().heapUsed);
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** Undefined off Linux. */
function openFiles(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length - 1; // The reading itself opened one.
  } catch {
    return undefined;
  }
}

/** Undefined off Linux, and for no limit. */
function maxFiles(): number | undefined {
  try {
    const [, soft = ''] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return soft === '' ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}
