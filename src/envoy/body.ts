/**
 * Whether the bytes of the body are the whole body, by what the proxy says and doesn't say. Twelve rows, the first that matches
 * decides; what a route makes of an unverifiable body is `core/body.ts`.
 *
 * The proxy adds the marker `x-envoy-auth-partial-body`, dropping a client's, exactly when a frame of the body reached it. So a
 * request without marker and without `content-length` looks the same with no body and with one that was not buffered.
 */
import type { Body, UnverifiableWhy } from '../core/request.ts';

export interface BodyFacts {
  /** `raw_body`; the text's bytes where the proxy sends text. */
  readonly bytes: Uint8Array;
  /** Whether field `body` is non-empty although bytes were to be sent. */
  readonly hasStrayText: boolean;
  /** How a body that came as text is taken; null where bytes are sent. */
  readonly text: TextPolicy | null;
  /** `size`: bytes that the proxy buffered. */
  readonly size: number;
  /** Raw values of the header of that name, in order. */
  readonly marker: readonly string[];
  readonly contentLength: readonly string[];
  /** CONNECT, an `upgrade` header, or the pseudo-header `:protocol`. */
  readonly isUpgrade: boolean;
  /** The operator says that the proxy buffers the bodies of this route. */
  readonly isBufferedClaimed: boolean;
  /** `envoy.maxRequestBytes`. */
  readonly maxBytes: number;
}

/** `envoy.textBody`. */
export type TextPolicy = 'refuse' | 'accept-ascii';

export function classifyBody(facts: BodyFacts): Body {
  const { bytes, marker, size, contentLength } = facts;
  const length = bytes.length;
  // Compared as text, so that another spelling of the number is not right.
  const isLengthRight = contentLength.length === 1 && contentLength[0] === String(length);

  if (marker.length > 1 || (marker.length === 1 && marker[0] !== 'true' && marker[0] !== 'false'))
    return unverifiable('marker');
  if (marker[0] === 'true') return unverifiable('partial');
  if (facts.hasStrayText) return unverifiable('text_body');
  if (facts.isUpgrade) return unverifiable('upgrade');
  if (marker[0] === 'false') {
    if ((contentLength.length > 0 && !isLengthRight) || size !== length) return unverifiable('length');
    if (length >= facts.maxBytes && contentLength.length === 0) return unverifiable('at_limit');
    if (facts.text !== null) return textBody(bytes, facts.text, isLengthRight);
    return { kind: 'complete', bytes };
  }
  if (length > 0 || size > 0) return unverifiable('no_marker');
  if (contentLength.length === 1 && contentLength[0] === '0') return ABSENT;
  if (contentLength.length > 0) return unverifiable('not_buffered');
  if (facts.isBufferedClaimed) return ABSENT;
  return unverifiable('not_asserted');
}

const ABSENT: Body = { kind: 'absent' };

function unverifiable(why: UnverifiableWhy): Body {
  return { kind: 'unverifiable', why };
}

/** The proxy put `!` for every byte it could not write, so `!` may stand for anything. An empty text can't. */
function textBody(bytes: Uint8Array, policy: TextPolicy, isLengthRight: boolean): Body {
  if (bytes.length === 0) return { kind: 'complete', bytes };
  if (policy === 'refuse') return unverifiable('text_body');
  if (!isLengthRight) return unverifiable('length');
  return bytes.every(isUnalteredText) ? { kind: 'complete', bytes } : unverifiable('not_ascii');
}

function isUnalteredText(byte: number): boolean {
  return (byte >= 0x20 && byte <= 0x7e && byte !== 0x21) || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}
