/**
 * The built image beside Redis, Envoy and an upstream, each a container, on one network: as an operator runs it where there is no
 * Kubernetes. Several countersigns share one name in the network's DNS, as the pods of a headless Service do.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GenericContainer, Network, Wait, type StartedTestContainer } from 'testcontainers';
import { stringify } from 'yaml';
import { inviteBy, makeComposeFiles } from '../../scripts/compose/files.ts';
import { docker } from '../../scripts/docker.ts';
import { cluster, renderEnvoy, type EnvoyTree } from '../../scripts/envoy-config.ts';
import { freePort } from '../../scripts/processes.ts';
import { createClient, enrol, generateKeyPair, signingKey, type Client } from '../../src/client/index.ts';
import { challengeSignature } from '../../src/schemes/challenge-signature/client.ts';

/** What `npm run test:containers` has built. */
export const IMAGE = 'countersign:test';
export const ECHO_IMAGE = 'countersign-echo:test';
/** Everything that is started here has it, so that nothing outlives a run that was cut off. */
export const LABEL = 'dev.countersign.test';

const START_MS = 120_000;
const PLENTY = { rate: '100000/s', burst: 1_000_000 };

export interface World {
  /** Envoy. */
  readonly url: string;
  readonly redis: StartedTestContainer;
  /** The countersign that was there from the start. */
  readonly first: StartedTestContainer;
  /** Another countersign of the same name. Resolves when it says that it is ready. */
  addCountersign(): Promise<StartedTestContainer>;
  /** Of the countersigns, how many Envoy sends Checks to. */
  healthy(): Promise<number>;
  /** As `docker stop` does: SIGTERM, and its exit code. */
  end(container: StartedTestContainer): Promise<number>;
  /** What Envoy logged about Checks that failed, for who reads of a test that did. */
  failures(): Promise<readonly string[]>;
  /** A client with a fresh key, enrolled by invitation. */
  enter(subject: string): Promise<Client>;
  stop(): Promise<void>;
}

/** As the image runs in the manifests that are shipped. */
class Hardened extends GenericContainer {
  constructor(image: string) {
    super(image);
    this.hostConfig.ReadonlyRootfs = true;
    this.withDroppedCapabilities('ALL').withSecurityOpt('no-new-privileges:true').withTmpFs({ '/tmp': 'rw,noexec' });
  }
}

