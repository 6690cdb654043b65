/** What Envoy repeats, copies or sends on by itself, and a Check whose answer does not arrive: nothing is allowed twice, nothing opens. */
import { describe, expect, test } from '@jest/globals';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { cluster, extAuthz, type EnvoyTree, setEndpoints, virtualHost } from '../../scripts/envoy-config.ts';
import { CheckRequest, CheckResponse } from '../envoy-front/check-builder.ts';
import { openRelay, type Relay } from './relay.ts';
import { http1, type RawRequest } from './wire.ts';
import { echoOf, upstream, verdictOf, type World, type WorldOptions } from './world.ts';
import { atEnd, open } from './worlds.ts';

/** With a relay between Envoy and countersign. */
async function openBehind(options: WorldOptions = {}): Promise<{ world: World; relay: Relay }> {
  const relay = await openRelay();
  atEnd(() => relay.stop());
  const world = await open({
    ...options,
    changeEnvoy(config) {
      relay.inPlace(config);
      options.changeEnvoy?.(config);
    },
  });
  relay.to = world.services[0]?.check ?? '';
  return { world, relay };
}

async function signed(world: World, target = '/a'): Promise<RawRequest> {
  const authorization = await world.prove({ method: 'GET', target });
  return { method: 'GET', target, to: world.to, headers: [['authorization', authorization]] };
}

/** Envoy's patience with one try, and what it tries again after. */
function retry(perTry: string, retryOn?: string) {
  return (config: EnvoyTree) => {
    const { retry_policy: policy } = extAuthz(config).grpc_service;
    policy.retry_back_off.max_interval = perTry;
    if (retryOn !== undefined) policy.retry_on = retryOn;
  };
}

const sleep = (ms: number) => new Promise((done) => setTimeout(done, ms));
const recognised = async (world: World) =>
  Number(/^countersign_retries_recognised_total\{.*\} ([0-9]+)$/m.exec(await world.metrics())?.[1] ?? 0);

describe('EV-24 answers that no service of ours gives', () => {
  test.each<[string, Uint8Array]>([
    ['garbage', Uint8Array.of(0xff, 0xff, 0xff, 0xff)],
    ['half a refusal', Uint8Array.of(0x0a, 0x02, 0x08)],
  ])('%s is 503', async (_what, answer) => {
    const { world, relay } = await openBehind();
    relay.answer = async () => answer;
    expect((await http1({ method: 'GET', target: '/a', to: world.to })).status).toBe(503);
  });

  test('an empty CheckResponse is an allow: why every answer of ours is looked at before it leaves', async () => {
    const { world, relay } = await openBehind();
    for (const answer of [new Uint8Array(0), Uint8Array.of(0x0a, 0x00)]) {
      relay.answer = async () => answer;
      echoOf(await http1({ method: 'GET', target: '/a', to: world.to }));
    }
  });

  test('UNAVAILABLE, and a server that is not there, are 503', async () => {
    const world = await open();
    await world.services[0]?.end('SIGKILL');
    expect((await http1(await proofless(world))).status).toBe(503);
  });
});

const proofless = async (world: World): Promise<RawRequest> => ({ method: 'GET', target: '/a', to: world.to });

describe.each(['memory', 'redis'] as const)('a Check that is asked again (store %s)', (store) => {
  test('EV-26 its answer comes after Envoy has lost patience: one allow, the second claim is mine', async () => {
    const { world, relay } = await openBehind({ store, changeEnvoy: retry('0.3s') });
    relay.answer = async (message, index, ask) => {
      const answer = await ask(message);
      if (index === 0) await sleep(600);
      return answer;
    };
    const request = await signed(world);
    expect(upstream(echoOf(await http1(request)), 'x-auth-subject')).toEqual(['alice']);
    expect(relay.seen).toHaveLength(2);
    expect(relay.seen[1]?.message).toEqual(relay.seen[0]?.message);
    expect(await recognised(world)).toBe(1);
    expect(verdictOf(await http1(request))).toBe('401 replayed');
  });

  test('EV-45 its connection is lost after the claim, and Envoy does not ask again after resets: closed, and spent', async () => {
    const { world, relay } = await openBehind({ store, changeEnvoy: retry('4s', 'connect-failure,refused-stream') });
    relay.answer = async (message, _index, ask) => {
      await ask(message);
      await relay.die();
      return new Uint8Array(0);
    };
    expect((await http1(await signed(world))).status).toBe(503);
    expect(await recognised(world)).toBe(0);
  });
});

test('EV-27 the process is killed between claim and answer: Envoy asks another, whose claim is mine', async () => {
  const relay = await openRelay();
  atEnd(() => relay.stop());
  const world = await open({
    store: 'redis',
    services: 2,
    changeEnvoy(config) {
      const [, second] = cluster(config, 'countersign').load_assignment.endpoints[0].lb_endpoints;
      relay.inPlace(config);
      cluster(config, 'countersign').load_assignment.endpoints[0].lb_endpoints.push(second);
    },
  });
  const [first] = world.services;
  relay.to = first?.check ?? '';
  relay.answer = async (message, _index, ask) => {
    await ask(message);
    await first?.end('SIGKILL');
    await relay.die();
    return new Uint8Array(0);
  };
  // Envoy takes turns: one of the first requests goes to the one that will die.
  while (relay.seen.length === 0) {
    const request = await signed(world);
    expect(upstream(echoOf(await http1(request)), 'x-auth-subject')).toEqual(['alice']);
    expect(verdictOf(await http1(request))).toBe('401 replayed');
  }
  expect(relay.seen).toHaveLength(1);
}, 60_000);

