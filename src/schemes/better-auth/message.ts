/**
 * What both wire versions share on the wire: names, and times as text. Browser-safe. Envelopes are `v1/message.ts` and
 * `v0/message.ts`; words are `encoding/cesr.ts`.
 */
export const SCHEME = 'better-auth';
export const AUTH_SCHEME = 'BetterAuth';

const TIME = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z$/;
const DAY_MS = 86_400_000;

/**
 * RFC 3339 in UTC, a real date; digits beyond milliseconds are cut off. A parser of its own: `Date` takes far more, and what it does
 * not take becomes NaN, with which every comparison is false.
 *
 * @returns unix ms, or undefined.
 */
export function parseWireTime(text: string): number | undefined {
  const match = TIME.exec(text);
  if (match === null) return undefined;
  const [year = 0, month = 0, day = 0, hour = 24, minute = 60, second = 60] = match.slice(1, 7).map(Number);
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 59)
    return undefined;
  const ms = Number((match[7] ?? '').slice(0, 3).padEnd(3, '0'));
  return daysSince1970(year, month, day) * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000 + ms;
}

function daysIn(year: number, month: number): number {
  if (month === 2) return isLeap(year) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

/** Counted in years that begin in March, so that the leap day is the last of one. */
function daysSince1970(year: number, month: number, day: number): number {
  const marchYear = month > 2 ? year : year - 1;
  const marchMonth = (month + 9) % 12;
  const leapDays = Math.floor(marchYear / 4) - Math.floor(marchYear / 100) + Math.floor(marchYear / 400);
  return marchYear * 365 + leapDays + Math.floor((marchMonth * 153 + 2) / 5) + day - 1 - 719_468;
}

/** @param digits of the fraction: v1 writes three, v0 cuts them off. */
export function formatWireTime(ms: number, digits: 0 | 3): string {
  const text = new Date(ms).toISOString();
  return digits === 3 ? text : `${text.slice(0, 19)}Z`;
}
