/** What operators are told of a certificate. */
import { X509Certificate } from 'node:crypto';

/** @param pem the first certificate counts. @returns when it ends, unix ms. @throws when it is none. */
export function certificateEndsMs(pem: Uint8Array): number {
  return Date.parse(new X509Certificate(pem).validTo);
}
