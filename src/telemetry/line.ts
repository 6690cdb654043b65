/**
 * One line of the log: JSON, only known fields, ASCII, at most 4 KiB. Whatever text comes in, one line goes out.
 */

/** In the order in which they are written; what is first survives when a line is cut. */
export const LOG_FIELDS = [
  'check_id',
  'route',
  'scheme',
  'outcome',
  'code',
  'reason',
  'action',
  'actor',
  'target_hash',
  'duration_us',
  'key',
  'subject',
  'path_hash',
  'source',
  'trace_id',
  'store',
  'horizon_ms',
  'offset_ms',
  'config_hash',
  'method',
  'authority',
  'path',
  'detail',
  'error',
] as const;

export type LogField = (typeof LOG_FIELDS)[number];
export type LogFields = { readonly [Field in LogField]?: string | number | undefined };

/** Newline included. A write of at most this length to a pipe is never mixed with another process's. */
export const MAX_LINE_BYTES = 4096;

const MAX_TEXT_BYTES = 1024;
/** Room for a stack. */
const MAX_ERROR_BYTES = 2048;
const CUT = '...';

/**
 * @param head the members that every line has, as JSON text without the closing brace; at most 512 bytes.
 * @returns the line with its newline. Members that are no known fields are left out.
 */
export function formatLine(head: string, fields: LogFields): string {
  let line = head;
  for (const name of LOG_FIELDS) {
    const value = fields[name];
    if (value === undefined) continue;
    const left = MAX_LINE_BYTES - line.length - name.length - 8;
    if (typeof value === 'number') {
      if (Number.isFinite(value) && left > 24) line += `,"${name}":${value}`;
      continue;
    }
    if (left < 16) continue;
    line += `,"${name}":"${escapeText(value, Math.min(left, name === 'error' ? MAX_ERROR_BYTES : MAX_TEXT_BYTES))}"`;
  }
  return `${line}}\n`;
}

const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

/**
 * JSON string contents in printable ASCII: everything else, controls, bidi marks and line separators among it, becomes `\uXXXX`.
 *
 * @param maxBytes at least 3; longer text is cut between characters and ends in `...`.
 */
export function escapeText(text: string, maxBytes: number): string {
  if (text.length <= maxBytes && PLAIN.test(text)) return text;
  let escaped = '';
  let fitting = 0;
  for (let index = 0; index < text.length; index++) {
    const next = escapeUnit(text.charCodeAt(index));
    if (escaped.length + next.length > maxBytes) return escaped.slice(0, fitting) + CUT;
    escaped += next;
    if (escaped.length <= maxBytes - CUT.length) fitting = escaped.length;
  }
  return escaped;
}

function escapeUnit(unit: number): string {
  if (unit === 0x22) return '\\"';
  if (unit === 0x5c) return '\\\\';
  if (unit >= 0x20 && unit <= 0x7e) return String.fromCharCode(unit);
  return `\\u${unit.toString(16).padStart(4, '0')}`;
}
