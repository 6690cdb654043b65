import { expect, test } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CLUSTER_ACL, SENTINEL_ACL, SERVER_ACL } from '../support/acl.ts';

test('the ACLs that an operator is told are those the suites pass under (SF-20)', async () => {
  const page = await readFile(join(import.meta.dirname, '..', '..', 'docs', 'redis.md'), 'utf8');
  for (const acl of [SERVER_ACL, CLUSTER_ACL, SENTINEL_ACL]) expect(page).toContain(acl.join(' '));
});
