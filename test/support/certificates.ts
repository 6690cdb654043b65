/**
 * X.509 certificates for tests of mutual TLS, written in DER by hand: no tool of the machine is asked, and a name may hold what no
 * tool would write.
 */
import { Buffer } from 'node:buffer';
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

export interface Authority {
  /** PEM. */
  readonly certificate: string;
  issue(request: CertificateRequest): Certificate;
}

export interface Certificate {
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
  readonly notAfterMs: number;
}

export interface CertificateRequest {
  /** Subject alternative names; none leaves the extension out. */
  readonly dns?: readonly string[];
  readonly uri?: readonly string[];
  readonly ip?: readonly (readonly [number, number, number, number])[];
  /** Default: a day from now. */
  readonly notAfterMs?: number;
}

export function createAuthority(name: string): Authority {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signer = { name, key: keys.privateKey };
  const certificate = writeCertificate({
    subject: name,
    publicKey: keys.publicKey,
    signer,
    notAfterMs: inADay(),
    extensions: [basicConstraints(true)],
  });
  return {
    certificate,
    issue({ dns = [], uri = [], ip = [], notAfterMs = inADay() }) {
      const leaf = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const names = [
        ...dns.map((text) => der(0x82, Buffer.from(text, 'latin1'))),
        ...uri.map((text) => der(0x86, Buffer.from(text, 'latin1'))),
        ...ip.map((bytes) => der(0x87, Buffer.from(bytes))),
      ];
      const extensions = [
        basicConstraints(false),
        ...(names.length === 0 ? [] : [extension([2, 5, 29, 17], sequence(...names))]),
      ];
      return {
        certificate: writeCertificate({ subject: 'leaf', publicKey: leaf.publicKey, signer, notAfterMs, extensions }),
        key: leaf.privateKey.export({ type: 'pkcs8', format: 'pem' }),
        notAfterMs: Math.floor(notAfterMs / 1000) * 1000,
      };
    },
  };
}

interface CertificateParts {
  readonly subject: string;
  readonly publicKey: KeyObject;
  readonly signer: { readonly name: string; readonly key: KeyObject };
  readonly notAfterMs: number;
  readonly extensions: readonly Buffer[];
}

/** RFC 5280 section 4.1. */
function writeCertificate({ subject, publicKey, signer, notAfterMs, extensions }: CertificateParts): string {
  const ecdsaWithSha256 = sequence(objectId([1, 2, 840, 10_045, 4, 3, 2]));
  const body = sequence(
    der(0xa0, integer(Buffer.of(2))),
    integer(Buffer.concat([Buffer.of(1), randomBytes(8)])),
    ecdsaWithSha256,
    commonName(signer.name),
    sequence(time(Date.now() - 3_600_000), time(notAfterMs)),
    commonName(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  );
  const signature = sign('sha256', body, signer.key);
  const whole = sequence(body, ecdsaWithSha256, der(0x03, Buffer.concat([Buffer.of(0), signature])));
  return `-----BEGIN CERTIFICATE-----\n${whole.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`;
}

function basicConstraints(isAuthority: boolean): Buffer {
  return extension([2, 5, 29, 19], isAuthority ? sequence(der(0x01, Buffer.of(0xff))) : sequence());
}

function extension(id: readonly number[], value: Buffer): Buffer {
  return sequence(objectId(id), der(0x04, value));
}

function commonName(name: string): Buffer {
  return sequence(der(0x31, sequence(objectId([2, 5, 4, 3]), der(0x0c, Buffer.from(name)))));
}

function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/[-:T]/g, '').slice(0, 14);
  return der(0x18, Buffer.from(`${digits}Z`));
}

function sequence(...items: readonly Uint8Array[]): Buffer {
  return der(0x30, Buffer.concat(items));
}

function integer(bytes: Uint8Array): Buffer {
  return der(0x02, bytes);
}

function objectId([first = 0, second = 0, ...arcs]: readonly number[]): Buffer {
  return der(0x06, Buffer.from([40 * first + second, ...arcs.flatMap(base128)]));
}

function base128(arc: number): number[] {
  const groups = [arc & 0x7f];
  for (let rest = arc >> 7; rest > 0; rest >>= 7) groups.unshift((rest & 0x7f) | 0x80);
  return groups;
}

function der(tag: number, content: Uint8Array): Buffer {
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...size), content]);
}

function inADay(): number {
  return Date.now() + 86_400_000;
}
