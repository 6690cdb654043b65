/**
 * Parses JSON from strangers: RFC 8259 and nothing beside it, each member once, no name that reaches into prototypes.
 * `JSON.parse` keeps the last of two equal members where another parser keeps the first; here both are refused.
 * Which members are expected is the caller's schema.
 */
import { deny } from '../core/decision.ts';

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;
/** Made without prototype. */
export interface JsonObject {
  readonly [name: string]: JsonValue;
}

const DEFAULT_MAX_DEPTH = 16;

/** A byte order mark stays in the text, where the grammar refuses it. */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const FORBIDDEN_NAMES: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/**
 * @param options.maxDepth the top object is depth 1; default 16.
 * @throws {Denial} `malformed`: invalid UTF-8, a top level other than an object, trailing bytes, duplicate or forbidden members
 *   (compared after unescaping), lone surrogates, a number too large for a double, too deep.
 */
export function parseStrictJson(bytes: Uint8Array, options: { maxDepth?: number } = {}): JsonObject {
  return parseDocument({ text: decodeUtf8(bytes), at: 0, depthLeft: options.maxDepth ?? DEFAULT_MAX_DEPTH });
}

/** A document and where in its text each object stands: for signatures over a part of what was received, as it was received. */
export interface JsonDocument {
  readonly value: JsonObject;
  /** The text that an object of this document occupies, brackets included, as written. @param object found in `value`. */
  sourceOf(object: JsonObject): string;
}

/** As `parseStrictJson`. */
export function parseJsonDocument(bytes: Uint8Array, options: { maxDepth?: number } = {}): JsonDocument {
  const spans = new Map<JsonObject, readonly [start: number, end: number]>();
  const text = decodeUtf8(bytes);
  const value = parseDocument({ text, at: 0, depthLeft: options.maxDepth ?? DEFAULT_MAX_DEPTH, spans });
  return {
    value,
    sourceOf(object) {
      const span = spans.get(object);
      if (span === undefined) throw new RangeError('JSON: an object of another document');
      return text.slice(...span);
    },
  };
}

function parseDocument(cursor: Cursor): JsonObject {
  skipBlanks(cursor);
  if (cursor.text[cursor.at] !== '{') deny('malformed', 'JSON: expected an object');
  const value = parseObject(cursor);
  skipBlanks(cursor);
  if (cursor.at !== cursor.text.length) deny('malformed', 'JSON: trailing text');
  return value;
}

interface Cursor {
  readonly text: string;
  at: number;
  depthLeft: number;
  readonly spans?: Map<JsonObject, readonly [start: number, end: number]>;
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    return deny('malformed', 'JSON: invalid UTF-8');
  }
}

/** Called with the cursor on the first character of a value. */
function parseValue(cursor: Cursor): JsonValue {
  const { text, at } = cursor;
  switch (text[at]) {
    case '{':
      return parseObject(cursor);
    case '[':
      return parseArray(cursor);
    case '"':
      return parseString(cursor);
    case 't':
      return expectWord(cursor, 'true', true);
    case 'f':
      return expectWord(cursor, 'false', false);
    case 'n':
      return expectWord(cursor, 'null', null);
    default:
      return parseNumber(cursor);
  }
}

function parseObject(cursor: Cursor): JsonObject {
  const start = cursor.at;
  const object = Object.create(null) as Record<string, JsonValue>;
  parseList(cursor, '}', () => {
    if (cursor.text[cursor.at] !== '"') deny('malformed', 'JSON: expected a member name');
    const name = parseString(cursor);
    if (FORBIDDEN_NAMES.has(name)) deny('malformed', 'JSON: forbidden member name');
    if (name in object) deny('malformed', 'JSON: duplicate member');
    skipBlanks(cursor);
    if (cursor.text[cursor.at] !== ':') deny('malformed', 'JSON: expected a colon');
    cursor.at++;
    skipBlanks(cursor);
    object[name] = parseValue(cursor);
  });
  cursor.spans?.set(object, [start, cursor.at]);
  return object;
}

function parseArray(cursor: Cursor): readonly JsonValue[] {
  const array: JsonValue[] = [];
  parseList(cursor, ']', () => array.push(parseValue(cursor)));
  return array;
}

/** What objects and arrays share: brackets, commas between, none at the end, and the depth. */
function parseList(cursor: Cursor, end: '}' | ']', parseItem: () => void): void {
  if (cursor.depthLeft === 0) deny('malformed', 'JSON: too deep');
  cursor.depthLeft--;
  cursor.at++;
  skipBlanks(cursor);
  if (cursor.text[cursor.at] !== end) {
    for (;;) {
      parseItem();
      skipBlanks(cursor);
      if (cursor.text[cursor.at] !== ',') break;
      cursor.at++;
      skipBlanks(cursor);
    }
    if (cursor.text[cursor.at] !== end) deny('malformed', 'JSON: expected a comma or the end');
  }
  cursor.at++;
  cursor.depthLeft++;
}

const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

/** Neither an escape nor what may not stand in a string. */
const PLAIN = /^[\x20-\x5b\x5d-\uffff]*$/;

/** Most strings are plain, and some long: the platform finds their end faster than a loop does. */
function parseString(cursor: Cursor): string {
  const start = cursor.at + 1;
  const end = cursor.text.indexOf('"', start);
  if (end === -1) deny('malformed', 'JSON: a string without an end');
  const plain = cursor.text.slice(start, end);
  if (!PLAIN.test(plain)) return parseEscaped(cursor);
  cursor.at = end + 1;
  return plain;
}

/**
 * Finds the end of the string by itself and lets `JSON.parse` undo escapes, of which it knows the same.
 * The text was valid UTF-8, so a lone surrogate can only come from an escape.
 */
function parseEscaped(cursor: Cursor): string {
  const { text } = cursor;
  const start = cursor.at;
  let at = start + 1;
  for (; ; at++) {
    const unit = text.charCodeAt(at);
    if (unit === 0x22) break;
    // At the end of the text the unit is NaN, which fails this comparison.
    if (!(unit >= 0x20)) deny('malformed', 'JSON: a control character, or no end, in a string');
    if (unit !== 0x5c) continue;
    ESCAPE.lastIndex = at;
    if (!ESCAPE.test(text)) deny('malformed', 'JSON: unknown escape');
    at = ESCAPE.lastIndex - 1;
  }
  cursor.at = at + 1;
  const value = JSON.parse(text.slice(start, at + 1)) as string;
  if (!value.isWellFormed()) deny('malformed', 'JSON: lone surrogate');
  return value;
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;

function parseNumber(cursor: Cursor): number {
  NUMBER.lastIndex = cursor.at;
  const [digits] = NUMBER.exec(cursor.text) ?? deny('malformed', 'JSON: expected a value');
  cursor.at = NUMBER.lastIndex;
  const value = Number(digits);
  if (!Number.isFinite(value)) deny('malformed', 'JSON: number too large');
  return value;
}

function expectWord<T>(cursor: Cursor, word: string, value: T): T {
  if (!cursor.text.startsWith(word, cursor.at)) deny('malformed', 'JSON: expected a value');
  cursor.at += word.length;
  return value;
}

/** The four blanks of JSON, no others. */
function skipBlanks(cursor: Cursor): void {
  for (; ; cursor.at++) {
    const unit = cursor.text.charCodeAt(cursor.at);
    if (unit !== 0x20 && unit !== 0x0a && unit !== 0x0d && unit !== 0x09) return;
  }
}
