/** Many requests at once: restarts and ageing connections that nobody notices, and an overflow that is refused. `test:long` does more. */
import { connect as connectHttp2 } from 'node:http2';
import { expect, test } from '@jest/globals';
import { cluster, extAuthz } from '../../scripts/envoy-config.ts';
import { isLong } from '../support/long.ts';
import { startLoad } from '../processes/load.ts';
import { openRelay } from './relay.ts';
import { atEnd, open } from './worlds.ts';

const ROUNDS = isLong ? 20 : 2;

test(`EV-32 ${ROUNDS} rolling restarts under load fail no request`, async () => {
  const world = await open({
    store: 'redis',
    services: 3,
    change(config) {
      const { redis } = config['store'] as { redis: object };
      config['store'] = { type: 'redis', redis: { ...redis, commandTimeout: '1s', socketTimeout: '5s' } };
      config['process'] = { drainDelay: '600ms' };
    },
    // As where countersign is a service of its own: Envoy asks who is well, and sends nothing to who says that it goes.
    changeEnvoy(config) {
      const interval = '0.1s';
      cluster(config, 'countersign').health_checks = [
        {
          timeout: '2s',
          interval,
          no_traffic_interval: interval,
          unhealthy_interval: interval,
          unhealthy_threshold: 2,
          healthy_threshold: 1,
          grpc_health_check: { service_name: 'envoy.service.auth.v3.Authorization' },
        },
      ];
      cluster(config, 'countersign').common_lb_config = {
        healthy_panic_threshold: { value: 0 },
        update_merge_window: '0s', // A second by default; as shipped, the drain's delay is longer than that.
      };
    },
  });
  const [, second, third] = world.services;
  const end = startLoad(world);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const service of [second, third]) {
      await service?.end('SIGTERM');
      await service?.start();
    }
  }
  const { statuses, passedTwice } = await end();
  expect([Object.keys(statuses), passedTwice]).toEqual([['200'], 0]);
  expect(statuses['200']).toBeGreaterThan(ROUNDS * 10);
}, 600_000);

test('EV-33 connections of the Check that end for their age fail no request', async () => {
  const world = await open({
    change(config) {
      const { check, ...others } = config['listeners'] as { check: object };
      config['listeners'] = { ...others, check: { ...check, maxConnectionAge: '10s' } };
    },
  });
  const end = startLoad(world);
  await new Promise((done) => setTimeout(done, isLong ? 120_000 : 12_000));
  const { statuses, passedTwice } = await end();
  expect([Object.keys(statuses), passedTwice]).toEqual([['200'], 0]);
  const stats = await (await fetch(`${world.envoyAdmin}/stats?filter=cluster.countersign.upstream_cx_total`)).text();
  expect(Number(/: ([0-9]+)/.exec(stats)?.[1])).toBeGreaterThan(1);
}, 600_000);

test('EV-35 what is beyond the circuit breaker is refused and counted, what is below it waits', async () => {
  const relay = await openRelay();
  atEnd(() => relay.stop());
  const limit = isLong ? 8192 : 1100; // As shipped; and more than Envoy's own default of 1024.
  const world = await open({
    changeEnvoy(config) {
      relay.inPlace(config);
      for (const threshold of cluster(config, 'countersign').circuit_breakers.thresholds)
        threshold.max_requests = limit;
      const service = extAuthz(config).grpc_service;
      service.timeout = '300s';
      service.retry_policy.retry_back_off.max_interval = '300s';
    },
  });
  relay.to = world.services[0]?.check ?? '';
  const goOn = Promise.withResolvers<void>();
  relay.answer = async (message, _index, ask) => {
    await goOn.promise;
    return ask(message);
  };
  const beyond = 50;
  const statuses: Record<string, number> = {};
  const sessions = Array.from({ length: Math.ceil((limit + beyond) / 128) }, () => connectHttp2(world.url));
  const answers = Array.from({ length: limit + beyond }, (_, index) => {
    const stream = sessions[index % sessions.length]?.request({ ':path': '/a' });
    return new Promise<void>((resolve) => {
      stream?.on('response', (headers) => {
        const status = String(headers[':status']);
        statuses[status] = (statuses[status] ?? 0) + 1;
        stream.resume();
      });
      stream?.on('error', () => undefined);
      stream?.on('close', () => resolve());
    });
  });
  const overflowing = async () => {
    const stats = await (
      await fetch(`${world.envoyAdmin}/stats?filter=cluster.countersign.upstream_rq_.*overflow`)
    ).text();
    return [...stats.matchAll(/: ([0-9]+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);
  };
  while (relay.seen.length < limit || (statuses['503'] ?? 0) < beyond)
    await new Promise((done) => setTimeout(done, 50));
  expect(statuses).toEqual({ 503: beyond });
  expect(await overflowing()).toBe(beyond);
  goOn.resolve();
  await Promise.all(answers);
  for (const session of sessions) session.close();
  // There were no proofs: whoever was judged is refused, and whoever was not is too.
  expect(Object.keys(statuses).toSorted()).toEqual(['401', '503']);
}, 600_000);
