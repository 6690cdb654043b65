/**
 * What a configuration decides, built whole: schemes, routes, directory, key ring, and the paths of both HTTP fronts. A reload builds
 * another beside the one in force, and `sidecar.ts` swaps them by one assignment.
 */
import { createAuthenticate, type Authenticate } from './authenticate.ts';
import { mountAdmin } from './admin/server.ts';
import type { Loaded } from './config/load.ts';
import { createRouteTable } from './config/routes.ts';
import { readSecretFile } from './config/secret-files.ts';
import { systemClock as clock } from './core/clock.ts';
import type { Keyring } from './core/keyring.ts';
import { Fault } from './core/fault.ts';
import type { Endpoint, Resources, Scheme, SchemeDefinition } from './core/scheme.ts';
import type { Store } from './core/store.ts';
import { unrecognised } from './crypto/owner.ts';
import { randomBytes } from './crypto/random.ts';
import { scopedStoreKey } from './crypto/store-key.ts';
import type { PathMap } from './http/mounted.ts';
import { jwks } from './issuer/jwks.ts';
import { mountIssuer, type IssuerGraph } from './issuer/server.ts';
import type { OpenKeyring } from './keys/key-ring.ts';
import { schemes as allSchemes } from './schemes/index.ts';
import { directoryFor, factOf, keyringFor, limitsFor, type TakenOver } from './taken-over.ts';
import type { Events } from './telemetry/events.ts';
import { invitationCall, keyCalls, userCalls, type AdminCallParts } from './users/admin-calls.ts';
import { enrolmentEndpoint } from './users/enrolment.ts';
import { createInvitations } from './users/invitations.ts';
import { createUserKeys } from './users/keys-of-users.ts';

/** All that a configuration decides and a reload may change. */
export interface Graph extends TakenOver {
  readonly loaded: Loaded;
  readonly authenticate: Authenticate;
  readonly issuer: IssuerGraph;
  readonly adminPaths: PathMap;
  cacheEntries(): Readonly<Record<string, () => number>>;
  /** Ends what only this graph uses. @param successor keeps what it shares with this one. */
  close(successor?: Graph): void;
}

export interface GraphParts {
  readonly loaded: Loaded;
  /** The one in force: what a reload leaves alone is taken over. */
  readonly previous: Graph | undefined;
  readonly store: Store;
  readonly signatures: Resources['signatures'];
  readonly events: Events;
  readonly adminFacts: Parameters<typeof mountAdmin>[0];
}

/** @throws what is wrong with the configuration; then nothing of the new graph stays open. */
export async function buildGraph(parts: GraphParts): Promise<Graph> {
  const definitions = allSchemes.filter(({ name }) => parts.loaded.config.schemes[name] !== undefined);
  const ring = await keyringFor(parts, definitions);
  const created: CreatedScheme[] = [];
  const close = (successor?: Graph) => {
    for (const { scheme } of created) scheme.close?.();
    if (ring.keyring !== successor?.keyring) ring.keyring?.close();
  };
  try {
    const graph = { ...assemble(parts, definitions, ring.keyring, created), ...ring, close };
    // Only now: of a ring that was opened for a configuration that is refused nothing is told.
    const { keyring } = ring;
    if (keyring !== undefined && keyring !== parts.previous?.keyring)
      parts.events.keysChanged(keyring.describe().map(factOf));
    return graph;
  } catch (thrown) {
    close(parts.previous);
    throw thrown;
  }
}

interface CreatedScheme {
  readonly definition: SchemeDefinition;
  readonly scheme: Scheme;
}

