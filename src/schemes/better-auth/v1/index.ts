/** Wire version v1, put together: the public protocol, byte for byte. */
import type { Parts } from '../parts.ts';
import type { Version } from '../version.ts';
import { accountEndpoints } from './account.ts';
import { adminEndpoints, revoke } from './admin.ts';
import { chainEndpoints } from './chain.ts';
import { sessionEndpoints } from './session.ts';
import { standing } from './standing.ts';
import { createV1Parts } from './v1-parts.ts';

export function createV1(base: Parts): Version {
  const parts = createV1Parts(base);
  const issuing = [...accountEndpoints(parts), ...chainEndpoints(parts), ...sessionEndpoints(parts)];
  return {
    endpoints: [...(parts.settings.issuer === 'local' ? issuing : []), ...adminEndpoints(parts)],
    async standing({ content }, nowMs) {
      if (content.version !== 'v1') return { isRevoked: true, why: 'token of another version' };
      return standing(parts, content, nowMs);
    },
    revoke: (subject, what) => revoke(parts, subject, what),
  };
}
