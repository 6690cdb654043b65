/**
 * Stops asking a server that does not answer, so that a Check is refused at once instead of after a timeout each. Reopening goes
 * through the pulse's probes and a ramp, so that a server that has just come back is not met by everything at once.
 */
const CONSECUTIVE_FAULTS = 5;
const WINDOW = 20;
const FAULTS_IN_WINDOW = 10;
const PROBES_TO_CLOSE = 2;
const RAMP_MS = 2_000;
const RAMP_START = 0.25;

export interface Breaker {
  isOpen(): boolean;
  /** Whether a verb may be sent: never while open, a growing share of them for two seconds after. */
  admits(): boolean;
  answered(): void;
  failed(): void;
  /** A probe of the pulse was answered. */
  probed(): void;
  /** The self-test has passed: as good as probes. */
  close(): void;
}

export function createBreaker(monotonicMs: () => number, onChange: (open: boolean) => void): Breaker {
  let isOpen = false;
  let consecutive = 0;
  /** Last outcomes, one bit each, 1 for a fault. */
  let recent = 0;
  let probes = 0;
  let rampStartMs: number | undefined;
  /** Share of an admission saved up; a verb passes when it reaches 1. */
  let credit = 0;

  const open = () => {
    isOpen = true;
    probes = 0;
    onChange(true);
  };

  const close = () => {
    if (!isOpen) return;
    isOpen = false;
    consecutive = 0;
    recent = 0;
    rampStartMs = monotonicMs();
    credit = 0;
    onChange(false);
  };

  const record = (fault: 0 | 1) => {
    recent = ((recent << 1) | fault) & ((1 << WINDOW) - 1);
  };

  return {
    isOpen: () => isOpen,
    admits() {
      if (isOpen) return false;
      if (rampStartMs === undefined) return true;
      const elapsedMs = monotonicMs() - rampStartMs;
      if (elapsedMs >= RAMP_MS) {
        rampStartMs = undefined;
        return true;
      }
      credit += RAMP_START + (1 - RAMP_START) * (elapsedMs / RAMP_MS);
      if (credit < 1) return false;
      credit -= 1;
      return true;
    },
    answered() {
      consecutive = 0;
      if (recent !== 0) record(0);
    },
    failed() {
      consecutive += 1;
      record(1);
      probes = 0;
      if (!isOpen && (consecutive >= CONSECUTIVE_FAULTS || countOnes(recent) >= FAULTS_IN_WINDOW)) open();
    },
    probed() {
      if (!isOpen) return;
      probes += 1;
      if (probes >= PROBES_TO_CLOSE) close();
    },
    close,
  };
}

function countOnes(bits: number): number {
  let count = 0;
  for (let rest = bits; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}
