/**
 * What a thread of the engine does: one OPAQUE job at a time, by `@serenity-kit/opaque`. It starts with the first job, and knows
 * nothing of users, stores and requests.
 */
import { constants, setPriority } from 'node:os';
import { platform } from 'node:process';
import { parentPort } from 'node:worker_threads';
import { ready, server } from '@serenity-kit/opaque';

/** All values base64url, but for the credential identifier, whose UTF-8 bytes it is. */
export type Job =
  | {
      readonly op: 'registration_response';
      readonly setup: string;
      readonly credentialId: string;
      readonly request: string;
    }
  | {
      readonly op: 'login_start';
      readonly setup: string;
      readonly credentialId: string;
      readonly record: string;
      readonly ke1: string;
    }
  | { readonly op: 'login_finish'; readonly state: string; readonly ke3: string };

/** What was wrong: by whom it came is the caller's to know. */
export type Refused = 'setup' | 'record' | 'message';

/** @param results null: the client did not know the password. */
export type Outcome =
  | { readonly refused: Refused; readonly results?: never }
  | { readonly refused?: never; readonly results: readonly (string | null)[] };

await ready;
yieldToChecks();
parentPort?.on('message', (job: Job) => parentPort?.postMessage(attempt(job), []));

/**
 * Under Linux a priority is a thread's own: where cores are few, Checks go before logins. Last of all, so that nothing that the
 * runtime starts for itself inherits it.
 */
function yieldToChecks(): void {
  if (platform !== 'linux') return;
  try {
    setPriority(constants.priority.PRIORITY_LOW);
  } catch {
    // A sandbox that forbids it: then they share the cores evenly.
  }
}

function attempt(job: Job): Outcome {
  try {
    return { results: perform(job) };
  } catch (thrown) {
    // A trap of the engine leaves it in a state that nobody knows: the thread ends, and another takes its place.
    if (!Error.isError(thrown) || thrown.name !== 'Error') throw thrown;
    return job.op === 'login_finish' ? { results: [null] } : { refused: refusedBy(thrown.message) };
  }
}

function perform(job: Job): (string | null)[] {
  if (job.op === 'registration_response') {
    const { setup: serverSetup, credentialId: userIdentifier, request: registrationRequest } = job;
    const answer = server.createRegistrationResponse({ serverSetup, userIdentifier, registrationRequest });
    return [answer.registrationResponse];
  }
  if (job.op === 'login_start') {
    const {
      setup: serverSetup,
      credentialId: userIdentifier,
      record: registrationRecord,
      ke1: startLoginRequest,
    } = job;
    const parts = { serverSetup, userIdentifier, registrationRecord, startLoginRequest };
    const { loginResponse, serverLoginState } = server.startLogin(parts);
    return [loginResponse, serverLoginState];
  }
  return [server.finishLogin({ serverLoginState: job.state, finishLoginRequest: job.ke3 }).sessionKey];
}

/** By the engine's own words, which the tests hold it to. */
function refusedBy(message: string): Refused {
  if (message.includes('deserialize serverSetup')) return 'setup';
  return message.includes('deserialize registrationRecord') ? 'record' : 'message';
}
