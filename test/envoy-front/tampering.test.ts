/** EU-07, EU-15: Whatever of a proven request is changed on the way is refused, spends nothing, and leaks nothing of the credential anywhere. */
import { Buffer } from 'node:buffer';
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { complete } from '../support/auth-request.ts';
import type { RequestParts } from '../support/auth-request.ts';
import { isLong } from '../support/long.ts';
import { createRig } from '../telemetry/rig.ts';
import { encodeCheck } from './check-builder.ts';
import type { CheckParts } from './check-builder.ts';
import { checkOf, createCheckWorld } from './check-world.ts';

const PARTS = ['method', 'scheme', 'authority', 'target', 'body', 'authorization'] as const;

test('flipping any bit of method, scheme, authority, target, body or credential is a denial, and the proof stays unspent', async () => {
  const world = await createCheckWorld();
  const proven = await world.proven();
  const flips = PARTS.flatMap((part) => flipsOf(proven, part)).filter((_, i) => isLong || i % 5 === 0);
  for (const changes of flips) {
    const { allowed, status } = await world.send(checkOf(proven, changes));
    expect({ changes, allowed, isRefusal: status === 401 || status === 403 }).toEqual({
      changes,
      allowed: false,
      isRefusal: true,
    });
  }
  expect((await world.send(checkOf(proven))).allowed).toBe(true);
});

test('taking the body away, cutting it or adding to it is a denial', async () => {
  const world = await createCheckWorld();
  const proven = await world.proven();
  const body = Buffer.from('{"amount":50}');
  const changed: CheckParts[] = [
    { body: new Uint8Array(), partial: 'false', headers: headersOf(proven, 0) },
    { body: body.subarray(1), headers: headersOf(proven, body.length - 1) },
    { body: Buffer.concat([body, body]), headers: headersOf(proven, 2 * body.length) },
    { body, partial: 'true' },
    { body, headers: headersOf(proven, body.length + 1) },
  ];
  for (const changes of changed) expect((await world.send(checkOf(proven, changes))).allowed).toBe(false);
  expect((await world.send(checkOf(proven))).allowed).toBe(true);
});

test('no bytes whatever are an allow without a proof', async () => {
  const world = await createCheckWorld();
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.uint8Array({ maxLength: 300 }),
        fc
          .array(
            fc.tuple(
              fc.constantFrom(
                'authorization',
                'x-auth-subject',
                'content-length',
                'x-envoy-auth-partial-body',
                'upgrade',
              ),
              fc.string(),
            ),
          )
          .map((headers) => encodeCheck({ headers })),
      ),
      async (message) => expect((await world.send(message)).allowed).toBe(false),
    ),
  );
});

test('no log, metric, metadata or body holds any part of a request that could be a credential', async () => {
  const rig = createRig({ level: 'debug', decisions: 'all' });
  const world = await createCheckWorld({
    decided: (course) => rig.events.decision(course),
    settings: { subjectMetadata: true },
  });
  const canary = 'canary7391';
  const headers = ['authorization', 'proxy-authorization', 'cookie', 'x-pop', 'dpop', 'x-auth-subject', 'x-other'].map(
    (name) => [name, `ChallengeSignature user="alice", kid="k1", ch="${canary}", sig="${canary}"`] as const,
  );
  const answers: unknown[] = [];
  const body = complete(canary);
  for (const changes of [
    { headers },
    { headers: [...headers, ...headers] },
    { headers: [['authorization', canary]] as const },
    { path: `/a?token=${canary}` },
    { path: `/a;${canary}` },
    { authority: `${canary}@api.example.com` },
    { method: canary },
    { extensions: { [`countersign.${canary}`]: canary } },
    { extensions: { 'countersign.route': canary } },
    { id: canary },
    { text: canary },
  ]) {
    answers.push(await world.send(checkOf(await world.proven({ body }), changes)));
  }
  const allowed = await world.proven({ body, target: `/a?token=${canary}` });
  answers.push(await world.send(checkOf(allowed)));
  expect(answers.at(-1)).toMatchObject({ allowed: true });
  for (const text of [JSON.stringify(answers), await rig.text(), await rig.exposition()]) {
    expect(text.length).toBeGreaterThan(100);
    expect(text).not.toContain(canary);
  }
  const [signature] = /[A-Za-z0-9_-]{86}/.exec(JSON.stringify(allowed.headers)) ?? [];
  expect(signature).toBeDefined();
  expect(`${await rig.text()}${JSON.stringify(answers)}`).not.toContain(signature);
  await rig.close();
});

/** Every single bit of one part flipped, but for the case of letters where case does not count. */
function flipsOf(proven: RequestParts, part: (typeof PARTS)[number]): CheckParts[] {
  const bytes = partOf(proven, part);
  const flips: CheckParts[] = [];
  for (let i = 0; i < bytes.length; i++) {
    for (let bit = 0; bit < 8; bit++) {
      const changed = Buffer.from(bytes);
      changed[i] = (bytes[i] ?? 0) ^ (1 << bit);
      const isCaseOnly = changed.toString('latin1').toLowerCase() === bytes.toString('latin1').toLowerCase();
      if (
        isCaseOnly &&
        (part === 'scheme' || part === 'authority' || (part === 'authorization' && i < 'ChallengeSignature'.length))
      )
        continue;
      flips.push(changesTo(proven, part, changed));
    }
  }
  return flips;
}

function partOf(proven: RequestParts, part: (typeof PARTS)[number]): Buffer {
  if (part === 'body') return Buffer.from(proven.body.kind === 'complete' ? proven.body.bytes : []);
  if (part === 'authorization') return Buffer.from(proven.headers.find(([name]) => name === part)?.[1] ?? '');
  return Buffer.from(proven[part]);
}

function changesTo(proven: RequestParts, part: (typeof PARTS)[number], bytes: Buffer): CheckParts {
  if (part === 'body') return { body: bytes };
  const text = bytes.toString('latin1');
  if (part === 'target') return { path: text };
  if (part !== 'authorization') return { [part]: text };
  const others = headersOf(proven, partOf(proven, 'body').length).filter(([name]) => name !== part);
  return { headers: [...others, [part, bytes]] };
}

function headersOf(proven: RequestParts, contentLength: number): NonNullable<CheckParts['headers']> {
  return [['content-length', String(contentLength)], ...proven.headers];
}
