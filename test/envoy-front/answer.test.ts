/** EU-11: Which answer each verdict gets: the table of codes, the body, the metadata for the proxy's log, and routes that only watch. */
import { describe, expect, test } from '@jest/globals';
import type { Route } from '../../src/config/routes.ts';
import { DENIAL_CODES, Denial } from '../../src/core/decision.ts';
import type { Allow, Decision, DenialCode, Header } from '../../src/core/decision.ts';
import { FAULT_REASONS, Fault } from '../../src/core/fault.ts';
import { isAnswer } from '../../src/envoy/answer-assertion.ts';
import { preparedDeny, renderAnswer } from '../../src/envoy/answer.ts';
import type { AnswerSettings, Verdict } from '../../src/envoy/answer.ts';
import { readCheckMessage } from '../../src/envoy/check-message.ts';
import { createHeaderList } from '../../src/envoy/header-list.ts';
import { encodeCheck } from './check-builder.ts';
import { viewOf } from './proxy-view.ts';
import type { View } from './proxy-view.ts';

const SETTINGS: AnswerSettings = { identityPrefix: 'x-auth-', faultResponse: 'denied', subjectMetadata: false };
const ROUTE = { name: 'api', body: 'required', stripCredentials: true, shadow: false } as unknown as Route;
const SHADOW = { ...ROUTE, shadow: true };
const CHECK_ID = 'K5eNXMK1e6uh4_FTMW58zw';
const HEADERS = createHeaderList(readCheckMessage(encodeCheck({ headers: [['x-auth-subject', 'mallory']] })), false);

function deny(code: DenialCode, replyHeaders: readonly Header[] = [], oversized = false): Decision {
  return {
    outcome: 'deny',
    scheme: 'challenge-signature',
    denial: new Denial(code, 'for the log only', { oversized }),
    replyHeaders,
  };
}

function fault(reason: (typeof FAULT_REASONS)[number] = 'down', retryAfterSeconds = 7): Decision {
  return { outcome: 'fault', reason, retryAfterSeconds, cause: new Fault(reason, 'for the log only') };
}

const ALLOW: Allow = {
  outcome: 'allow',
  scheme: 'challenge-signature',
  identity: { subject: 'alice', keyId: 'k1', attributes: {}, consumed: ['authorization'] },
};

function render(
  decision: Decision,
  verdict: Partial<Verdict> = {},
  settings: Partial<AnswerSettings> = {},
): View & { bytes: Uint8Array } {
  const whole = { decision, route: ROUTE, checkId: CHECK_ID, headers: HEADERS, method: 'GET', ...verdict };
  const { intent, bytes } = renderAnswer(whole, { ...SETTINGS, ...settings });
  expect(isAnswer(bytes, intent)).toBe(true);
  expect(intent === 'allow').toBe(viewOf(bytes).allowed);
  return { ...viewOf(bytes), bytes };
}

const ALWAYS = [
  ['cache-control', 'no-store'],
  ['content-type', 'application/problem+json'],
] as const;

const PHRASES: Readonly<Record<number, string>> = {
  401: 'Unauthorized',
  403: 'Forbidden',
  413: 'Content Too Large',
  429: 'Too Many Requests',
};

const problem = (status: number, code: string) =>
  `{"type":"about:blank","title":"${PHRASES[status]}","status":${status},"code":"${code}","check":"${CHECK_ID}"}`;

describe('a refusal', () => {
  test.each([
    ['credentials_missing', 401, 16],
    ['malformed', 401, 16],
    ['signature_invalid', 401, 16],
    ['stale', 401, 16],
    ['not_yet_valid', 401, 16],
    ['replayed', 401, 16],
    ['revoked', 401, 16],
    ['out_of_sync', 401, 16],
    ['body_unverifiable', 403, 7],
    ['route_unknown', 403, 7],
    ['rate_limited', 429, 8],
  ] as const)('%s answers %i with code %i', (code, status, grpcCode) => {
    expect(render(deny(code))).toMatchObject({
      allowed: false,
      kinds: ['denied_response'],
      status,
      grpcCode,
      headers: ALWAYS,
      body: problem(status, code),
      metadata: { outcome: 'deny', code, scheme: 'challenge-signature', route: 'api', check_id: CHECK_ID },
    });
  });

  test('because of a size answers 413 with code 8', () => {
    for (const code of ['malformed', 'body_unverifiable'] as const) {
      expect(render(deny(code, [], true))).toMatchObject({ status: 413, grpcCode: 8, body: problem(413, code) });
    }
  });

  test('unknown_credential is told to the client as signature_invalid, byte for byte, and to the proxy by its own name', () => {
    const lines: Header[] = [['www-authenticate', 'ChallengeSignature realm="r", error="signature_invalid"']];
    const [unknown, wrong] = [render(deny('unknown_credential', lines)), render(deny('signature_invalid', lines))];
    expect(toldOf(unknown.bytes)).toEqual(toldOf(wrong.bytes));
    expect(unknown.metadata['code']).toBe('unknown_credential');
    expect(wrong.metadata['code']).toBe('signature_invalid');
  });

  test('carries the headers of the judgement first', () => {
    expect(
      render(
        deny('stale', [
          ['www-authenticate', 'X'],
          ['auth-server-time', '1'],
        ]),
      ).headers,
    ).toEqual([['www-authenticate', 'X'], ['auth-server-time', '1'], ...ALWAYS]);
  });

  test('of HEAD has no body', () => {
    expect(render(deny('stale'), { method: 'HEAD' })).toMatchObject({ body: '', status: 401, headers: ALWAYS });
    expect(render(fault(), { method: 'HEAD' }).body).toBe('');
    expect(render(deny('stale'), { method: 'head' }).body).not.toBe('');
  });

  test('before anything was read names no route', () => {
    const view = render(deny('malformed', [], true), {
      route: undefined,
      headers: undefined,
      method: undefined,
    });
    expect(view.status).toBe(413);
    expect(view.metadata).toEqual({
      outcome: 'deny',
      code: 'malformed',
      scheme: 'challenge-signature',
      check_id: expect.stringMatching(/^.{22}$/),
    });
  });

  test('never tells its detail', () => {
    for (const code of Object.keys(DENIAL_CODES) as DenialCode[]) {
      expect(Buffer.from(render(deny(code)).bytes).includes('for the log only')).toBe(false);
    }
  });
});

