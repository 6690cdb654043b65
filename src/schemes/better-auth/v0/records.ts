/**
 * What v0 keeps in the store beside challenges (`../state.ts`). Every change of an account or a session is one `swap` of the text that
 * was read.
 *
 * | record | class, parts | value | lifetime | absence means |
 * |---|---|---|---|---|
 * | account | `r`: `v0-account`, accountId | `account.ts` | none; while pending that of its registration | refuse |
 * | registration | `o`: `v0-registration`, token | accountId | that of the registration | refuse: an index only |
 * | session | `h`: `v0-session`, sessionId | `session.ts` | to its end | refuse |
 * | token of an access key | `s`: `v0-access-key`, key | accountId, sessionId, digest of the token | token's expiry, skew, 1 ms | refuse |
 */
import { deny } from '../../../core/decision.ts';
import { StoreFault } from '../../../core/fault.ts';
import type { Key } from '../../../core/store.ts';
import { utf8 } from '../../../encoding/bytes.ts';
import { parseRecordJson } from '../../../encoding/record-json.ts';
import type { Parts } from '../parts.ts';
import type { Account } from './account.ts';
import type { Session } from './session.ts';

/** A record and the very text of it, which the next `swap` expects. */
export interface Loaded<Record> {
  readonly text: string;
  readonly record: Record;
}

/** Says where the token is pending; whether it still is, the account decides. */
export interface Registration {
  readonly accountId: string;
}

/** Which token an access key signs for: one, so that a token can't be exchanged for another of the same key. */
export interface Binding {
  readonly accountId: string;
  readonly sessionId: string;
  /** SHA-256 of the signed token, base64url. */
  readonly digest: string;
}

const MAX_RECORD_BYTES = 16 * 1024;
/** Until enough replicas of the store have a registration: its token is burnt, so the client can't come again. */
const REPLICATION_ATTEMPTS = 3;

export type Records = ReturnType<typeof createRecords>;

export function createRecords({ resources: { store }, state: { key } }: Pick<Parts, 'resources' | 'state'>) {
  const accountKey = (accountId: string) => key('r', 'v0-account', accountId);
  const registrationKey = (token: string) => key('o', 'v0-registration', token);
  const sessionKey = (sessionId: string) => key('h', 'v0-session', sessionId);
  const bindingKey = (accessKey: string) => key('s', 'v0-access-key', accessKey);

  async function load<Record>(recordKey: Key): Promise<Loaded<Record> | null> {
    const text = await store.get(recordKey);
    return text === null ? null : { text, record: parseRecordJson(text, 'a v0 record') as Record };
  }

  return {
    account: (accountId: string) => load<Account>(accountKey(accountId)),
    /** @param before null: it must not exist. @returns false when another change was faster. @throws {Denial} `malformed` when too large. */
    saveAccount: (accountId: string, before: Loaded<Account> | null, after: Account, ttlMs: number) =>
      store.swap(accountKey(accountId), before?.text ?? null, recordText(after), ttlMs),
    /** The same, and again while the store reports too few replicas. */
    async saveAccountReplicated(accountId: string, before: Loaded<Account>, after: Account): Promise<boolean> {
      const text = recordText(after);
      let expected = before.text;
      for (let attempt = 0; ; attempt++) {
        try {
          return await store.swap(accountKey(accountId), expected, text, Infinity);
        } catch (thrown) {
          const isWritten = thrown instanceof StoreFault && thrown.reason === 'not_replicated';
          if (!isWritten || attempt === REPLICATION_ATTEMPTS) throw thrown;
          expected = text;
        }
      }
    },

    registration: (token: string) => load<Registration>(registrationKey(token)),
    putRegistration: (token: string, registration: Registration, ttlMs: number) =>
      store.put(registrationKey(token), JSON.stringify(registration), ttlMs),
    dropRegistration: (token: string) => store.delete(registrationKey(token)),

    session: (sessionId: string) => load<Session>(sessionKey(sessionId)),
    saveSession: (sessionId: string, before: Loaded<Session> | null, after: Session, ttlMs: number) =>
      store.swap(sessionKey(sessionId), before?.text ?? null, recordText(after), Math.max(1, ttlMs)),

    binding: (accessKey: string) => load<Binding>(bindingKey(accessKey)),
    /** @returns false when the key signs for a token already. */
    bind: (accessKey: string, binding: Binding, ttlMs: number) =>
      store.swap(bindingKey(accessKey), null, JSON.stringify(binding), ttlMs),
    unbind: (accessKey: string) => store.delete(bindingKey(accessKey)),
  };
}

function recordText(record: Account | Session): string {
  const text = JSON.stringify(record);
  if (utf8(text).length > MAX_RECORD_BYTES) deny('malformed', 'the record would be too large');
  return text;
}
