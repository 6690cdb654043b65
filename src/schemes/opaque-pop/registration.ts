/**
 * Registration: the client turns its password into a record with the help of the server's setup, and leaves the record here. The server
 * sees neither the password nor anything to test guesses against. Who may register is the endpoints' business.
 */
import { deny } from '../../core/decision.ts';
import { Fault } from '../../core/fault.ts';
import { HttpProblem } from '../../core/http.ts';
import type { Invitation } from '../../core/registration.ts';
import type { Resources } from '../../core/scheme.ts';
import { fromHex } from '../../encoding/bytes.ts';
import type { OpaqueEngine } from './engine.ts';
import { credentialIdOf } from './guesses.ts';
import type { Registration, Registrations } from './registrations.ts';

export interface Registering {
  /** 64 bytes; nothing is kept, since it is a function of setup, user and request. The caller has charged for a guess. */
  answer(tenant: string, user: string, request: Uint8Array): Promise<Uint8Array>;
  /** @throws {Denial} `malformed` for a record that no login could ever use. */
  requireUsable(tenant: string, user: string, record: Uint8Array): Promise<void>;
  /**
   * Creates the user if absent.
   *
   * @param invited with `replace` an earlier record gives way, and all sessions made with it end. Null: open to everybody.
   * @throws {HttpProblem} `conflict` when the user has a record, or is no longer who was invited.
   */
  keep(
    tenant: string,
    user: string,
    record: Uint8Array,
    invited: Pick<Invitation, 'replace' | 'epoch'> | null,
  ): Promise<void>;
}

/** A first message of some login, with valid points: what it logs in is never asked. */
const SOME_KE1 =
  fromHex(
    'c4dedb0ba6ed5d965d6f250fbe554cd45cba5dfcce3ce836e4aee778aa3cd44dda7e07376d6d6f034cfa9bb537d11b8c6b4238c334333d1f0aebb380cae6a6cc6e29bee50701498605b2c085d7b241ca15ba5c32027dd21ba420b94ce60da326',
  ) ?? new Uint8Array(0);

export function createRegistering(
  { keyring, users, clock }: Pick<Resources, 'keyring' | 'users' | 'clock'>,
  engine: OpaqueEngine,
  registrations: Registrations,
): Registering {
  const setup = () => keyring.active('opaque-setup');

  /** A record that came after its user was deleted or revoked would be a later user's, or one that a revocation missed. */
  async function requireSame(tenant: string, user: string, epoch: number, registration: Registration): Promise<void> {
    let isSame = false;
    try {
      isSame = (await users.current(tenant, user))?.epoch === epoch;
    } finally {
      if (!isSame) await registrations.withdraw(tenant, user, registration);
    }
    if (!isSame) throw new HttpProblem('conflict', 'the user was deleted or revoked meanwhile');
  }

  return {
    answer: (tenant, user, request) =>
      engine.registrationResponse(setup().material, credentialIdOf(tenant, user), request),
    async requireUsable(tenant, user, record) {
      try {
        await engine.loginStart(setup().material, credentialIdOf(tenant, user), record, SOME_KE1);
      } catch (thrown) {
        // In the store it would be damage; offered, it is the client's mistake.
        if (thrown instanceof Fault && thrown.reason === 'protocol')
          deny('malformed', 'a record that no login could use');
        throw thrown;
      }
    },
    async keep(tenant, user, record, invited) {
      const registration = { record, setup: setup().kid, createdAtMs: clock.nowMs() };
      const { epoch } = await users.ensure(tenant, user);
      if (invited !== null && invited.epoch !== epoch)
        throw new HttpProblem('conflict', 'the user was deleted or revoked meanwhile');
      if (await registrations.create(tenant, user, registration)) return requireSame(tenant, user, epoch, registration);
      const before = invited?.replace === true ? await registrations.find(tenant, user) : null;
      if (before === null) throw new HttpProblem('conflict', 'the user has a record');
      // Before the record: where sessions can't be ended, nothing is changed. And after it: for those of logins in between.
      await users.raiseEpoch(tenant, user);
      if (!(await registrations.replace(tenant, user, before, registration)))
        throw new HttpProblem('conflict', 'the user has another record by now');
      await users.raiseEpoch(tenant, user);
    },
  };
}