test('EV-37 a client that leaves during its Check spends nothing', async () => {
  const world = await open({
    store: 'redis',
    change(config) {
      const { redis } = config['store'] as { redis: object };
      config['store'] = { type: 'redis', redis: { ...redis, commandTimeout: '1s', socketTimeout: '5s' } };
    },
  });
  const request = await signed(world);
  world.redis?.signal('SIGSTOP');
  const leaving = new AbortController();
  const left = fetch(`${world.url}/a`, {
    headers: { authorization: request.headers?.[0]?.[1] ?? '' },
    signal: leaving.signal,
  }).catch(() => 'left');
  await sleep(300); // The first look at the store is under way.
  leaving.abort();
  expect(await left).toBe('left');
  await sleep(200);
  world.redis?.signal('SIGCONT');
  await sleep(300);
  expect(verdictOf(await http1(request))).toBe('200');
}, 60_000);

describe('EV-29 a request that Envoy mirrors', () => {
  test.each([
    ['with the host it gives to mirrors', false, 'api none deny route_unknown'],
    ['with the same host', true, 'api challenge-signature deny replayed'],
  ])('%s: the original passes, the copy does not', async (_how, isBare, copy) => {
    const world = await open({
      change: (config) => void (config.routes['api'] = { ...config.routes['api'], stripCredentials: false }),
      changeEnvoy(config) {
        const { port_value: port } = config.static_resources.listeners[0].address.socket_address;
        const [backend] = config.static_resources.clusters.filter(({ name }: EnvoyTree) => name === 'backend');
        config.static_resources.clusters.push({ ...structuredClone(backend), name: 'mirror' });
        cluster(config, 'mirror').load_assignment.cluster_name = 'mirror';
        setEndpoints(config, 'mirror', [`127.0.0.1:${port}`]);
        virtualHost(config).routes.at(-1).route.request_mirror_policies = [
          { cluster: 'mirror', ...(isBare && { disable_shadow_host_suffix_append: true }) },
        ];
      },
    });
    echoOf(await http1(await signed(world)));
    for (let look = 0; look < 100 && !(await world.decisions()).has(copy); look += 1) await sleep(50);
    const decisions = await world.decisions();
    expect(decisions.get(copy)).toBeGreaterThanOrEqual(1);
    expect(decisions.get('api challenge-signature allow ok')).toBe(1);
  });
});

describe('EV-30 a request that Envoy redirects by itself', () => {
  test.each([
    ['without its credential', true, '401 credentials_missing'],
    ['with it', false, '401 signature_invalid'],
  ])('is judged anew and refused, %s', async (_how, stripCredentials, verdict) => {
    const backend = await redirecting((host) => `http://${host}/b`);
    const world = await open({
      change: (config) => void (config.routes['api'] = { ...config.routes['api'], stripCredentials }),
      changeEnvoy(config) {
        setEndpoints(config, 'backend', [backend]);
        virtualHost(config).routes.at(-1).route.internal_redirect_policy = {};
      },
    });
    expect(verdictOf(await http1(await signed(world)))).toBe(verdict);
    expect((await world.decisions()).get('api challenge-signature allow ok')).toBe(1);
  });
});

async function redirecting(to: (host: string) => string): Promise<string> {
  const server = createServer(({ headers }, response) => {
    response.writeHead(302, { location: to(headers.host ?? '') }).end();
  });
  await new Promise<void>((done) => {
    server.listen(0, '127.0.0.1', done);
  });
  atEnd(() => void server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('EV-44 a proxy whose clock is an hour off changes no verdict, and is told of', async () => {
  const { world, relay } = await openBehind();
  relay.answer = (message, _index, ask) => {
    const check = CheckRequest.toObject(CheckRequest.decode(message), { longs: Number });
    check['attributes'].request.time.seconds += 3600;
    return ask(CheckRequest.encode(CheckRequest.fromObject(check)).finish());
  };
  const request = await signed(world);
  echoOf(await http1(request));
  expect(verdictOf(await http1(request))).toBe('401 replayed');
  const offset = Number(/^countersign_proxy_clock_offset_seconds ([0-9.e+-]+)$/m.exec(await world.metrics())?.[1]);
  expect(Math.abs(offset)).toBeGreaterThan(3500);
});

describe('EV-43 what Envoy would write for a service that is not ours is 500, never open', () => {
  test.each<[string, string, string]>([
    ['a control byte in a value', 'x-auth-subject', 'al\u0001ice'],
    ['a name outside the expression', 'x-other', 'a'],
    ['the host', 'host', 'evil.example'],
    ['a pseudo-header', ':path', '/admin'],
  ])('%s', async (_what, key, value) => {
    const { world, relay } = await openBehind();
    const headers = [{ header: { key, value }, append: { value: false }, append_action: 2 }];
    relay.answer = async () =>
      CheckResponse.encode(CheckResponse.fromObject({ status: {}, ok_response: { headers } })).finish();
    expect((await http1({ method: 'GET', target: '/a', to: world.to })).status).toBe(500);
  });
});

test('EV-42 shadow mode of Envoy itself lets everything pass and spends proofs all the same', async () => {
  const world = await open({ changeEnvoy: (config) => void (extAuthz(config).shadow_mode = true) });
  const request = await signed(world);
  echoOf(await http1({ method: 'GET', target: '/a', to: world.to }));
  echoOf(await http1(request));
  echoOf(await http1(request));
  const decisions = await world.decisions();
  expect(decisions.get('api challenge-signature deny replayed')).toBe(1);
  expect(decisions.get('api none deny credentials_missing')).toBe(1);
});