describe('a fault', () => {
  test.each(FAULT_REASONS)(
    '%s answers 503 with code 14 and Retry-After, and names its reason to the proxy alone',
    (reason) => {
      expect(render(fault(reason))).toMatchObject({
        kinds: ['denied_response'],
        status: 503,
        grpcCode: 14,
        headers: [['retry-after', '7'], ...ALWAYS],
        body: `{"type":"about:blank","title":"Service Unavailable","status":503,"code":"unavailable","check":"${CHECK_ID}"}`,
        metadata: { outcome: 'fault', code: reason, scheme: 'none', route: 'api' },
      });
    },
  );

  test('is an error response where the operator wants the proxy to count it, and refusals are not', () => {
    const settings = { faultResponse: 'error' } as const;
    expect(render(fault(), {}, settings)).toMatchObject({
      kinds: ['error_response'],
      status: 503,
      grpcCode: 14,
      allowed: false,
    });
    expect(render(deny('stale'), {}, settings).kinds).toEqual(['denied_response']);
  });

  test('that is prepared is a 503 of either kind', () => {
    expect(viewOf(preparedDeny('denied'))).toMatchObject({
      kinds: ['denied_response'],
      status: 503,
      grpcCode: 14,
      headers: [['retry-after', '1'], ...ALWAYS],
      body: '{"type":"about:blank","title":"Service Unavailable","status":503,"code":"unavailable"}',
      metadata: { outcome: 'fault', code: 'internal', scheme: 'none' },
    });
    expect(viewOf(preparedDeny('error')).kinds).toEqual(['error_response']);
    expect(isAnswer(preparedDeny('denied'), 'deny') && isAnswer(preparedDeny('error'), 'deny')).toBe(true);
  });
});

describe('an allow', () => {
  test('tells the upstream that the body is proven as the route asks, and of a proof that covers none that it is not', () => {
    const bodyOf = (decision: Decision) => render(decision).set.filter(([name]) => name === 'x-auth-body');
    expect(bodyOf(ALLOW)).toEqual([['x-auth-body', 'verified']]);
    const token: Decision = { ...ALLOW, identity: { ...ALLOW.identity, coversBody: false } };
    expect(bodyOf(token)).toEqual([['x-auth-body', 'none']]);
  });

  test('tells the proxy a hash of who, and who only when the operator wants it', () => {
    expect(render(ALLOW).metadata).toEqual({
      outcome: 'allow',
      key: expect.stringMatching(/^[A-Za-z0-9_-]{16}$/),
      scheme: 'challenge-signature',
      route: 'api',
      check_id: CHECK_ID,
    });
    expect(render(ALLOW, {}, { subjectMetadata: true }).metadata['subject']).toBe('alice');
  });
  test.each([{ route: undefined }, { headers: undefined }])(
    'of a Check that was not read is a fault: %j',
    (verdict) => {
      expect(() => render(ALLOW, verdict)).toThrow('an allow without a request');
    },
  );
});

describe('on a route that only watches', () => {
  test.each<[expected: string | undefined, outcome: string, Decision]>([
    [undefined, 'allow', ALLOW],
    ['deny', 'shadow_deny', deny('replayed')],
    ['fault', 'shadow_fault', fault()],
  ])('the request passes without an identity, marked %s, and the proxy is told %s', (mark, outcome, decision) => {
    const view = render(decision, { route: SHADOW });
    expect(view).toMatchObject({ allowed: true, kinds: ['ok_response'], metadata: { outcome } });
    expect(view.set).toEqual(mark === undefined ? [] : [['x-auth-shadow', mark]]);
    expect(view.remove).toContain('x-auth-subject');
    expect(view.headers).toEqual([]);
  });
  test('a Check that could not be read is refused', () => {
    expect(render(deny('malformed'), { route: SHADOW, headers: undefined }).allowed).toBe(false);
  });
});

/** The bytes of an answer that become the client's: status and denied response, without the metadata behind them. */
function toldOf(answer: Uint8Array): Uint8Array {
  const [low = 0, high = 0] = answer.subarray(5);
  const end = low < 0x80 ? 6 + low : 7 + (low & 0x7f) + 128 * high;
  expect(answer[4]).toBe(0x12);
  expect(answer[end]).toBe(0x22);
  return answer.subarray(0, end);
}
