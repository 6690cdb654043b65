/** How long a Check may take: less than the proxy waits, so that it is we who answer. */

const MARGIN_MS = 30;
const LEAST_MS = 10;

/** What the proxy says of its patience, ms; undefined where it says nothing. */
export interface Patience {
  /** `grpc-timeout`: for all tries together, the same on a retry. */
  readonly totalMs: number | undefined;
  /** `x-envoy-expected-rq-timeout-ms`: for this try. */
  readonly thisTryMs: number | undefined;
}

/** @param checkBudgetMs `envoy.checkBudget`. */
export function budgetFor(checkBudgetMs: number, { totalMs, thisTryMs }: Patience): number {
  const bounds = [totalMs, thisTryMs].filter((bound) => bound !== undefined).map((bound) => bound - MARGIN_MS);
  return Math.max(LEAST_MS, Math.min(checkBudgetMs, ...bounds));
}

const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** @param text of `grpc-timeout`, such as `500m`; anything else is taken for nothing said. */
export function parseGrpcTimeout(text: string | undefined): number | undefined {
  const [, count = '', unit = ''] = /^([0-9]{1,8})([HMSmun])$/.exec(text ?? '') ?? [];
  const unitMs = UNIT_MS[unit];
  return unitMs === undefined ? undefined : Number(count) * unitMs;
}

/** @param text of `x-envoy-expected-rq-timeout-ms`. */
export function parseMilliseconds(text: string | undefined): number | undefined {
  return text !== undefined && /^[0-9]{1,9}$/.test(text) ? Number(text) : undefined;
}
