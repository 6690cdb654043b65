/** The operator's words about a route, carried by every Check: which route it is, and whether the proxy buffers its bodies. */
import type { Buffer } from 'node:buffer';
import { CheckInvalid } from '../core/fault.ts';
import type { Places } from './check-headers.ts';

const OURS = 'countersign.';
const ROUTE = `${OURS}route`;
const BODY = `${OURS}body`;

export interface Claims {
  /** `countersign.route`, as it stands. */
  readonly route: string | undefined;
  /** `countersign.body`. */
  readonly body: 'buffered' | 'none' | undefined;
  /** The others: hints that schemes may read. */
  readonly extensions: ReadonlyMap<string, string>;
}

const NONE: ReadonlyMap<string, string> = new Map();

/**
 * @param places of keys and values; no key occurs twice.
 * @throws {CheckInvalid} `extension`: a typo must not weaken a route.
 */
export function readClaims(bytes: Buffer, places: Places): Claims {
  let route: string | undefined;
  let body: Claims['body'];
  let extensions: Map<string, string> | undefined;
  for (let i = 0; i < places.length; i += 4) {
    const key = bytes.toString('utf8', places[i], places[i + 1]);
    const value = bytes.toString('utf8', places[i + 2], places[i + 3]);
    if (key === ROUTE) route = value;
    else if (key === BODY) body = bodyClaim(value);
    else if (key.startsWith(OURS)) throw new CheckInvalid('extension', 'an unknown key beginning "countersign."');
    else (extensions ??= new Map()).set(key, value);
  }
  return { route, body, extensions: extensions ?? NONE };
}

function bodyClaim(value: string): Claims['body'] {
  if (value === 'buffered' || value === 'none') return value;
  throw new CheckInvalid('extension', 'countersign.body is neither "buffered" nor "none"');
}
