/**
 * The server's half of OPAQUE (RFC 9807) as the endpoints see it. It takes a millisecond and more, so it runs in threads of its own,
 * never on the loop that answers Checks. Which library computes is known to `thread.ts` alone.
 */
import { deny } from '../../core/decision.ts';
import { Fault } from '../../core/fault.ts';
import type { Resources } from '../../core/scheme.ts';
import { Secret } from '../../core/secret.ts';
import { decodeBase64url, encodeBase64url } from '../../encoding/base64url.ts';
import { concat } from '../../encoding/bytes.ts';
import { OPAQUE_BYTES } from './message.ts';
import type { Job, Outcome } from './thread.ts';
import { createThreads } from './threads.ts';

type Bytes = Uint8Array;

/**
 * Lengths of all inputs have been checked. Points have not.
 *
 * @throws {Denial} `malformed` for a message that holds no valid points.
 * @throws {Fault} `protocol` for such a record, `key_source` for a setup that is none, `overload` when too many wait, `internal` when a thread died.
 */
export interface OpaqueEngine {
  registrationResponse(setup: Secret<Bytes>, credentialId: string, request: Bytes): Promise<Bytes>;
  /** @param record null: an answer made up for a user without one, at the same cost. */
  loginStart(
    setup: Secret<Bytes>,
    credentialId: string,
    record: Bytes | null,
    ke1: Bytes,
  ): Promise<{ ke2: Bytes; state: Secret<Bytes> }>;
  /** The 64-byte session key, or null when the client did not know the password. */
  loginFinish(state: Secret<Bytes>, ke3: Bytes): Promise<Bytes | null>;
}

/** Of a setup: where the public key for made-up records begins. */
const FAKE_PUBLIC_KEY_AT = 96;
const MASKING_KEY_BYTES = 64;
const ENVELOPE_BYTES = 96;

/** Jobs that wait for a thread; one more is refused. */
const MAX_WAITING = 64;

/** Threads can't be told from TypeScript: in the package this file and that one are JavaScript. */
const THREAD = new URL(import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js', import.meta.url);

export function createEngine({
  threads: count,
  random,
  clock,
  observe,
  level,
}: Pick<Resources, 'threads' | 'random' | 'clock' | 'observe' | 'level'>): OpaqueEngine & { close(): void } {
  const threads = createThreads<Job, Outcome>({
    file: THREAD,
    count,
    maxWaiting: MAX_WAITING,
    onWaiting: (waiting) => level('opaque_queue_depth', waiting),
  });

  async function run(job: Job): Promise<readonly (Bytes | null)[]> {
    let startMs = clock.monotonicMs();
    const outcome = await threads.run(job, () => (startMs = clock.monotonicMs()));
    observe('opaque_job_seconds', { op: job.op }, (clock.monotonicMs() - startMs) / 1000);
    if (outcome.refused === 'setup')
      throw new Fault('key_source', 'a setup in the key ring that the OPAQUE engine refuses');
    if (outcome.refused === 'record')
      throw new Fault('protocol', 'a registration record that the OPAQUE engine refuses');
    if (outcome.refused !== undefined) return deny('malformed', 'the OPAQUE engine refuses the message');
    return outcome.results.map((text) => (text === null ? null : bytesOf(text)));
  }

  /** As the engine itself would make it up, but read like any other: a record costs what a record costs. */
  function madeUp(setup: Bytes): Bytes {
    return concat([setup.subarray(FAKE_PUBLIC_KEY_AT), random(MASKING_KEY_BYTES), new Uint8Array(ENVELOPE_BYTES)]);
  }

  return {
    async registrationResponse(setup, credentialId, request) {
      const texts = { setup: encodeBase64url(setup.reveal()), credentialId, request: encodeBase64url(request) };
      const [response] = await run({ op: 'registration_response', ...texts });
      return exactly(response, OPAQUE_BYTES.registrationResponse);
    },
    async loginStart(setup, credentialId, record, ke1) {
      // Made up for known users too, so that unknown ones take no longer.
      const unknown = madeUp(setup.reveal());
      const [ke2, state] = await run({
        op: 'login_start',
        setup: encodeBase64url(setup.reveal()),
        credentialId,
        record: encodeBase64url(record ?? unknown),
        ke1: encodeBase64url(ke1),
      });
      return { ke2: exactly(ke2, OPAQUE_BYTES.ke2), state: new Secret(exactly(state, LOGIN_STATE_BYTES)) };
    },
    async loginFinish(state, ke3) {
      const [sessionKey] = await run({
        op: 'login_finish',
        state: encodeBase64url(state.reveal()),
        ke3: encodeBase64url(ke3),
      });
      return sessionKey === null ? null : exactly(sessionKey, SESSION_KEY_BYTES);
    },
    close: () => threads.close(),
  };
}

const LOGIN_STATE_BYTES = 128;
const SESSION_KEY_BYTES = 64;

function bytesOf(text: string): Bytes {
  return decodeBase64url(text) ?? new Uint8Array(0);
}

/** A library that changes its forms must not go unnoticed. */
function exactly(bytes: Bytes | null | undefined, length: number): Bytes {
  if (bytes?.length !== length) throw new Fault('internal', 'the OPAQUE engine answered in another form');
  return bytes;
}
