/**
 * Where something listens: `host:port`, `[v6]:port` or `unix:/absolute/path`. Read by the loader, which judges whether an address
 * needs protection, and by the listeners, which bind it, so that both mean the same place.
 */
export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** @returns the address of one worker, from 1: `{worker}` stands for its number. */
export function addressOf(text: string, worker: number): string {
  return text.replaceAll('{worker}', String(worker));
}

/** @returns undefined for anything else; an IPv6 host comes back without brackets. Port 0 asks the system for a free one. */
export function parseAddress(text: string): Address | undefined {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length);
    // 107 bytes is what a socket address holds on Linux; a longer path would be cut to another one.
    return /^\/[\x21-\x7e]{1,106}$/.test(path) ? { kind: 'unix', path } : undefined;
  }
  const match = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([A-Za-z0-9.-]{1,253})):(0|[1-9][0-9]{0,4})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535) return undefined;
  if (/^[0-9.]+$/.test(host) && !isIpv4(host)) return undefined;
  return { kind: 'tcp', host, port };
}

/** Reachable by this machine alone: a unix socket, `localhost`, 127.0.0.0/8, `::1`. A name that merely begins so is not. */
export function isLoopback(address: Address): boolean {
  return address.kind === 'unix' || isLoopbackHost(address.host);
}

/** @param host without brackets. */
export function isLoopbackHost(host: string): boolean {
  return host.toLowerCase() === 'localhost' || host === '::1' || (isIpv4(host) && host.startsWith('127.'));
}

/** Of a hop in `x-forwarded-for`; it only names a bucket, so that two spellings of one IPv6 address may differ. */
export function isIpAddress(text: string): boolean {
  return isIpv4(text) || (text.includes(':') && /^[0-9a-fA-F:.]{2,45}$/.test(text));
}

function isIpv4(host: string): boolean {
  const octets = host.split('.');
  return octets.length === 4 && octets.every((octet) => /^(0|[1-9][0-9]{0,2})$/.test(octet) && Number(octet) <= 255);
}
