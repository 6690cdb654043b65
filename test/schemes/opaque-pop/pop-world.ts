/** A world of opaque-pop behind a real issuer front, with the product's engine in its thread: clients register and log in over HTTP. */
import { afterEach } from '@jest/globals';
import * as v from 'valibot';
import { connectIssuer } from '../../../src/client/connect.ts';
import type { IssuerConnection } from '../../../src/core/signer.ts';
import { createHttpServer } from '../../../src/http/server.ts';
import { mountIssuer } from '../../../src/issuer/server.ts';
import {
  logIn,
  opaquePop as signerOf,
  registerPassword,
  type PasswordSession,
} from '../../../src/schemes/opaque-pop/client.ts';
import { opaquePop } from '../../../src/schemes/opaque-pop/index.ts';
import { randomBytes } from '../../../src/crypto/random.ts';
import { complete, newCheckId, type RequestParts, withHeader } from '../../support/auth-request.ts';
import { createSchemeWorld, type SchemeWorld, type WorldOptions } from '../../support/scheme-world.ts';
import { CHEAP, NAME } from './prover.ts';
import { sha256 } from '../../../src/crypto/digest.ts';

export const PASSWORD = 'correct horse battery staple';

export const GET: RequestParts = {
  method: 'GET',
  scheme: 'https',
  authority: 'api.example.com',
  target: '/balance',
  headers: [],
  body: complete(''),
};

export interface PopWorld extends SchemeWorld {
  readonly url: string;
  readonly issuer: IssuerConnection;
  /** One call of the issuer, at any path. */
  call(path: string, body: unknown): Promise<IssuerAnswer>;
  /** One call of the administrator's about passwords. @returns status or the code of the refusal. */
  admin(path: string, body: object): Promise<Record<string, unknown>>;
  invite(user: string, replace?: boolean, tenant?: string): Promise<string>;
  register(user: string, password?: string, tenant?: string): Promise<void>;
  logIn(user: string, password?: string, tenant?: string): Promise<PasswordSession>;
  sign(session: PasswordSession, request?: RequestParts): Promise<RequestParts>;
}

export interface IssuerAnswer {
  readonly status: number;
  readonly text: string;
  readonly body: Record<string, unknown>;
  readonly headers: Headers;
}

const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0)) await close();
});

export async function popWorld(options: WorldOptions = {}): Promise<PopWorld> {
  const world = createSchemeWorld(opaquePop, { ...options, settings: { ksf: CHEAP, ...options.settings } });
  const { scheme, clock } = world;
  const paths = mountIssuer('/auth', [{ scheme, endpoints: scheme.endpoints, policy: world.policy() }], {
    audiences: [],
    nowMs: () => clock.nowMs(),
    jwks: () => ({ members: {}, headers: [] }),
  });
  const front = await createHttpServer({
    address: '127.0.0.1:0',
    setting: 'listeners.issuer.address',
    headersTimeoutMs: 5000,
    requestTimeoutMs: 20_000,
    keepAliveTimeoutMs: 1000,
    maxConnections: 200,
    mounted: () => paths,
    bodyBytes: () => 16_384,
    trustedHops: () => 0,
    clock,
    random: randomBytes,
    events: { request() {}, fault() {} },
  });
  opened.push(
    () => front.close(0),
    () => scheme.close?.(),
  );
  const url = `http://${front.address}`;
  const issuer = connectIssuer({ scheme: NAME, baseUrl: url });

  const inTenant = (tenant: string | undefined) => (tenant === undefined ? {} : { tenant });
  const invite: PopWorld['invite'] = async (user, replace = false, tenant = 'default') =>
    (await world.resources.invitations.issue(tenant, { scheme: NAME, user, replace, ttlMs: 60_000 })).token;

  return Object.assign(world, {
    url,
    issuer,
    invite,
    async call(path: string, body: unknown) {
      const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
      const answer = await fetch(`${url}${path}`, init);
      const text = await answer.text();
      return { status: answer.status, text, body: text === '' ? {} : JSON.parse(text), headers: answer.headers };
    },
    async admin(path: string, body: object) {
      const endpoint = scheme.endpoints.find((one) => one.listener === 'admin' && one.path.endsWith(path));
      if (endpoint?.body === undefined) throw new Error(`no call ${path}`);
      const answer = await endpoint.handle({
        body: v.parse(endpoint.body, body),
        raw: new Uint8Array(0),
        header: () => undefined,
        source: '127.0.0.1',
        owner: newCheckId(),
        receivedAtMs: clock.nowMs(),
        signal: new AbortController().signal,
      });
      return answer.body as Record<string, unknown>;
    },
    async register(user: string, password = PASSWORD, tenant?: string) {
      const invitation = await invite(user, false, tenant);
      await registerPassword(issuer, { user, password, invitation, ...inTenant(tenant) });
    },
    logIn: (user: string, password = PASSWORD, tenant?: string) =>
      logIn(issuer, { user, password, ...inTenant(tenant) }),
    async sign(session: PasswordSession, request: RequestParts = GET) {
      const body = request.body.kind === 'complete' ? request.body.bytes : new Uint8Array(0);
      const outgoing = { ...request, body, bodyDigest: sha256(body) };
      const [[name, value] = ['', '']] = await signerOf(session).sign(outgoing, {
        ...issuer,
        nowMs: () => clock.nowMs(),
      });
      return withHeader(request, name, value);
    },
  });
}
