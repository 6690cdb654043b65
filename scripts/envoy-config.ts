/**
 * `deploy/envoy.yaml` with other addresses, for the demonstration and the tests: what runs there is what is shipped, and there is no
 * second copy.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { root } from './tool.ts';

export interface EnvoyAddresses {
  /** 0 takes a free port; on loopback. */
  readonly adminPort: number;
  readonly listenPort: number;
  /** `host:port` or `unix:/path`; several are several endpoints. */
  readonly check: string | readonly string[];
  /** `host:port` */
  readonly issuer: string;
  /** `host:port` */
  readonly backend: string;
  /** Of the virtual host; default: any. */
  readonly domains?: readonly string[];
}

/** A part of an Envoy configuration as YAML reads it. */
// oxlint-disable-next-line typescript/no-explicit-any -- a tree of Envoy's own, thousands of messages deep
export type EnvoyTree = any;

/** @param change edits the whole tree before it is written: what a test wants otherwise. */
export function renderEnvoy(addresses: EnvoyAddresses, change: (config: EnvoyTree) => void = () => undefined): string {
  const config: EnvoyTree = parse(readFileSync(join(root, 'deploy', 'envoy.yaml'), 'utf8'));
  config.admin.address.socket_address.port_value = addresses.adminPort;
  const [listener] = config.static_resources.listeners;
  listener.address.socket_address = { address: '127.0.0.1', port_value: addresses.listenPort };
  connectionManager(config).route_config.virtual_hosts[0].domains = addresses.domains ?? ['*'];
  setEndpoints(config, 'countersign', [addresses.check].flat());
  setEndpoints(config, 'countersign_issuer', [addresses.issuer]);
  setEndpoints(config, 'backend', [addresses.backend]);
  cluster(config, 'backend').type = 'STATIC';
  change(config);
  return stringify(config, { lineWidth: 0 });
}

export function connectionManager(config: EnvoyTree): EnvoyTree {
  return config.static_resources.listeners[0].filter_chains[0].filters[0].typed_config;
}

export function extAuthz(config: EnvoyTree): EnvoyTree {
  return connectionManager(config).http_filters.find(({ name }: EnvoyTree) => name === 'envoy.filters.http.ext_authz')
    .typed_config;
}

export function virtualHost(config: EnvoyTree): EnvoyTree {
  return connectionManager(config).route_config.virtual_hosts[0];
}

/** Routes of the issuer beside `/auth`, the filter off: exact paths, since a prefix could cover what is the application's. */
export function routeToIssuer(config: EnvoyTree, paths: readonly string[]): void {
  const { routes } = virtualHost(config);
  const issuer = routes.find(({ match }: EnvoyTree) => 'path_separated_prefix' in match);
  for (const path of paths) routes.unshift({ ...issuer, name: `issuer ${path}`, match: { path } });
}

export function cluster(config: EnvoyTree, name: string): EnvoyTree {
  return config.static_resources.clusters.find((one: EnvoyTree) => one.name === name);
}

/** @param addresses `host:port` or `unix:/path`. */
export function setEndpoints(config: EnvoyTree, name: string, addresses: readonly string[]): void {
  cluster(config, name).load_assignment.endpoints = [
    { lb_endpoints: addresses.map((address) => ({ endpoint: { address: endpointAddress(address) } })) },
  ];
}

function endpointAddress(address: string): EnvoyTree {
  if (address.startsWith('unix:')) return { pipe: { path: address.slice('unix:'.length) } };
  const [, host, port] = /^(.*):([0-9]+)$/.exec(address) ?? [];
  return { socket_address: { address: host, port_value: Number(port) } };
}
