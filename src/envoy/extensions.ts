/** The operator's words about a route, carried by every Check: which route it is, and whether the proxy buffers its bodies. */
import { CheckInvalid } from '../core/fault.ts';

const OURS = 'countersign.';

export interface Claims {
  /** `countersign.route`, as it stands. */
  readonly route: string | undefined;
  /** `countersign.body`. */
  readonly body: 'buffered' | 'none' | undefined;
  /** The others: hints that schemes may read. */
  readonly extensions: ReadonlyMap<string, string>;
}

/** @throws {CheckInvalid} `extension`: a typo must not weaken a route. */
export function readClaims(all: ReadonlyMap<string, string>): Claims {
  const extensions = new Map<string, string>();
  for (const [key, value] of all) {
    if (!key.startsWith(OURS)) extensions.set(key, value);
    else if (key !== `${OURS}route` && key !== `${OURS}body`) throw new CheckInvalid('extension', 'an unknown key beginning "countersign."');
  }
  const body = all.get(`${OURS}body`);
  if (body !== undefined && body !== 'buffered' && body !== 'none') {
    throw new CheckInvalid('extension', 'countersign.body is neither "buffered" nor "none"');
  }
  return { route: all.get(`${OURS}route`), body, extensions };
}
