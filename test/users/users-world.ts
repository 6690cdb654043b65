/** The users' side of the service in one process, on a memory store that writes down its calls. */
import * as v from 'valibot';
import type { Endpoint } from '../../src/core/scheme.ts';
import { randomBytes } from '../../src/crypto/random.ts';
import { createSignatures } from '../../src/crypto/signatures.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { invitationCall, keyCalls, userCalls } from '../../src/users/admin-calls.ts';
import { createDirectory } from '../../src/users/directory.ts';
import { enrolmentEndpoint } from '../../src/users/enrolment.ts';
import { createInvitations } from '../../src/users/invitations.ts';
import { createUserKeys } from '../../src/users/keys-of-users.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { quietObserver } from '../support/quiet-observer.ts';
import { watchStore } from '../support/watched-store.ts';

export const AUDIENCE = 'https://api.example.com';
export const CACHE_MS = 5_000;

export function usersWorld(fixed?: Parameters<typeof createDirectory>[0]['fixed']) {
  const clock = createFakeClock(1_700_000_000_000);
  const store = watchStore(
    createMemoryStore({ clock, skewMs: 5_000, maxEntries: 100_000, fresh: true, observer: quietObserver }),
  );
  const audited: string[] = [];
  const audit = async (action: string, subject: string) => void audited.push(`${action} ${subject}`);
  /** As one process has it; another call is another process on the same store. */
  const replica = () => {
    const records = createDirectory({
      store,
      clock,
      cacheTtlMs: CACHE_MS,
      staleOnFaultMs: 60_000,
      dummyAlg: 'Ed25519',
      ...(fixed && { fixed }),
    });
    const keys = createUserKeys(records, () => clock.nowMs());
    return { records, keys };
  };
  const { records, keys } = replica();
  const invitations = createInvitations({ store, records, clock, random: randomBytes });
  const signatures = createSignatures({ mode: 'sync' });
  const schemes = [
    { name: 'challenge-signature', publicKeys: true },
    { name: 'client-challenge', publicKeys: true },
    { name: 'better-auth', publicKeys: false, namesAccounts: true },
  ];
  const forgotten: string[] = [];
  const forget = async (tenant: string, user: string) => void forgotten.push(`${tenant}/${user}`);
  const parts = { records, keys, invitations, schemes, forget, audit };
  const endpoints: Endpoint[] = [
    ...userCalls(parts),
    ...keyCalls('challenge-signature', parts),
    ...keyCalls('client-challenge', parts),
    invitationCall(parts),
    enrolmentEndpoint({ scheme: 'challenge-signature', audiences: [AUDIENCE], keys, invitations, signatures, audit }),
  ];
  return {
    clock,
    store,
    records,
    keys,
    invitations,
    audited,
    /** Users of whom schemes were told to keep nothing. */
    forgotten,
    replica,
    /** An endpoint's answer to a body, as its front would ask for it. */
    async call(
      method: string,
      path: string,
      body: object,
      signal: AbortSignal = new AbortController().signal,
    ): Promise<{ status: number; body: Record<string, unknown> }> {
      const endpoint = endpoints.find((one) => one.method === method && one.path === path);
      if (endpoint?.body === undefined) throw new Error(`no endpoint ${method} ${path}`);
      const answer = await endpoint.handle({
        body: v.parse(endpoint.body, body),
        raw: new Uint8Array(0),
        header: () => undefined,
        source: '203.0.113.9',
        owner: 'AAAAAAAAAAAAAAAAAAAAAA',
        receivedAtMs: clock.nowMs(),
        signal,
      });
      return { status: answer.status, body: answer.body as Record<string, unknown> };
    },
  };
}
