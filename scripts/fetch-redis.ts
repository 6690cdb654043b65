/**
 * Where the Redis-compatible server is that the tests start: `redis-server` or `valkey-server` in PATH when new enough, else Valkey from a wheel.
 * Run as a program it prints the path.
 */
import { versionOf } from './binary-version.ts';
import { wheelBinary } from './wheel.ts';

export async function redisServer(): Promise<string> {
  if (isAtLeast(await versionOf('redis-server'), 7, 0)) return 'redis-server';
  if (isAtLeast(await versionOf('valkey-server'), 7, 2)) return 'valkey-server';
  return wheelBinary({
    requirements: 'valkey.txt',
    binary: 'valkey-server',
    title: 'Valkey',
    otherwise: 'install redis-server 7.0 or newer, or valkey-server 7.2 or newer',
  });
}

function isAtLeast(version: string | undefined, major: number, minor: number): boolean {
  const [haveMajor = 0, haveMinor = 0] = (version ?? '').split('.').map(Number);
  return haveMajor > major || (haveMajor === major && haveMinor >= minor);
}

if (import.meta.main) process.stdout.write(`${await redisServer()}\n`);
