/** Secrets are files. The rules for such a file, and which files a configuration names. */
import { constants, realpathSync } from 'node:fs';
import { Secret } from '../core/secret.ts';
import { readBounded } from './bounded-read.ts';
import { ConfigError, formatPath, type ConfigIssue, type Path } from './config-error.ts';
import type { Config } from './schema.ts';

const MAX_SECRET_BYTES = 64 * 1024;
const READABLE_BY_OTHERS = 0o004;

/** Says what is wrong with the file, never what is in it. */
export class SecretFileError extends Error {
  readonly file: string;
  /** `expected ...`. */
  readonly problem: string;

  constructor(file: string, problem: string) {
    super(`${file}: ${problem}`);
    this.name = 'SecretFileError';
    this.file = file;
    this.problem = problem;
  }
}

/**
 * At most 64 KiB of UTF-8, one newline at the end cut. Read anew by every call, so that a secret can rotate.
 *
 * @throws {SecretFileError} unreadable, no regular file, empty, too long, or readable by everyone on this machine.
 */
export function readSecretFile(file: string): Secret<string> {
  const { bytes, stats } = open(file);
  if (!stats.isFile()) throw new SecretFileError(file, 'expected a regular file');
  if (bytes.length > MAX_SECRET_BYTES) throw new SecretFileError(file, 'expected at most 64 KiB');
  if ((stats.mode & READABLE_BY_OTHERS) !== 0 && !isOnProjectedVolume(file)) {
    throw new SecretFileError(file, 'expected a file that others on this machine cannot read, such as mode 0600');
  }
  const text = decode(file, bytes).replace(/\r?\n$/, '');
  if (text === '') throw new SecretFileError(file, 'expected a secret, got an empty file');
  return new Secret(text);
}

/** All secret files that a configuration names, with their keys. Certificates are public and not among them. */
export function secretFilesOf(config: Config): { readonly path: string; readonly file: string }[] {
  return filesIn(config, []);
}

/** Reads each once, so that a start fails with all that is wrong. @throws {ConfigError} */
export function checkSecretFiles(config: Config, source: string): void {
  const issues = secretFilesOf(config).flatMap(({ path, file }): ConfigIssue[] => {
    try {
      readSecretFile(file);
      return [];
    } catch (error) {
      if (!(error instanceof SecretFileError)) throw error;
      return [{ source, line: null, path, message: error.message }];
    }
  });
  if (issues.length > 0) throw new ConfigError(issues);
}

function open(file: string): ReturnType<typeof readBounded> {
  try {
    return readBounded(file, MAX_SECRET_BYTES, constants.O_NONBLOCK);
  } catch (error) {
    throw new SecretFileError(file, `expected a readable file (${codeOf(error)})`);
  }
}

function decode(file: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new SecretFileError(file, 'expected UTF-8');
  }
}

/**
 * Kubernetes mounts secrets with mode 0644 unless told otherwise, in a file system that only this pod sees, behind a link to a
 * directory `..<time>`.
 */
function isOnProjectedVolume(file: string): boolean {
  return /\/\.\.[0-9_.]+\/[^/]+$/.test(realpathSync(file));
}

const PUBLIC = new Set(['certFile', 'caFile', 'clientCaFile']);

function filesIn(value: unknown, path: Path): { path: string; file: string }[] {
  if (typeof value === 'string') {
    const key = String(path.at(-1));
    return key.endsWith('File') && !PUBLIC.has(key) ? [{ path: formatPath(path), file: value }] : [];
  }
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => filesIn(member, [...path, key]));
}

/** Of what `node:fs` throws, for messages. */
export function codeOf(error: unknown): string {
  return Error.isError(error) && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown error';
}
