/** The client's browser half, bundled: nothing of Node in it, nothing left to be fetched. */
import { expect, test } from '@jest/globals';
import { bundleClient } from '../support/client-bundle.ts';

// The bundler only warns of a module of Node and leaves the import in place, so its success says nothing.
test('has no module of Node, no import at all, and none of its globals', async () => {
  const files = await bundleClient();
  expect([...files.keys()]).toEqual(['index.js']);
  const code = files.get('index.js');
  expect(code).toContain('createClient');
  expect(code).not.toContain('node:');
  expect(code).not.toMatch(/\bimport\b|\brequire\(/);
  expect(code).not.toMatch(/\bBuffer\b|\bprocess\./);
});
