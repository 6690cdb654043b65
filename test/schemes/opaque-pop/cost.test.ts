/** What one Check costs: MACs, reads and writes. In a file of its own, since it counts inside a module that all others share. */
import { expect, jest, test } from '@jest/globals';

const mac = await import('../../../src/crypto/mac.ts');
let macs = 0;
jest.unstable_mockModule('../../../src/crypto/mac.ts', () => ({
  ...mac,
  hmacSha256: (...given: Parameters<typeof mac.hmacSha256>) => {
    macs += 1;
    return mac.hmacSha256(...given);
  },
}));
const { opaquePop } = await import('../../../src/schemes/opaque-pop/index.ts');
const { createSchemeWorld } = await import('../../support/scheme-world.ts');
const { outcomeOf } = await import('../../support/refused.ts');
const { complete } = await import('../../support/auth-request.ts');
const { loggedIn, newClient, signed } = await import('./prover.ts');

const REQUEST = {
  method: 'GET',
  scheme: 'https' as const,
  authority: 'api.example.com',
  target: '/balance',
  headers: [],
  body: complete(''),
};

test.each(['strict', 'seed'] as const)(
  '%s: one MAC, one read and, when it is allowed, one fenced write; a stranger costs the same but for the write',
  async (profile) => {
    const at = createSchemeWorld(opaquePop, { settings: { profiles: [profile] } });
    const client = await loggedIn(at, profile);
    await at.judge(await signed(at, client, REQUEST));
    const costOf = async (parts: Awaited<ReturnType<typeof signed>>) => {
      at.store.calls.length = 0;
      macs = 0;
      const outcome = await outcomeOf(at.judge(parts));
      return { outcome, macs, verbs: at.store.calls.map(({ verb }) => verb) };
    };
    const proven = await signed(at, client, REQUEST);
    expect(await costOf(proven)).toEqual({ outcome: 'allow', macs: 1, verbs: ['get', 'claim'] });
    expect(await costOf(proven)).toEqual({ outcome: 'replayed', macs: 1, verbs: ['get', 'claim'] });
    const forged = await signed(at, { ...newClient(profile), sid: client.sid }, REQUEST);
    expect(await costOf(forged)).toEqual({ outcome: 'signature_invalid', macs: 1, verbs: ['get'] });
    const stranger = await signed(at, newClient(profile), REQUEST);
    expect(await costOf(stranger)).toEqual({ outcome: 'unknown_credential', macs: 1, verbs: ['get'] });
  },
);
