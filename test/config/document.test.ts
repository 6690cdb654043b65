import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { ConfigError, formatIssue } from '../../src/config/config-error.ts';
import { readDocument, readValue } from '../../src/config/document.ts';
import { BASE, refusals } from './config-under-test.ts';

describe('refuses', () => {
  test.each([
    ['a duplicate key', 'a: 1\nb: 2\na: 3\n', '3 a: duplicate key'],
    ['a duplicate key inside', 'a:\n  b: 1\n  b: 2\n', '3 a.b: duplicate key'],
    ['a duplicate key in other spelling', 'a: 1\n"\\x61": 2\n', '2 a: duplicate key'],
    ['a merge key', 'a: &x {b: 1}\nc:\n  <<: *x\n', '3 c: expected no merge key "<<"'],
    ['a quoted merge key', '"<<": {b: 1}\n', '1: expected no merge key'],
    ['an unknown tag', 'a: !secret x\n', '1: expected no tag'],
    ['a standard tag', 'a: !!str 1\n', '1 a: expected no tag'],
    ['a binary', 'a: !!binary aGk=\n', '1 a: expected no tag'],
    ['a tagged key', '!!str a: 1\n', '1: expected no tag'],
    ['a tagged map', 'a: !!map {b: 1}\n', '1 a: expected no tag'],
    ['a second document', 'a: 1\n---\nb: 2\n', '2: expected one document, got a second one'],
    ['an empty second document', 'a: 1\n---\n', ': expected one document'],
    ['YAML 1.1', '%YAML 1.1\n---\na: 1\n', '1: expected YAML 1.2'],
    ['a blank', 'a: 1\nb:\n', '2 b: expected a value, got nothing'],
    ['a null', 'a: null\n', '1 a: expected a value, got nothing'],
    ['a tilde', 'a: [1, ~]\n', '1 a[1]: expected a value, got nothing'],
    ['a key without colon in a flow map', '{a}', '1 a: expected a value, got nothing'],
    ['a blank item', 'a:\n- 1\n-\n', 'a[1]: expected a value, got nothing'],
    ['a number for a key', '1: 2\n', '1: expected keys that are text'],
    ['true for a key', 'true: 2\n', '1: expected keys that are text'],
    ['a list for a key', '? [a]\n: 1\n', '1: expected keys that are text'],
    ['an alias for a key', 'a: &x b\n*x : 1\n', '2: expected keys that are text'],
    ['__proto__', 'a:\n  __proto__: {b: 1}\n', '2 a: unknown key "__proto__"'],
    ['constructor', 'constructor: 1\n', '1: unknown key "constructor"'],
    ['prototype', '"prototype": 1\n', '1: unknown key "prototype"'],
    ['an alias to nothing', 'a: *b\n', ': expected an alias that is defined above'],
    ['an alias to what it stands in', 'a: &x [*x]\n', '1 a[0]: expected an alias to something else'],
    ['an alias to a map around it', 'a: &x {b: {c: *x}}\n', '1 a.b.c: expected an alias to something else'],
    ['tabs as indentation', 'a:\n\tb: 1\n', '2: expected'],
    ['an open quote', 'a: "b\n', ': expected'],
    ['an open bracket', 'a: [b\n', ': expected'],
    ['two values on a line', 'a: b: c\n', '1: expected one "key: value" a line'],
    ['a list', '- a\n', 'expected a map of settings'],
    ['a scalar', 'a\n', 'expected a map of settings'],
    ['nothing', '', 'expected a map of settings'],
    ['a comment alone', '# a: 1\n', 'expected a map of settings'],
  ])('%s', (_, text, message) => {
    expect(issuesOf(text)).toContainEqual(expect.stringContaining(message));
  });

  test.each([
    ['deep nesting of lists', '['.repeat(5000)],
    ['deep nesting of maps', '{a: '.repeat(5000)],
    ['33 levels', `a: ${'['.repeat(33)}1${']'.repeat(33)}\n`],
    [
      'a deep chain of aliases',
      Array.from({ length: 40 }, (_, i) => `a${i}: &a${i} ${i === 0 ? '[1]' : `[*a${i - 1}]`}`).join('\n'),
    ],
    ['more values than any file has', `a: [${'1,'.repeat(20_001)}]\n`],
    [
      'a billion laughs',
      Array.from(
        { length: 10 },
        (_, i) => `a${i}: &a${i} [${Array.from({ length: 10 }, () => (i === 0 ? 'x' : `*a${i - 1}`)).join(', ')}]`,
      ).join('\n'),
    ],
    ['more than 1 MiB', `a: ${'x'.repeat(1024 * 1024)}\n`],
    ['more than 1 MiB in bytes, not in characters', `a: ${'ä'.repeat(600 * 1024)}\n`],
  ])('%s', (_, text) => {
    expect(issuesOf(text)).not.toEqual([]);
  });

  test('a key repeated ten thousand times as fast as one that is not', () => {
    const keys = Array.from({ length: 5_000 }, (_, index) => `k${index}: 1\n`).join('');
    expect(issuesOf(keys)).toEqual([]);
    expect(issuesOf(`${keys}k0: 1\n`)).toEqual(['c.yaml:5001 k0: duplicate key']);
  });
});

