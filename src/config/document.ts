/**
 * From YAML text to a tree with the line of every key. Refuses what makes a file mean something else than it shows:
 * duplicate keys, merge keys, tags, reserved names, blanks, aliases that blow up, a second document. Meaning is the schema's business.
 */
import { LineCounter, isAlias, isMap, isScalar, isSeq, parseDocument, type Document, type Node } from 'yaml';
import { ConfigError, formatPath, quote, type ConfigIssue, type Path, type Place } from './config-error.ts';
import { createTree, emptyMap, isRawMap, isReservedName, placeKey, type Tree } from './tree.ts';

export const MAX_CONFIG_BYTES = 1024 * 1024;

/** Nodes after aliases are followed. Far above any real file; below what an alias bomb needs. */
const MAX_NODES = 20_000;
const MAX_DEPTH = 32;

/**
 * @param source name of the file, for messages.
 * @throws {ConfigError} and nothing else, whatever the text.
 */
export function readDocument(text: string, source: string): Tree {
  const whole: Place = { source, line: 1 };
  const refuseWhole = (message: string): never => {
    throw new ConfigError([{ source, line: null, path: '', message }]);
  };
  if (new TextEncoder().encode(text).length > MAX_CONFIG_BYTES) refuseWhole('expected at most 1 MiB');
  const lines = new LineCounter();
  const document = parse(text, lines) ?? refuseWhole('expected YAML, got something that nests too deeply');
  const issues = syntaxIssues(document, lines, source);
  if (issues.length > 0) throw new ConfigError(issues);

  const walk = new Walk(source, lines);
  const root = document.contents === null ? undefined : walk.value(document.contents, [], 0);
  if (walk.issues.length > 0) throw new ConfigError(walk.issues);
  if (!isRawMap(root)) return refuseWhole('expected a map of settings, got an empty document or something else');
  return createTree(root, walk.places, whole);
}

/**
 * One value from the command line: YAML, so that lists can be given.
 *
 * @returns undefined when it is none, or holds what a file may not hold either.
 */
export function readValue(text: string): unknown {
  const lines = new LineCounter();
  const document = text.length > MAX_CONFIG_BYTES ? undefined : parse(text, lines);
  if (document === undefined || document.contents === null || syntaxIssues(document, lines, '').length > 0)
    return undefined;
  const walk = new Walk('', lines);
  const value = walk.value(document.contents, [], 0);
  return walk.issues.length > 0 ? undefined : value;
}

function parse(text: string, lines: LineCounter): Document.Parsed | undefined {
  try {
    // Duplicate keys are found by the walk: the parser compares every key with every other one, a minute for a megabyte of them.
    return parseDocument(text, {
      lineCounter: lines,
      version: '1.2',
      schema: 'core',
      merge: false,
      uniqueKeys: false,
      prettyErrors: false,
    });
  } catch {
    return undefined;
  }
}

/** Phrases of our own: the parser's quote the text, which may be a password. */
const SYNTAX: Readonly<Record<string, string>> = {
  MULTIPLE_DOCS: 'expected one document, got a second one',
  TAG_RESOLVE_FAILED: 'expected no tag',
  TAB_AS_INDENT: 'expected blanks as indentation, got a tab',
  BAD_INDENT: 'expected the indentation of the lines around it',
  MISSING_CHAR: 'expected a character that is missing here, such as a quote, a bracket or a comma',
  BLOCK_AS_IMPLICIT_KEY: 'expected one "key: value" a line',
  BAD_ALIAS: 'expected an alias that is defined above',
};

function syntaxIssues(document: Document.Parsed, lines: LineCounter, source: string): ConfigIssue[] {
  // Warnings too: an unknown tag is no more than that to the parser.
  const issues = [...document.errors, ...document.warnings].map((error): ConfigIssue => ({
    source,
    line: lines.linePos(error.pos[0]).line,
    path: '',
    message: SYNTAX[error.code] ?? `expected well-formed YAML (${error.code.toLowerCase().replaceAll('_', ' ')})`,
  }));
  if (document.directives.yaml.version !== '1.2') {
    issues.push({ source, line: 1, path: '', message: 'expected YAML 1.2, got a directive for another version' });
  }
  return issues;
}

