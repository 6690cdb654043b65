/**
 * The types that every settings schema is written in. Text in the file becomes numbers in the code:
 * durations milliseconds, sizes bytes, rates `Limit`. A bare number is never a duration.
 */
import * as v from 'valibot';
import { isIdentifier, isKeyId } from './directory.ts';
import type { Limit } from './limits.ts';

const DURATION_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `50ms`, `5s`, `10m`, `24h`, `7d`; the output is milliseconds. Bounds are inclusive and written the same way. */
export function duration(bounds: { min?: string; max?: string } = {}) {
  const minMs = bounds.min === undefined ? 0 : parseDuration(bounds.min);
  const maxMs = bounds.max === undefined ? Number.MAX_SAFE_INTEGER : parseDuration(bounds.max);
  const expected = durationExpected(bounds);
  return v.pipe(
    v.string(expected),
    v.regex(/^(0|[1-9][0-9]{0,8})(ms|s|m|h|d)$/, expected),
    v.transform(parseDuration),
    v.check((ms) => ms >= minMs && ms <= maxMs, expected),
  );
}

function durationExpected({ min, max }: { min?: string; max?: string }): string {
  if (min !== undefined && max !== undefined) return `a duration from ${min} to ${max}`;
  if (max !== undefined) return `a duration of at most ${max}`;
  return min === undefined ? 'a duration such as "30s" or "500ms"' : `a duration of at least ${min}`;
}

/** @param text already known to be a number and a unit. */
export function parseDuration(text: string): number {
  const [, number = '', unit = ''] = /^([0-9]+)(ms|s|m|h|d)$/.exec(text) ?? [];
  return Number(number) * (DURATION_UNITS[unit] ?? Number.NaN);
}

const SIZE_UNITS: Readonly<Record<string, number>> = { KiB: 1024, MiB: 1024 * 1024 };

/** Bytes as an integer, or `64KiB`, `1MiB`; the output is bytes. Bounds in bytes, inclusive. */
export function size(bounds: { minBytes: number; maxBytes: number; expected: string }) {
  const expected = `a size ${bounds.expected}, such as 1048576 or "1MiB"`;
  return v.pipe(
    v.union([v.number(), v.pipe(v.string(), v.regex(/^[1-9][0-9]{0,8}(KiB|MiB)$/, expected))], expected),
    v.transform((value) => {
      if (typeof value === 'number') return value;
      const [, number = '', unit = ''] = /^([0-9]+)(KiB|MiB)$/.exec(value) ?? [];
      return Number(number) * (SIZE_UNITS[unit] ?? Number.NaN);
    }),
    v.check((bytes) => Number.isInteger(bytes) && bytes >= bounds.minBytes && bytes <= bounds.maxBytes, expected),
  );
}

const RATE_UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000 };

/** `{rate: 50/s, burst: 200}`; the output is a `Limit`. */
export function limit() {
  const expected = 'a rate such as "50/s", "600/m" or "20/h"';
  return v.pipe(
    v.strictObject({
      rate: v.pipe(v.string(expected), v.regex(/^[1-9][0-9]{0,6}\/(s|m|h)$/, expected)),
      burst: v.pipe(
        v.number('an integer from 1 to 1000000'),
        v.integer('an integer from 1 to 1000000'),
        v.minValue(1),
        v.maxValue(1_000_000),
      ),
    }),
    v.transform(({ rate, burst }): Limit => {
      const [tokens = '', unit = ''] = rate.split('/');
      return { periodMs: (RATE_UNITS[unit] ?? Number.NaN) / Number(tokens), burst };
    }),
  );
}

const ORIGIN_EXPECTED =
  'an origin such as "https://api.example.com", lower case, without a default port or a slash at the end';

/** `scheme://authority`, lower case, default port left out, no slash at the end; compared as text. */
export function origin() {
  return v.pipe(
    v.string(ORIGIN_EXPECTED),
    v.regex(/^https?:\/\/([a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\])(:[1-9][0-9]{0,4})?$/, ORIGIN_EXPECTED),
    v.check(
      (text) =>
        !(text.startsWith('https:') && text.endsWith(':443')) && !(text.startsWith('http:') && text.endsWith(':80')),
      ORIGIN_EXPECTED,
    ),
    v.check(
      (text) => text.startsWith('https:') || /^http:\/\/(localhost|127\.[0-9.]+|\[::1\])(:|$)/.test(text),
      'an https origin (http only on loopback)',
    ),
  );
}

/** Optional member of issuer and admin requests; the name space a request is about. */
export function tenantMember() {
  return v.optional(v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9-]{0,62}$/)), 'default');
}

export function identifier() {
  return v.pipe(v.string(), v.check(isIdentifier, 'an identifier: 1 to 128 of A-Z a-z 0-9 . _ ~ @ + : -'));
}

export function keyId() {
  return v.pipe(v.string(), v.check(isKeyId, 'a key id: 1 to 64 of A-Z a-z 0-9 . _ ~ -'));
}
