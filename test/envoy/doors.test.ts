/** Who may ask: mutual TLS between Envoy and the check listener (EV-36; the unix socket is every other test), and two hops that both ask (EV-31). */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { cluster, setEndpoints, type EnvoyTree } from '../../scripts/envoy-config.ts';
import { freePort } from '../../scripts/processes.ts';
import { createAuthority } from '../support/certificates.ts';
import { http1 } from './wire.ts';
import { verdictOf, type World } from './world.ts';
import { open } from './worlds.ts';

async function get(at: World, to = at.to): Promise<string> {
  const headers = [['authorization', await at.prove({ method: 'GET', target: '/a' })]] as const;
  return verdictOf(await http1({ method: 'GET', target: '/a', to, authority: at.to, headers }));
}

describe('EV-36 mutual TLS', () => {
  const authority = createAuthority('ca');
  const allowed = 'spiffe://cluster.local/ns/ingress/sa/envoy';

  test.each([
    ['by its allowed name', { uri: [allowed] }, '200'],
    ['refuses one of another name', { uri: [`${allowed}-2`] }, '503'],
    ['refuses one without a certificate', undefined, '503'],
  ])('lets Envoy in %s', async (_what, client, verdict) => {
    const folder = await mkdtemp(join(tmpdir(), 'cs-mtls-'));
    const write = async (name: string, text: string) => {
      await writeFile(join(folder, name), text, { mode: 0o600 });
      return join(folder, name);
    };
    const server = authority.issue({ dns: ['countersign.example.com'] });
    const ca = await write('ca.crt', authority.certificate);
    const tls = {
      certFile: await write('tls.crt', server.certificate),
      keyFile: await write('tls.key', server.key),
      clientCaFile: ca,
      allowedSans: [allowed],
    };
    const own = client && authority.issue(client);
    const certificates = own && [
      {
        certificate_chain: { filename: await write('client.crt', own.certificate) },
        private_key: { filename: await write('client.key', own.key) },
      },
    ];
    const address = `127.0.0.1:${await freePort()}`;
    const at = await open({
      change(config) {
        const listeners = config['listeners'] as object;
        config['listeners'] = { ...listeners, check: { address, tls } };
      },
      changeEnvoy(config) {
        setEndpoints(config, 'countersign', [address]);
        cluster(config, 'countersign').transport_socket = transportSocket(ca, certificates);
      },
    });
    expect(await get(at)).toMatch(verdict);
    await rm(folder, { recursive: true });
  });
});

function transportSocket(ca: string, tls_certificates: EnvoyTree[] = []): EnvoyTree {
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
      sni: 'countersign.example.com',
      common_tls_context: {
        alpn_protocols: ['h2'],
        tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' },
        tls_certificates,
        validation_context: {
          trusted_ca: { filename: ca },
          match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: 'countersign.example.com' } }],
        },
      },
    },
  };
}

describe('EV-31 a request that is checked at two hops', () => {
  /** The outer hop asks as route `edge` and hands on to the inner one, which asks as route `api`. */
  async function openTwoHops(edge: object): Promise<{ at: World; outer: string }> {
    const outer = `127.0.0.1:${await freePort()}`;
    const at = await open({
      change(config) {
        config.routes['edge'] = { ...config.routes['api'], stripCredentials: false, ...edge };
      },
      changeEnvoy(config) {
        const [inner] = config.static_resources.listeners;
        const { address, port_value: port } = inner.address.socket_address;
        const hop = structuredClone(inner);
        hop.name = 'outer';
        hop.address.socket_address.port_value = Number(outer.split(':')[1]);
        config.static_resources.listeners.push(hop);
        config.static_resources.clusters.push({ ...structuredClone(cluster(config, 'backend')), name: 'inner' });
        cluster(config, 'inner').load_assignment.cluster_name = 'inner';
        setEndpoints(config, 'inner', [`${address}:${port}`]);
        const { route_config: routes } = hop.filter_chains[0].filters[0].typed_config;
        const [host] = routes.virtual_hosts;
        host.routes = [host.routes.at(-1)];
        host.routes[0].route.cluster = 'inner';
        host.typed_per_filter_config['envoy.filters.http.ext_authz'].check_settings.context_extensions = {
          'countersign.route': 'edge',
        };
      },
    });
    return { at, outer };
  }

  test('of one tenant: the second refuses with replayed', async () => {
    const { at, outer } = await openTwoHops({});
    expect(await get(at, outer)).toBe('401 replayed');
    expect((await at.decisions()).get('edge challenge-signature allow ok')).toBe(1);
  });

  test('of two tenants: a challenge of the one is none of the other, so the first refuses already', async () => {
    const { at, outer } = await openTwoHops({ tenant: 'edge' });
    expect(await get(at, outer)).toMatch(/^401 /);
    expect((await at.decisions()).get('api challenge-signature allow ok')).toBeUndefined();
  });
});