/** Turns nodes into values, once, with all that is wrong on the way. */
class Walk {
  readonly issues: ConfigIssue[] = [];
  readonly places = new Map<string, Place>();
  readonly #source: string;
  readonly #lines: LineCounter;
  readonly #anchors = new Map<string, Node>();
  /** Nodes being walked, from the root: an alias to one of them would never end. */
  readonly #open = new Set<Node>();
  #nodes = 0;

  constructor(source: string, lines: LineCounter) {
    this.#source = source;
    this.#lines = lines;
  }

  value(node: Node, path: Path, depth: number): unknown {
    this.#nodes += 1;
    if (this.#nodes > MAX_NODES) return this.#once(node, 'expected at most 20000 values, aliases followed');
    if (depth > MAX_DEPTH) return this.#refuse(node, path, `expected at most ${MAX_DEPTH} levels`);
    if (isAlias(node)) return this.#alias(node.source, node, path, depth);
    if (node.anchor !== undefined && node.anchor !== '') this.#anchors.set(node.anchor, node);
    if (node.tag !== undefined) return this.#refuse(node, path, 'expected no tag');
    if (isScalar(node)) return node.value ?? this.#refuse(node, path, BLANK);
    this.#open.add(node);
    try {
      if (isMap(node)) return this.#map(node.items, path, depth);
      if (isSeq(node)) return this.#list(node.items, node, path, depth);
    } finally {
      this.#open.delete(node);
    }
    return this.#refuse(node, path, 'expected a value');
  }

  #alias(name: string, node: Node, path: Path, depth: number): unknown {
    const target = this.#anchors.get(name);
    if (target === undefined) return this.#refuse(node, path, 'expected an alias that is defined above');
    if (this.#open.has(target))
      return this.#refuse(node, path, 'expected an alias to something else than what it stands in');
    return this.value(target, path, depth + 1);
  }

  #map(pairs: readonly { key: unknown; value: unknown }[], path: Path, depth: number): unknown {
    const map = emptyMap();
    for (const { key: keyNode, value } of pairs) {
      const key = this.#key(keyNode as Node, path);
      if (key === undefined) continue;
      const here = [...path, key];
      if (key in map) this.#refuse(keyNode as Node, here, 'duplicate key');
      this.#setPlace(here, keyNode as Node);
      // A key whose value was refused stays known, so that a repetition is seen.
      map[key] =
        value === null ? this.#refuse(keyNode as Node, here, BLANK) : this.value(value as Node, here, depth + 1);
    }
    return map;
  }

  #key(node: Node, path: Path): string | undefined {
    if (!isScalar(node) || typeof node.value !== 'string') {
      return this.#refuse(node, path, 'expected keys that are text; put numbers and the like in quotes');
    }
    if (node.tag !== undefined) return this.#refuse(node, path, 'expected no tag');
    if (node.value === '<<') return this.#refuse(node, path, 'expected no merge key "<<"; write the settings out');
    if (isReservedName(node.value)) return this.#refuse(node, path, `unknown key ${quote(node.value)}`);
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, node);
    return node.value;
  }

  #list(items: readonly unknown[], list: Node, path: Path, depth: number): unknown {
    return items.map((item, index) => {
      const here = [...path, index];
      if (item === null) return this.#refuse(list, here, BLANK);
      this.#setPlace(here, item as Node);
      return this.value(item as Node, here, depth + 1);
    });
  }

  #setPlace(path: Path, node: Node): void {
    this.places.set(placeKey(path), { source: this.#source, line: this.#lineOf(node) });
  }

  #refuse(node: Node, path: Path, message: string): undefined {
    this.issues.push({ source: this.#source, line: this.#lineOf(node), path: formatPath(path), message });
  }

  #once(node: Node, message: string): undefined {
    if (this.#nodes === MAX_NODES + 1) this.#refuse(node, [], message);
  }

  #lineOf(node: Node): number {
    return this.#lines.linePos(node.range?.[0] ?? 0).line;
  }
}

const BLANK = 'expected a value, got nothing; leave the key out to take the default';
