/** A listener's certificate, key and authorities: read at the start, and again whenever one of the files changes. */
import { readFileSync, unwatchFile, watchFile } from 'node:fs';
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
  load();
  const watched = [files.certFile, files.keyFile, files.clientCaFile].filter((file) => file !== undefined);
  for (const file of watched) watchFile(file, { interval: LOOK_MS, persistent: false }, reload);
  return () => {
    for (const file of watched) unwatchFile(file, reload);
  };
}
