import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { http1 } from './wire.ts';
import { openWorld, type World } from './world.ts';

let world: World;
beforeAll(async () => {
  world = await openWorld({ change: (config) => (config['metrics'] = { grpcCompat: true }) });
}, 60_000);
afterAll(() => world.stop());

test('with metrics.grpcCompat each Check is a call that ended with OK, allowed or refused', async () => {
  const authorization = await world.prove({ method: 'GET', target: '/a' });
  const send = (headers: readonly (readonly [string, string])[]) =>
    http1({ method: 'GET', target: '/a', to: world.to, headers: [...headers] });
  expect((await send([['authorization', authorization]])).status).toBe(200);
  expect((await send([])).status).toBe(401);
  const metrics = await world.metrics();
  expect(metrics).toMatch(/^grpc_server_handled_total\{grpc_method="Check",grpc_code="OK"\} 2$/m);
  expect(metrics).toMatch(/^grpc_server_handling_seconds_count\{grpc_method="Check"\} 2$/m);
});
