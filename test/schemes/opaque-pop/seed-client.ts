/**
 * A client of the profile `seed` as the document's prototype is: its calls, its member names, its MAC, written without a line of the
 * product. OPAQUE itself is the reference client's, so neither half shares code with the server.
 */
import { createHash, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { fromHex, toHex } from '../../../src/encoding/bytes.ts';
import { referenceClient } from './reference-engine.ts';

/** What opaque-ke takes when nobody says otherwise. */
export const PROTOTYPE_KSF = { memoryKib: 19_456, iterations: 2, parallelism: 1 };

export interface SeedAnswer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

export interface SeedSession {
  readonly sid: string;
  readonly popKey: Uint8Array;
}

/** @param post sends JSON to a path. */
export function seedClient(post: (path: string, body: object) => Promise<SeedAnswer>) {
  async function expectOk(path: string, body: object): Promise<Record<string, unknown>> {
    const answer = await post(path, body);
    if (answer.status !== 200) throw new Error(`${path} answered ${answer.status} ${String(answer.body['code'])}`);
    return answer.body;
  }
  const bytes = (text: unknown) => fromHex(String(text)) ?? new Uint8Array(0);

  return {
    async register(username: string, password: string): Promise<void> {
      const { request, finish } = referenceClient(password, PROTOTYPE_KSF).startRegistration();
      const { reg_response_hex } = await expectOk('/register/start', { username, reg_request_hex: toHex(request) });
      const upload = await finish(bytes(reg_response_hex));
      await expectOk('/register/finish', { username, reg_upload_hex: toHex(upload) });
    },

    /** Up to the last message, which `finish` sends under any name. */
    async start(username: string, password: string) {
      const { ke1, finish } = referenceClient(password, PROTOTYPE_KSF).startLogin();
      const first = await expectOk('/login/start', { username, cred_request_hex: toHex(ke1) });
      const finished = await finish(bytes(first['cred_response_hex']));
      if (finished === null) throw new Error('wrong password');
      return {
        server_state_hex: String(first['server_state_hex']),
        cred_final_hex: toHex(finished.ke3),
        async finish(as = username): Promise<SeedSession> {
          const echo = { server_state_hex: first['server_state_hex'], cred_final_hex: toHex(finished.ke3) };
          const { session_id } = await expectOk('/login/finish', { username: as, ...echo });
          return { sid: String(session_id), popKey: derivePopKey(finished.sessionKey) };
        },
      };
    },

    async login(username: string, password: string): Promise<SeedSession> {
      return (await this.start(username, password)).finish();
    },
  };
}

function derivePopKey(sessionKey: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', sessionKey, 'opaque-pop-salt-v1', 'OPAQUE-POP-MAC-v1', 32));
}

/** Headers of a protected call. @param ts unix seconds. */
export function popHeaders(
  { sid, popKey }: SeedSession,
  { method, path, body, ts }: { method: string; path: string; body: Uint8Array | string; ts: number },
  nonce = randomBytes(16).toString('base64url'),
): [string, string][] {
  const digest = createHash('sha256').update(body).digest('hex');
  const canonical = `${method}\n${path}\n${digest}\n${ts}\n${nonce}`;
  const mac = createHmac('sha256', popKey).update(canonical).digest('base64');
  return [
    ['authorization', `Bearer ${sid}`],
    ['x-ts', String(ts)],
    ['x-nonce', nonce],
    ['x-pop', mac],
  ];
}