/** @param change of countersign's configuration. */
export async function openWorld(change: (config: Record<string, unknown>) => void = () => undefined): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'cs-containers-'));
  const { env } = await makeComposeFiles(folder);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const config = configuration(url);
  change(config);
  await writeFile(join(folder, 'config.yaml'), stringify(config));
  await writeFile(join(folder, 'envoy.yaml'), envoyConfig());

  const network = await new Network().start();
  const countersigns: StartedTestContainer[] = [];
  const others: StartedTestContainer[] = [];
  const stop = async () => {
    for (const container of [...others, ...countersigns]) await container.stop({ timeout: 0 }).catch(() => undefined);
    await network.stop();
    await rm(folder, { recursive: true, force: true });
  };
  const labelled = <Container extends GenericContainer>(container: Container): Container =>
    container
      .withLabels({ [LABEL]: 'true' })
      .withNetwork(network)
      .withStartupTimeout(START_MS);

  const addCountersign = async () => {
    const container = await labelled(new Hardened(IMAGE))
      .withNetworkAliases('countersign')
      .withUser(env['COUNTERSIGN_USER'] ?? '')
      .withBindMounts([
        { source: join(folder, 'config.yaml'), target: '/etc/countersign/config.yaml', mode: 'ro' },
        { source: join(folder, 'secrets'), target: '/secrets', mode: 'ro' },
      ])
      // Other ways of waiting need a shell in the container.
      .withHealthCheck({
        test: ['CMD', '/usr/local/bin/node', '/app/dist/cli.js', 'health'],
        interval: 1000,
        timeout: 5000,
        retries: 120,
      })
      .withWaitStrategy(Wait.forHealthCheck())
      .start();
    countersigns.push(container);
    return container;
  };

  try {
    const redis = await labelled(new GenericContainer('redis:7-bookworm'))
      .withNetworkAliases('redis')
      .withCommand(['redis-server', '--save', '', '--maxmemory-policy', 'noeviction'])
      .withExposedPorts(6379)
      .start();
    others.push(redis);
    others.push(await labelled(new GenericContainer(ECHO_IMAGE)).withNetworkAliases('backend').start());
    const first = await addCountersign();
    const envoy = await labelled(new GenericContainer('envoyproxy/envoy:v1.40-latest'))
      .withBindMounts([{ source: join(folder, 'envoy.yaml'), target: '/etc/envoy/envoy.yaml', mode: 'ro' }])
      .withCommand([
        'envoy',
        '-c',
        '/etc/envoy/envoy.yaml',
        '--log-level',
        'warning',
        '--file-flush-interval-msec',
        '100',
      ])
      .withExposedPorts({ container: 10_000, host: port }, 9901)
      .withWaitStrategy(Wait.forListeningPorts())
      .start();
    others.unshift(envoy);
    return {
      url,
      redis,
      first,
      addCountersign,
      async healthy() {
        const admin = `http://127.0.0.1:${envoy.getMappedPort(9901)}`;
        const stats = await (await fetch(`${admin}/stats?filter=cluster.countersign.membership_healthy`)).text();
        return Number(/: ([0-9]+)/.exec(stats)?.[1]);
      },
      async end(container) {
        await docker(['stop', '--time', '30', container.getId()]);
        const code = Number(await docker(['inspect', '--format', '{{.State.ExitCode}}', container.getId()]));
        countersigns.splice(countersigns.indexOf(container), 1);
        await docker(['rm', container.getId()]);
        return code;
      },
      async failures() {
        const lines = (await docker(['logs', envoy.getId()])).split('\n');
        return lines.filter((line) => line.includes('"status":503') && !line.includes('"route":"issuer"'));
      },
      async enter(subject) {
        const [running] = countersigns;
        const invitation = await inviteBy(['exec', running?.getId() ?? ''], '/secrets/admin-token', subject);
        const key = await signingKey(await generateKeyPair('ES256'));
        await enrol({ baseUrl: url, scheme: 'challenge-signature', invitation, kid: 'k1', key });
        return createClient({ baseUrl: url, signer: challengeSignature({ user: subject, kid: 'k1', key }) });
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function configuration(url: string): Record<string, unknown> {
  return {
    version: 1,
    deployment: 'standalone',
    listeners: {
      check: { address: '0.0.0.0:9001' },
      issuer: { address: '0.0.0.0:8080' },
      admin: { address: '127.0.0.1:9090', tokenFile: '/secrets/admin-token' },
    },
    process: { checkWorkers: 2, drainDelay: '3s' },
    insecure: { plaintextCheck: true, plaintextRedis: true }, // One network, nobody else on it.
    // A machine that runs all of this at once is slow.
    store: {
      type: 'redis',
      redis: { urls: ['redis://redis:6379'], commandTimeout: '1s', socketTimeout: '2s', connectTimeout: '2s' },
    },
    clock: { skew: '1s' },
    envoy: { checkBudget: '3s' },
    keys: { ringFile: '/secrets/keyring.json' },
    issuer: { url, audiences: [url] },
    schemes: { 'challenge-signature': { challenges: 'stateless', limits: { challenge: PLENTY } } },
    routes: {
      api: { schemes: ['challenge-signature'], publicOrigins: [url] },
      feed: { schemes: ['challenge-signature'], publicOrigins: [url], body: 'none' },
    },
    rateLimit: { perSource: PLENTY, perCredential: PLENTY, issuer: PLENTY },
    readiness: { requireStore: false }, // Without Redis each request is refused by itself; that is what is looked at.
  };
}

/** `deploy/envoy.yaml` for a service of its own: names in place of addresses, and Envoy asks who is well. */
function envoyConfig(): string {
  const addresses = {
    adminPort: 9901,
    listenPort: 10_000,
    check: 'countersign:9001',
    issuer: 'countersign:8080',
    backend: 'backend:8000',
  };
  return renderEnvoy(addresses, (config: EnvoyTree) => {
    config.static_resources.listeners[0].address.socket_address.address = '0.0.0.0';
    config.admin.address.socket_address.address = '0.0.0.0';
    for (const name of ['countersign', 'countersign_issuer', 'backend'])
      Object.assign(cluster(config, name), {
        type: 'STRICT_DNS',
        dns_refresh_rate: '0.5s',
        dns_lookup_family: 'V4_ONLY',
      });
    const service =
      config.static_resources.listeners[0].filter_chains[0].filters[0].typed_config.http_filters[0].typed_config;
    service.grpc_service.timeout = '8s';
    service.grpc_service.retry_policy.retry_back_off.max_interval = '4s';
    Object.assign(cluster(config, 'countersign'), {
      common_lb_config: { healthy_panic_threshold: { value: 0 } },
      health_checks: [
        {
          timeout: '5s',
          interval: '0.25s',
          no_traffic_interval: '0.25s',
          unhealthy_interval: '0.25s',
          unhealthy_threshold: 5, // A machine that runs all of this at once lets event loops wait.
          healthy_threshold: 1,
          grpc_health_check: { service_name: 'envoy.service.auth.v3.Authorization' },
        },
      ],
    });
  });
}
