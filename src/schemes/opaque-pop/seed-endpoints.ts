/**
 * The calls of the profile `seed`, at the paths and with the members of the document's prototype, so that an unchanged client works. What
 * it echoes as the server's login state is a handle; the state itself never leaves.
 */
import * as v from 'valibot';
import { HttpProblem } from '../../core/http.ts';
import { defineEndpoint, type Endpoint } from '../../core/scheme.ts';
import { identifier } from '../../core/settings.ts';
import { toHex } from '../../encoding/bytes.ts';
import { refusedAs, type EndpointParts } from './endpoints.ts';
import { hex } from './fields.ts';
import { chargeGuess } from './guesses.ts';
import { finishLogin, startLogin } from './login.ts';
import { LOGIN_ID_BYTES, OPAQUE_BYTES } from './message.ts';

/** The form has no room for another. */
const TENANT = 'default';
const username = identifier();

export function seedEndpoints(parts: EndpointParts): readonly Endpoint[] {
  const logins = [
    defineEndpoint({
      listener: 'issuer',
      method: 'POST',
      path: '/login/start',
      bucket: 'own',
      body: v.strictObject({ username, cred_request_hex: hex(OPAQUE_BYTES.ke1) }),
      handle: ({ body, source, receivedAtMs: nowMs }) =>
        refusedAs('seed', async () => {
          const attempt = { tenant: TENANT, profile: 'seed', nowMs } as const;
          const first = { user: body.username, ke1: body.cred_request_hex, source };
          const { loginId, ke2 } = await startLogin(parts, attempt, first);
          return { status: 200, body: { server_state_hex: toHex(loginId), cred_response_hex: toHex(ke2) } };
        }),
    }),
    defineEndpoint({
      listener: 'issuer',
      method: 'POST',
      path: '/login/finish',
      bucket: 'issuer',
      body: v.strictObject({
        username,
        server_state_hex: hex(LOGIN_ID_BYTES),
        cred_final_hex: hex(OPAQUE_BYTES.ke3),
      }),
      handle: ({ body, receivedAtMs: nowMs }) =>
        refusedAs('seed', async () => {
          const attempt = { tenant: TENANT, profile: 'seed', nowMs } as const;
          const second = { loginId: body.server_state_hex, ke3: body.cred_final_hex, claimedUser: body.username };
          const { sid } = await finishLogin(parts, attempt, second);
          return { status: 200, body: { session_id: sid } };
        }),
    }),
  ];
  return parts.settings.seedOpenRegistration ? [...openRegistration(parts), ...logins] : logins;
}

/** Anybody may make an account that does not exist. One that does, password or not, is left alone: an operator or another scheme made it. */
function openRegistration(parts: EndpointParts): readonly Endpoint[] {
  const { resources, registering } = parts;
  return [
    defineEndpoint({
      listener: 'issuer',
      method: 'POST',
      path: '/register/start',
      bucket: 'issuer',
      body: v.strictObject({ username, reg_request_hex: hex(OPAQUE_BYTES.registrationRequest) }),
      subject: (body) => body.username,
      handle: ({ body, source }) =>
        refusedAs('seed', async () => {
          chargeGuess(parts, { tenant: TENANT, user: body.username, source });
          const response = await registering.answer(TENANT, body.username, body.reg_request_hex);
          return { status: 200, body: { reg_response_hex: toHex(response) } };
        }),
    }),
    defineEndpoint({
      listener: 'issuer',
      method: 'POST',
      path: '/register/finish',
      bucket: 'issuer',
      body: v.strictObject({ username, reg_upload_hex: hex(OPAQUE_BYTES.record) }),
      subject: (body) => body.username,
      handle: ({ body }) =>
        refusedAs('seed', async () => {
          await registering.requireUsable(TENANT, body.username, body.reg_upload_hex);
          if ((await resources.users.current(TENANT, body.username)) !== null)
            throw new HttpProblem('conflict', 'the user exists');
          await registering.keep(TENANT, body.username, body.reg_upload_hex, null);
          return { status: 200, body: { ok: true } };
        }),
    }),
  ];
}
