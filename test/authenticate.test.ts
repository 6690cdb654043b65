import { describe, expect, test } from '@jest/globals';
import { createAuthenticate, type Arrival, type Course } from '../src/authenticate.ts';
import type { Route } from '../src/config/routes.ts';
import { systemClock } from '../src/core/clock.ts';
import { deny, type Decision } from '../src/core/decision.ts';
import { CheckInvalid, Fault, StoreFault } from '../src/core/fault.ts';
import type { Limits } from '../src/core/limits.ts';
import { requireTime, type CheckCall, type Identity, type Scheme } from '../src/core/scheme.ts';
import { authRequest, newCheckId } from './support/auth-request.ts';

const ALICE: Identity = { subject: 'alice', attributes: {}, consumed: ['authorization'] };
const CHECK_ID = 'VM4Oh4hB4ikAMImVqujafQ';
const REQUEST = {
  method: 'GET',
  scheme: 'https',
  authority: 'api.example.com',
  target: '/',
  body: { kind: 'absent' },
} as const;
const OPEN: Limits = { charge: () => undefined, refund: () => undefined, credential: () => undefined };

interface Setting {
  readonly schemes: readonly Scheme[];
  readonly budgetMs?: number;
  readonly limits?: Limits;
  readonly cancelled?: { aborted: boolean };
  readonly headers?: readonly (readonly [string, string])[];
  readonly open?: () => Arrival;
}

function scheme(name: string, verify: (call: CheckCall) => Identity | Promise<Identity>): Scheme {
  const word = name.toUpperCase();
  return {
    name,
    verify: (_request, _policy, call) => verify(call),
    endpoints: [],
    challenges: (_policy, refused) => [
      `${word} realm="r"${refused === undefined ? '' : `, error="${refused.denial.code}"`}`,
    ],
    discovery: { profiles: [], parameters: {} },
  };
}

async function judge(setting: Setting): Promise<{ decision: Decision; checkId: string; courses: Course[] }> {
  const policy = { route: 'api', body: 'required', tenant: 'default', realm: 'r', audience: [], options: {} } as const;
  const route = {
    name: 'api',
    label: 'api',
    schemes: setting.schemes.map((one) => ({ scheme: one, policy })),
  } as unknown as Route;
  const arrival: Arrival = {
    checkId: CHECK_ID,
    receivedAtMs: systemClock.nowMs(),
    proxyTimeMs: null,
    hasStreamId: true,
    source: '203.0.113.9',
    route: () => route,
    request: () => authRequest({ ...REQUEST, headers: setting.headers ?? [] }, systemClock.nowMs(), CHECK_ID),
  };
  const courses: Course[] = [];
  const authenticate = createAuthenticate({
    routes: { byName: () => route, match: () => route, routes: [route] },
    clock: systemClock,
    limits: setting.limits ?? OPEN,
    perSource: { periodMs: 1, burst: 1 },
    newCheckId,
    decided: (course) => courses.push(course),
  });
  const { decision, checkId } = await authenticate(setting.open ?? (() => arrival), {
    budgetMs: setting.budgetMs ?? 1000,
    cancelled: setting.cancelled ?? { aborted: false },
  });
  return { decision, checkId, courses };
}

const outcome = (decision: Decision): string => {
  if (decision.outcome === 'allow') return `allow ${decision.scheme}`;
  return decision.outcome === 'deny' ? `deny ${decision.denial.code}` : `fault ${decision.reason}`;
};

const missing = scheme('missing', () => deny('credentials_missing', 'not mine'));
const granting = scheme('granting', () => ALICE);

describe('schemes of a route, in order', () => {
  test('credentials_missing asks the next one', async () => {
    expect(outcome((await judge({ schemes: [missing, granting] })).decision)).toBe('allow granting');
  });

  test('any other refusal ends the request', async () => {
    const stale = scheme('stale', () => deny('stale', 'too old'));
    expect(outcome((await judge({ schemes: [stale, granting] })).decision)).toBe('deny stale');
  });

  test('none that recognises a credential is credentials_missing, with a line each and no error', async () => {
    const { decision } = await judge({ schemes: [missing, scheme('other', () => deny('credentials_missing', ''))] });
    expect(outcome(decision)).toBe('deny credentials_missing');
    expect(decision).toMatchObject({
      replyHeaders: [
        ['www-authenticate', 'MISSING realm="r"'],
        ['www-authenticate', 'OTHER realm="r"'],
      ],
    });
  });

  test('the line of the one that refused carries the error, in its place; stale tells the time', async () => {
    const { decision } = await judge({ schemes: [missing, scheme('strict', () => deny('stale', 'x'))] });
    expect(decision).toMatchObject({
      scheme: 'strict',
      replyHeaders: [
        ['www-authenticate', 'MISSING realm="r"'],
        ['www-authenticate', 'STRICT realm="r", error="stale"'],
        ['auth-server-time', expect.stringMatching(/^\d{13}$/)],
      ],
    });
  });

  test('two Authorization headers are malformed by no scheme: no line carries an error', async () => {
    const headers = [
      ['authorization', 'a'],
      ['authorization', 'b'],
    ] as const;
    const { decision } = await judge({ schemes: [granting], headers });
    expect(outcome(decision)).toBe('deny malformed');
    expect(decision).not.toHaveProperty('scheme');
    expect(decision).toMatchObject({ replyHeaders: [['www-authenticate', 'GRANTING realm="r"']] });
  });
});