test('follows an alias, and says the line of what it points to', () => {
  const tree = readDocument('a: &x\n  b: 1\nc: *x\n', 'c.yaml');
  expect(JSON.parse(JSON.stringify(tree.root))).toEqual({ a: { b: 1 }, c: { b: 1 } });
  expect(tree.placeOf(['c', 'b'])).toEqual({ source: 'c.yaml', line: 2 });
  expect(tree.placeOf(['c'])).toEqual({ source: 'c.yaml', line: 3 });
  expect(tree.placeOf(['c', 'none', 'below'])).toEqual({ source: 'c.yaml', line: 3 });
});

test('tells all that is wrong with the text at once, in its order', () => {
  expect(issuesOf('a:\nb: !!str 1\n1: 2\nc: 1\nc: 2\n').map((line) => line.split(' ')[0])).toEqual([
    'c.yaml:1',
    'c.yaml:2',
    'c.yaml:3:',
    'c.yaml:5',
  ]);
});

test('tells a hundred mistakes and counts the rest', () => {
  const lines = issuesOf(Array.from({ length: 150 }, (_, index) => `k${index}:\n`).join(''));
  expect(lines).toHaveLength(101);
  expect(lines.at(-1)).toBe('and 50 more');
});

test('a mistake in the syntax repeats nothing of the text, which may be a password', () => {
  for (const text of [
    'password: "x" hunter2\n',
    'password: !hunter2 x\n',
    'password: [*hunter2]\n',
    'a: "hunter2\n',
    '@hunter2\n',
  ]) {
    expect(issuesOf(text).join()).not.toContain('hunter2');
  }
});

test('what a key says cannot steer a terminal', () => {
  const line = formatIssue({ source: 'c.yaml', line: 1, path: '', message: '' });
  expect(line).toBe('c.yaml:1: ');
  const found = refusals(`${BASE}"\\e[31m\\u202e\\n": 1\n`).join('\n');
  expect(found).toMatch(/^[\x20-\x7e…]*$/);
});

/** Pieces of which YAML's own grammar is made, so that a fair share of what comes out is parsed far. */
const pieces = fc.constantFrom(
  'a',
  'b: ',
  '- ',
  '\n',
  '\n  ',
  '{',
  '}',
  '[',
  ']',
  ',',
  '&x ',
  '*x',
  '!!str ',
  '!t ',
  '"',
  "'",
  '|\n',
  '>-\n',
  '? ',
  ': ',
  '<<: ',
  '__proto__: ',
  '---\n',
  '...\n',
  '%YAML 1.1\n',
  '# ',
  '~',
  'null',
  '0x1',
  '.inf',
  '\t',
  '\0',
  '\u{feff}',
  '\ud800',
  '\\',
);

test('whatever the text, a document comes out or ConfigError', () => {
  const texts = fc.oneof(
    fc.array(pieces, { maxLength: 60 }).map((parts) => parts.join('')),
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc
      .tuple(fc.nat(BASE.length), fc.nat(20), fc.array(pieces, { maxLength: 6 }))
      .map(([at, cut, parts]) => BASE.slice(0, at) + parts.join('') + BASE.slice(at + cut)),
  );
  fc.assert(
    fc.property(texts, (text) => {
      for (const line of [...issuesOf(text), ...refusals(text)]) expect(line.length).toBeLessThan(2000);
      readValue(text);
      expect(Object.keys(Object.prototype)).toEqual([]);
    }),
  );
});

function issuesOf(text: string): readonly string[] {
  try {
    readDocument(text, 'c.yaml');
    return [];
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    return thrown.message.split('\n');
  }
}
