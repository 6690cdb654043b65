/**
 * What a server says of itself in INFO, and whether claims may be trusted to it. The minimum is what the scripts need:
 * `SET` with `NX`, `GET` and `PXAT` together, effects replication, `GETDEL`.
 */
import { StoreFault } from '../core/fault.ts';

export interface ServerReport {
  /** `valkey` or `redis`, with its version. */
  readonly server: { readonly name: string; readonly version: string };
  readonly runId: string;
  readonly role: string;
  readonly evictionPolicy: string;
  readonly connectedReplicas: number;
  readonly isLoading: boolean;
}

export function readServerReport(info: unknown): ServerReport {
  if (typeof info !== 'string') throw new StoreFault('protocol', 'INFO was not answered with text');
  const field = (name: string) => new RegExp(`^${name}:([^\\r\\n]*)`, 'm').exec(info)?.[1] ?? '';
  // Valkey calls itself Redis 7.2.4 in `redis_version`, for the sake of old clients.
  const valkey = field('valkey_version');
  return {
    server: valkey === '' ? { name: 'redis', version: field('redis_version') } : { name: 'valkey', version: valkey },
    runId: field('run_id'),
    role: field('role'),
    evictionPolicy: field('maxmemory_policy'),
    connectedReplicas: Number(field('connected_slaves')),
    isLoading: field('loading') === '1',
  };
}

/** @throws {StoreFault} `loading`, `readonly`, `unsafe`. */
export function requireSafeServer({ server, runId, role, evictionPolicy, isLoading }: ServerReport): void {
  if (isLoading) throw new StoreFault('loading', 'the server is loading its records');
  const minimum = server.name === 'valkey' ? [7, 2] : [7, 0];
  if (!isAtLeast(server.version, minimum)) throw new StoreFault('unsafe', `expected Redis 7.0 or Valkey 7.2 at least`);
  if (!/^[0-9a-f]{40}$/.test(runId))
    throw new StoreFault('unsafe', 'the server names no run_id: is it behind a proxy?');
  if (evictionPolicy !== 'noeviction')
    throw new StoreFault('unsafe', 'maxmemory-policy is not noeviction: claims would be dropped');
  if (role !== 'master') throw new StoreFault('readonly', 'the server is not a primary');
}

function isAtLeast(version: string, [wantMajor = 0, wantMinor = 0]: readonly number[]): boolean {
  const [, major, minor] = /^([0-9]{1,4})\.([0-9]{1,4})/.exec(version) ?? [];
  const haveMajor = Number(major);
  return haveMajor > wantMajor || (haveMajor === wantMajor && Number(minor) >= wantMinor);
}
