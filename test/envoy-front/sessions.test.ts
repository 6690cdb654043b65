import { Socket } from 'node:net';
import { expect, test } from '@jest/globals';
import { createSessions } from '../../src/envoy/sessions.ts';

test('a connection that comes while the sessions drain, as one whose handshake took long, is closed', async () => {
  const sessions = createSessions({ maxConcurrentStreams: 8, maxConnectionAge: null }, () => undefined);
  expect(await sessions.drain(1000)).toBe(true);
  const late = new Socket();
  sessions.open(late);
  expect(late.destroyed).toBe(true);
});
