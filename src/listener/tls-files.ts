/** A listener's certificate, key and authorities: read at the start, and again whenever one of the files changes. */
import { readFileSync, statSync } from 'node:fs';
import type { SecureContextOptions, Server } from 'node:tls';
import { certificateEndsMs } from '../crypto/certificate.ts';

export interface TlsFiles {
  /** PEM, the chain. */
  readonly certFile: string;
  readonly keyFile: string;
  /** Of those who sign client certificates. */
  readonly clientCaFile?: string;
}

export interface CertificateEvents {
  /** A certificate was read: when it ends, unix ms. */
  onCertificate(notAfterMs: number): void;
  /** A changed file could not be used; what was read before stays. */
  onCertificateError(error: unknown): void;
}

const LOOK_MS = 1000;

/**
 * Connections that stand keep the certificate they were made with.
 *
 * @returns what ends the watching.
 * @throws when the files can't be used now.
 */
export function followTlsFiles(
  server: Pick<Server, 'setSecureContext'>,
  files: TlsFiles,
  versions: Pick<SecureContextOptions, 'minVersion'>,
  events: CertificateEvents,
): () => void {
  const load = () => {
    const cert = readFileSync(files.certFile);
    const notAfterMs = certificateEndsMs(cert);
    const ca = files.clientCaFile === undefined ? {} : { ca: readFileSync(files.clientCaFile) };
    server.setSecureContext({ cert, key: readFileSync(files.keyFile), ...ca, ...versions });
    events.onCertificate(notAfterMs);
  };
  const reload = () => {
    try {
      load();
    } catch (error) {
      events.onCertificateError(error);
    }
  };
  const watched = [files.certFile, files.keyFile, files.clientCaFile].filter((file) => file !== undefined);
  // Before they are read: a change meanwhile is seen by the first look.
  let seen = stampOf(watched);
  load();
  const looking = setInterval(() => {
    const now = stampOf(watched);
    if (now === seen) return;
    seen = now;
    reload();
  }, LOOK_MS).unref();
  return () => clearInterval(looking);
}

/** Changes with any of the files; of one that is gone nothing is left. */
function stampOf(files: readonly string[]): string {
  return files
    .map((file) => statSync(file, { bigint: true, throwIfNoEntry: false }))
    .map((found) => (found === undefined ? '' : `${found.ino} ${found.size} ${found.mtimeNs}`))
    .join();
}