describe('whatever is thrown, and wherever, is no allow', () => {
  test.each([
    [
      'a fault',
      () => {
        throw new Fault('sealed', 'x');
      },
      'fault sealed',
    ],
    [
      'an error',
      () => {
        throw new Error('bug');
      },
      'fault internal',
    ],
    ['a rejection', () => Promise.reject(new Error('bug')), 'fault internal'],
    ['a rejection with a denial', async () => deny('revoked', 'x'), 'deny revoked'],
    ['a hang', () => new Promise<never>(() => undefined), 'fault deadline'],
  ] as const)('%s of a scheme', async (_, verify, expected) => {
    const { decision, courses } = await judge({ schemes: [scheme('s', verify), granting], budgetMs: 50 });
    expect(outcome(decision)).toBe(expected);
    expect(courses).toHaveLength(1);
  });

  test('a Check that can not be read', async () => {
    const { decision } = await judge({
      schemes: [granting],
      open: () => {
        throw new CheckInvalid('undecodable', 'x');
      },
    });
    expect(outcome(decision)).toBe('fault check_invalid');
  });

  test('an empty bucket, before any scheme is asked', async () => {
    const limits: Limits = { ...OPEN, charge: () => deny('rate_limited', 'empty', { retryAfterSeconds: 7 }) };
    const { decision } = await judge({ schemes: [granting], limits });
    expect(outcome(decision)).toBe('deny rate_limited');
    expect(decision).toMatchObject({ replyHeaders: [['retry-after', '7']] });
  });
});

describe('time', () => {
  test('a verdict after the budget answers nothing, and what comes late is not told twice', async () => {
    let wasAborted: boolean | undefined;
    const slow = scheme('slow', async (call) => {
      await new Promise((done) => setTimeout(done, 60));
      wasAborted = call.signal.aborted;
      return ALICE;
    });
    const { decision, courses } = await judge({ schemes: [slow], budgetMs: 20 });
    expect(outcome(decision)).toBe('fault deadline');
    await new Promise((done) => setTimeout(done, 100));
    expect(wasAborted).toBe(true);
    expect(courses).toHaveLength(1);
  });

  test('a cancelled Check is stopped before its claim', async () => {
    const cancelled = { aborted: false };
    let claimed = false;
    const claiming = scheme('claiming', async (call) => {
      cancelled.aborted = true;
      requireTime(call);
      claimed = true;
      return ALICE;
    });
    expect(outcome((await judge({ schemes: [claiming], cancelled })).decision)).toBe('fault deadline');
    expect(claimed).toBe(false);
  });

  test('an allow for a Check that was cancelled meanwhile is a fault', async () => {
    const cancelled = { aborted: false };
    const late = scheme('late', async () => {
      cancelled.aborted = true;
      return ALICE;
    });
    expect(outcome((await judge({ schemes: [late], cancelled })).decision)).toBe('fault deadline');
  });
});

describe('horizon_moved', () => {
  const moving = (times: number) => {
    let asked = 0;
    return scheme('moving', () => {
      asked += 1;
      if (asked <= times) throw new StoreFault('horizon_moved', 'x');
      return ALICE;
    });
  };

  test('runs the scheme once more, since nothing was consumed', async () => {
    expect(outcome((await judge({ schemes: [moving(1)] })).decision)).toBe('allow moving');
  });

  test('is a fault the second time', async () => {
    expect(outcome((await judge({ schemes: [moving(2)] })).decision)).toBe('fault horizon_moved');
  });
});

test('the refusal of a Check that could not be read has an id of its own, the same in the log', async () => {
  const unreadable = async () => {
    const { checkId, courses } = await judge({ schemes: [], open: () => deny('malformed', 'a target over 8 KiB') });
    expect(courses.map((course) => course.checkId)).toEqual([checkId]);
    expect(checkId).toMatch(/^[A-Za-z0-9_-]{22}$/);
    return checkId;
  };
  expect(await unreadable()).not.toBe(await unreadable());
});
