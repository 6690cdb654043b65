/** What a process has used, by the kernel's own books. Linux only. */
import { readFileSync } from 'node:fs';

/** Kernel ticks are 10 ms on every Linux that Node runs on, so measure over seconds. */
const TICK_US = 10_000;

/** CPU of a process and its threads so far, user and system, microseconds. */
export function cpuUs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_US;
}

/** Resident memory, MB. */
export function rssMb(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+([0-9]+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) / 1024;
}