/** @param created gets each scheme as soon as there is something to close. */
function assemble(
  parts: GraphParts,
  definitions: readonly SchemeDefinition[],
  keyring: OpenKeyring | undefined,
  created: CreatedScheme[],
): Omit<Graph, 'keyring' | 'requiredUses' | 'close'> {
  const { loaded, store, signatures, events, adminFacts } = parts;
  const { config } = loaded;
  const limits = limitsFor(parts);
  const publicKeySchemes = definitions.filter(({ publicKeys }) => publicKeys).map(({ name }) => name);
  const { directory, fixedUsers } = directoryFor(parts, publicKeySchemes);
  const keys = createUserKeys(directory, () => clock.nowMs());
  const invitations = createInvitations({ store, records: directory, clock, random: randomBytes });

  for (const definition of definitions) {
    const scheme = definition.create(config.schemes[definition.name], {
      store,
      storeKey: scopedStoreKey(definition.name),
      clock,
      random: randomBytes,
      keyring: keyring ?? NO_KEYRING,
      directory,
      users: keys,
      invitations,
      signatures,
      limits,
      count: (counter, labels) => events.count(counter, labels),
      notice: (event, subject) => events.notice(definition.name, event, definition.events?.[event] ?? event, subject),
      observe: (histogram, labels, value) => events.observeValue(histogram, labels, value),
      level: (gauge, value) => events.level(gauge, value),
      threads: config.process.opaqueWorkers,
      skewMs: config.clock.skew,
      issuerUrl: config.issuer.url,
      readSecret: readSecretFile,
    });
    created.push({ definition, scheme });
  }
  const routes = createRouteTable(config, new Map(created.map(({ scheme }) => [scheme.name, scheme])));

  const enrolmentOf = ({ name, publicKeys }: SchemeDefinition): Endpoint[] =>
    publicKeys
      ? [
          enrolmentEndpoint({
            scheme: name,
            audiences: config.issuer.audiences,
            keys,
            invitations,
            signatures,
            audit: (action, target) => events.audit({ actor: 'client', action, target }),
          }),
        ]
      : [];
  const adminParts: AdminCallParts = {
    records: directory,
    keys,
    invitations,
    schemes: definitions,
    async forget(tenant, user) {
      for (const { scheme } of created) await scheme.forget?.(tenant, user);
    },
    audit: (action, target) => events.audit({ actor: 'admin', action, target }),
  };

  return {
    loaded,
    authenticate: createAuthenticate({
      routes,
      clock,
      limits,
      perSource: config.rateLimit.perSource,
      newCheckId: unrecognised,
      decided: (course) => events.decision(course),
    }),
    issuer: {
      paths: mountIssuer(
        config.listeners.issuer.pathPrefix,
        created.map(({ definition, scheme }) => {
          const policy = routes.routes.flatMap((route) => route.schemes).find((one) => one.scheme === scheme)?.policy;
          return {
            scheme,
            endpoints: [...scheme.endpoints, ...enrolmentOf(definition)],
            ...(policy !== undefined && { policy }),
          };
        }),
        { audiences: config.issuer.audiences, nowMs: () => clock.nowMs(), jwks: () => jwks(keyring) },
      ),
      limits,
      issuerLimit: config.rateLimit.issuer,
      listener: config.listeners.issuer,
    },
    adminPaths: mountAdmin(adminFacts, [
      ...userCalls(adminParts).map((endpoint) => ({ endpoint })),
      { endpoint: invitationCall(adminParts) },
      ...publicKeySchemes.flatMap((scheme) => keyCalls(scheme, adminParts).map((endpoint) => ({ endpoint, scheme }))),
      ...created.flatMap(({ scheme }) =>
        scheme.endpoints
          .filter(({ listener }) => listener === 'admin')
          .map((endpoint) => ({ endpoint: auditedAtSharedPath(endpoint, adminParts), scheme: scheme.name })),
      ),
    ]),
    directory,
    fixedUsers,
    limits,
    cacheEntries: () => ({ directory: () => directory.entries(), buckets: () => limits.entries() }),
  };
}

/**
 * A scheme has no log to write to: its changes at the shared paths get a line like that of the shared calls, with their subject. What
 * it has at paths of its own is audited where they are mounted.
 */
function auditedAtSharedPath(endpoint: Endpoint, { audit }: Pick<AdminCallParts, 'audit'>): Endpoint {
  const { method, path, subject, handle } = endpoint;
  if (!path.startsWith('/') || method === 'GET' || path.endsWith('/lookup')) return endpoint;
  const action = path.replace('/admin/v1/', '').replaceAll('/', '.') + (method === 'PUT' ? '.put' : '');
  return {
    ...endpoint,
    async handle(call) {
      const answer = await handle(call);
      await audit(action, subject?.(call.body) ?? '');
      return answer;
    },
  };
}

/** Configurations whose schemes need no key have no ring: the loader has seen to that. */
const NO_KEYRING: Keyring = {
  active: (use) => {
    throw new Fault('key_source', `there is no key ring, so no key of use ${use}`);
  },
  usable: () => [],
};
