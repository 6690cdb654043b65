/** The client's browser half, bundled: nothing of Node in it, nothing left to be fetched but what single schemes load when they are used. */
import { expect, test } from '@jest/globals';
import { bundleClient } from '../support/client-bundle.ts';

// The bundler only warns of a module of Node and leaves the import in place, so its success says nothing.
test('has no module of Node, no import but of its own parts, and none of its globals', async () => {
  const files = await bundleClient();
  const code = files.get('index.js') ?? '';
  expect(code).toContain('createClient');
  expect(code).not.toMatch(/\bBuffer\b|\bprocess\./);
  for (const [name, text] of files) {
    expect(text).not.toMatch(/["'`]node:/);
    expect(text).not.toMatch(/\brequire\(|\bimport["'`{*]/);
    const parts = [...text.matchAll(/\bimport\(([^)]*)\)/g)].map(([, part = '']) =>
      part.replace(/^["'`]\.\/|["'`]$/g, ''),
    );
    expect([name, parts.filter((part) => !files.has(part))]).toEqual([name, []]);
  }
});

test('a page that uses no password loads no OPAQUE: the engine is a part of its own, and the rest is small', async () => {
  const files = await bundleClient();
  expect((files.get('index.js') ?? '').length).toBeLessThan(100_000);
  expect([...files.values()].some((text) => text.length > 300_000)).toBe(true);
});
