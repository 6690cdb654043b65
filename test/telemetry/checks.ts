/** Decided Checks, as `authenticate.ts` tells of them. */
import { Denial, type DenialCode } from '../../src/core/decision.ts';
import type { FaultReason } from '../../src/core/fault.ts';
import type { DecidedCheck } from '../../src/telemetry/decision.ts';
import { NOW_MS } from './rig.ts';

type Parts = Partial<DecidedCheck>;

const BASE = {
  checkId: 'K5eNXMK1e6uh4_FTMW58zw',
  route: { name: 'api', label: 'api', shadow: false, body: 'required' },
  request: { method: 'POST', authority: 'api.example.com', path: '/transfer', body: { kind: 'absent' } },
  arrival: { source: '192.0.2.7', receivedAtMs: NOW_MS, proxyTimeMs: NOW_MS - 250, hasStreamId: true },
  stages: { decode: 0.02, parse: 0.01, verify: 0.07, store: 0.4 },
  proofAgeMs: 1500,
  durationMs: 0.5,
} as const;

export function allowed(parts: Parts & { subject?: string; keyId?: string; retried?: boolean } = {}): DecidedCheck {
  const { subject = 'alice', keyId = 'k1', retried = false, ...rest } = parts;
  const identity = { subject, keyId, attributes: {}, consumed: [], retried };
  return { ...BASE, decision: { outcome: 'allow', scheme: 'challenge-signature', identity }, ...rest };
}

export function refused(code: DenialCode, detail = 'timestamp off by 41000 ms', parts: Parts = {}): DecidedCheck {
  const decision = {
    outcome: 'deny',
    scheme: 'challenge-signature',
    denial: new Denial(code, detail),
    replyHeaders: [],
  } as const;
  return { ...BASE, decision, ...parts };
}

export function failed(reason: FaultReason, cause: unknown, parts: Parts = {}): DecidedCheck {
  return {
    ...BASE,
    decision: { outcome: 'fault', scheme: 'challenge-signature', reason, retryAfterSeconds: 1, cause },
    ...parts,
  };
}
