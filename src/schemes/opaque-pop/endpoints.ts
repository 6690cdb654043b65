/** The calls of the profile `strict`, and registration by invitation, which serves both profiles. Those of `seed` are `seed-endpoints.ts`. */
import * as v from 'valibot';
import { Denial, deny } from '../../core/decision.ts';
import { defineEndpoint, requireTime, type Answer, type Endpoint } from '../../core/scheme.ts';
import { identifier, tenantMember } from '../../core/settings.ts';
import { encodeBase64url } from '../../encoding/base64url.ts';
import { base64url, invitation } from './fields.ts';
import { judge, type JudgeParts } from './judge.ts';
import { chargeGuess } from './guesses.ts';
import { finishLogin, startLogin, type LoginParts } from './login.ts';
import {
  isSid,
  LOGIN_ID_BYTES,
  logoutMessage,
  MAC_BYTES,
  NONCE_BYTES,
  OPAQUE_BYTES,
  SCHEME,
  type Profile,
} from './message.ts';
import type { Registering } from './registration.ts';
import { hinted } from './verify.ts';

export interface EndpointParts extends LoginParts, JudgeParts {
  readonly registering: Registering;
}

const CHANGE_PASSWORD_MS = 600_000;
const tenant = tenantMember();
const user = identifier();
const time = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

export function registrationEndpoints(parts: EndpointParts): readonly Endpoint[] {
  const { resources, registering } = parts;
  return [
    defineEndpoint({
      listener: 'issuer',
      method: 'POST',
      path: 'register/start',
      bucket: 'issuer',
      body: v.strictObject({
        user,
        invitation: invitation(),
        request: base64url(OPAQUE_BYTES.registrationRequest),
        tenant,
      }),
      subject: (body) => body.user,
      handle: ({ body, source }) =>
        refusedAs('strict', async () => {
          const invited = await resources.invitations.find(body.tenant, SCHEME, body.invitation);
          if (invited?.user !== body.user) deny('signature_invalid', 'no such invitation');
          chargeGuess(parts, { ...body, source });
          const response = await registering.answer(body.tenant, body.user, body.request);
          return { status: 200, body: { response: encodeBase64url(response) } };
        }),
    }),
    defineEndpoint({
      listener: 'issuer',
      method: 'POST',
      path: 'register/finish',
      bucket: 'issuer',
      body: v.strictObject({ user, invitation: invitation(), record: base64url(OPAQUE_BYTES.record), tenant }),
      subject: (body) => body.user,
      handle: ({ body }) =>
        refusedAs('strict', async () => {
          await registering.requireUsable(body.tenant, body.user, body.record);
          // Spent from here on: a failed attempt needs a new one.
          const invited = await resources.invitations.spend(body.tenant, SCHEME, body.invitation);
          if (invited?.user !== body.user) return deny('signature_invalid', 'no such invitation');
          await registering.keep(body.tenant, body.user, body.record, invited);
          return { status: 201, body: { user: body.user } };
        }),
    }),
  ];
}

export function strictEndpoints(parts: EndpointParts): readonly Endpoint[] {
  const { resources, settings, sessions } = parts;
  return [
    defineEndpoint({
      listener: 'issuer',
      method: 'POST',
      path: 'login/start',
      bucket: 'own',
      body: v.strictObject({ user, request: base64url(OPAQUE_BYTES.ke1), tenant }),
      handle: ({ body, source, receivedAtMs: nowMs }) =>
        refusedAs('strict', async () => {
          const attempt = { tenant: body.tenant, profile: 'strict', nowMs } as const;
          const { loginId, ke2, expiresAtMs } = await startLogin(parts, attempt, {
            ...body,
            ke1: body.request,
            source,
          });
          const answer = { loginId: encodeBase64url(loginId), response: encodeBase64url(ke2), expiresAtMs };
          return { status: 200, body: answer };
        }),
    }),
    defineEndpoint({
      listener: 'issuer',
      method: 'POST',
      path: 'login/finish',
      bucket: 'issuer',
      body: v.strictObject({
        loginId: base64url(LOGIN_ID_BYTES),
        finalization: base64url(OPAQUE_BYTES.ke3),
        changePassword: v.optional(v.literal(true)),
        tenant,
      }),
      handle: ({ body, receivedAtMs: nowMs }) =>
        refusedAs('strict', async () => {
          const attempt = { tenant: body.tenant, profile: 'strict', nowMs } as const;
          const session = await finishLogin(parts, attempt, { ...body, ke3: body.finalization });
          const { sid, expiresAtMs } = session;
          const answer = {
            sid,
            profile: 'strict',
            expiresAtMs,
            idleMs: settings.idleMs,
            timeMs: resources.clock.nowMs(),
          };
          if (body.changePassword === undefined) return { status: 200, body: answer };
          const terms = { scheme: SCHEME, user: session.user, replace: true, ttlMs: CHANGE_PASSWORD_MS };
          const { token } = await resources.invitations.issue(body.tenant, terms);
          return { status: 200, body: { ...answer, invitation: token } };
        }),
    }),
    defineEndpoint({
      listener: 'issuer',
      method: 'POST',
      path: 'logout',
      bucket: 'issuer',
      body: v.strictObject({
        sid: v.pipe(v.string(), v.check(isSid)),
        ts: time,
        nonce: base64url(NONCE_BYTES),
        mac: base64url(MAC_BYTES),
        tenant,
      }),
      handle: ({ body: { sid, ts: tsMs, nonce, mac, tenant: inTenant }, owner, receivedAtMs: nowMs, signal }) =>
        refusedAs('strict', async () => {
          const proof = {
            profile: 'strict',
            sid,
            tsMs,
            nonce,
            mac,
            message: logoutMessage({ sid, tsMs, nonce }),
          } as const;
          await judge(parts, proof, {
            tenant: inTenant,
            nowMs,
            owner,
            stageDone: () => undefined,
            requireTime: () => requireTime({ signal }),
          });
          await sessions.end(inTenant, sid);
          return { status: 204, body: {} };
        }),
    }),
  ];
}

/** Which profile's `www-authenticate` line tells of the refusal. */
export async function refusedAs(profile: Profile, run: () => Promise<Answer>): Promise<Answer> {
  try {
    return await run();
  } catch (thrown) {
    throw thrown instanceof Denial ? hinted(thrown, profile) : thrown;
  }
}
