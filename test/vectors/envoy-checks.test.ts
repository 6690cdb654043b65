/**
 * EU-01: The forty Checks recorded from real proxies decode to what the specification says of them. Their routes have no public origins, so
 * the scheme is `:scheme`.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import type { Route, RouteTable } from '../../src/config/routes.ts';
import { decodeCheck } from '../../src/envoy/decode-request.ts';
import type { CheckArrival, DecodeSettings } from '../../src/envoy/decode-request.ts';
import { hex } from '../support/bytes.ts';
import { refusalOf } from '../support/refusal.ts';

interface Case {
  readonly name: string;
  readonly envoy: string;
  readonly input: { readonly tier: DecodeSettings['tier']; readonly max_request_bytes: number; readonly check_hex: string };
  readonly expect: Expected;
}

interface Expected {
  readonly method: string;
  readonly scheme: string;
  readonly authority: string | null;
  readonly target: string | null;
  readonly path: string | null;
  readonly query: string | null;
  readonly malformed: readonly string[];
  readonly headers?: readonly (readonly [string, string])[];
  readonly headers_map?: Readonly<Record<string, string>>;
  readonly body: { readonly kind: string; readonly why?: string; readonly sha256_hex?: string; readonly length?: number };
  readonly protocol: string;
  readonly time: { readonly seconds: number; readonly nanos: number };
  readonly check_id: string;
  readonly extensions: Readonly<Record<string, string>>;
  readonly source: { readonly address: string };
}

const { cases } = JSON.parse(readFileSync(new URL('./envoy-checks.json', import.meta.url), 'utf8')) as { cases: Case[] };

const RECEIVED_AT_MS = 1_795_499_145_300;

/** Takes every origin and every body, so that nothing but the Check decides. */
const watching = { name: 'api', publicOrigins: null, body: 'none', refusePathParameters: false } as unknown as Route;
const table: RouteTable = {
  byName: (name) => ({ ...watching, name }),
  match: () => undefined,
  routes: [],
};

function open({ input }: Case): CheckArrival {
  return decodeCheck(hex(input.check_hex), RECEIVED_AT_MS, {
    tier: input.tier,
    maxRequestBytes: input.max_request_bytes,
    assumeBuffered: false,
    textBody: 'accept-ascii',
    trustedHops: 0,
  });
}

test('there are 40 recorded Checks', () => {
  expect(cases).toHaveLength(40);
});

describe.each(cases)('$name ($envoy)', (recorded) => {
  const expected = recorded.expect;
  const arrival = open(recorded);

  test('carries id, time, source and route of the proxy', () => {
    expect(arrival.checkId).toBe(expected.check_id);
    expect(arrival.hasStreamId).toBe(true);
    expect(arrival.receivedAtMs).toBe(RECEIVED_AT_MS);
    expect(arrival.proxyTimeMs).toBe(expected.time.seconds * 1000 + Math.floor(expected.time.nanos / 1e6));
    expect(arrival.source).toBe(expected.source.address);
    expect(arrival.route(table).name).toBe(expected.extensions['countersign.route']);
  });

  test('has the headers that were sent, in order and byte for byte', () => {
    const lines = expected.headers ?? Object.entries(expected.headers_map ?? {});
    const fields = lines.filter(([name]) => !name.startsWith(':'));
    const names = arrival.headers.names();
    if (expected.headers === undefined) expect(names.toSorted()).toEqual(fields.map(([name]) => name).toSorted());
    else expect(names).toEqual(fields.map(([name]) => name));
    for (const name of names) {
      expect(arrival.headers.all(name)).toEqual(fields.filter(([other]) => other === name).map(([, value]) => value));
    }
  });

  if (expected.malformed.length > 0) {
    test(`is refused with malformed for its ${expected.malformed.join(', ')}`, () => {
      expect(refusalOf(() => arrival.request(watching))).toBe('malformed');
    });
    return;
  }

  test('is the request that was sent', () => {
    const request = arrival.request(watching);
    const { method, scheme, authority, target, path, query, protocol } = request;
    expect({ method, scheme, authority, target, path, query, protocol }).toEqual({
      method: expected.method,
      scheme: expected.scheme,
      authority: expected.authority,
      target: expected.target,
      path: expected.path,
      query: expected.query,
      protocol: expected.protocol,
    });
    const others = Object.entries(expected.extensions).filter(([key]) => !key.startsWith('countersign.'));
    expect([...request.extensions]).toEqual(expect.arrayContaining(others));
    expect(request.extensions.size).toBe(others.length);
  });

  test(`has a body that is ${expected.body.why ?? expected.body.kind}`, () => {
    const { body } = arrival.request(watching);
    expect(body.kind).toBe(expected.body.kind);
    if (body.kind === 'unverifiable') expect(body.why).toBe(expected.body.why);
    if (body.kind === 'complete') {
      expect(body.bytes).toHaveLength(expected.body.length ?? -1);
      expect(createHash('sha256').update(body.bytes).digest('hex')).toBe(expected.body.sha256_hex);
    }
  });
});
