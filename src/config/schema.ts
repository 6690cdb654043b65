/**
 * The schema of the configuration file, and the type that the rest of the code reads. Sections lie in `schema/`; settings of
 * schemes belong to the schemes. Rules between keys are `rules.ts`, defaults that depend on other keys `dependent-defaults.ts`.
 */
import * as v from 'valibot';
import { required, setting, unset } from './schema/fields.ts';
import { listeners } from './schema/listeners.ts';
import { insecure, log, metrics, readiness, tracing } from './schema/output.ts';
import { ROUTE_NAME, ROUTE_NAME_EXPECTED, route, type RouteSettings } from './schema/routes.ts';
import { clock, directory, envoy, keys, processes, rateLimit, tokenIssuer } from './schema/service.ts';
import { store } from './schema/store.ts';

export const configSchema = v.strictObject({
  version: required(v.literal(1, '1'), 'Version of this format.'),
  deployment: setting(
    v.picklist(['sidecar', 'standalone'], '"sidecar" or "standalone"'),
    'sidecar',
    'Picks a few defaults: `sidecar` stands beside one application, `standalone` behind a Service.',
  ),
  listeners: setting(listeners, {}, 'Where countersign listens.'),
  process: setting(processes, {}, 'Processes, draining and load.'),
  envoy: setting(envoy, {}, 'What the proxy sends and gets.'),
  keys: setting(keys, {}, 'Keys of our own.'),
  issuer: setting(tokenIssuer, {}, 'What is signed for whom.'),
  directory: setting(directory, {}, 'Users and their keys.'),
  store: required(store, 'Where state lives.'),
  clock: setting(clock, {}, 'How far clocks may be apart.'),
  schemes: required(
    v.record(v.string(), v.record(v.string(), v.unknown(), 'a map of settings'), 'a map of scheme names'),
    'The schemes that exist here, each with its settings; `{}` takes the defaults.',
  ),
  routes: required(
    v.pipe(
      v.record(v.pipe(v.string(), v.regex(ROUTE_NAME, ROUTE_NAME_EXPECTED)), route, 'a map of routes'),
      v.check((routes) => Object.keys(routes).length > 0, 'a map of routes, at least one'),
    ),
    'What is asked of which requests. Envoy names the route in the context extension `countersign.route`.',
  ),
  defaultRoute: unset(
    v.string('the name of a route'),
    'Route of requests for which Envoy names none and no `match` rule fits. Absent: they are refused.',
  ),
  rateLimit: setting(rateLimit, {}, 'Token buckets, in each process.'),
  readiness: setting(readiness, {}, 'When the process calls itself ready.'),
  log: setting(log, {}, 'Lines on stdout.'),
  metrics: setting(metrics, {}, 'Series at `/metrics`.'),
  tracing: setting(tracing, {}, 'Traces of Checks and issuer calls.'),
  insecure: setting(insecure, {}, 'Protections that are waived. Each prints a warning at start.'),
});

/**
 * One route. `settings` holds for every scheme of `schemes` its complete settings, this route's overrides merged in and validated
 * by the scheme's own schema.
 */
export interface RouteConfig extends Omit<RouteSettings, 'settings'> {
  readonly settings: Readonly<Record<string, unknown>>;
}

/**
 * The effective configuration, deeply frozen. Names are those of the file; durations are milliseconds, sizes bytes, rates `Limit`.
 * `schemes` and `routes` have no prototype, in the order of the file.
 */
export interface Config extends Readonly<Omit<v.InferOutput<typeof configSchema>, 'schemes' | 'routes'>> {
  readonly schemes: Readonly<Record<string, unknown>>;
  readonly routes: Readonly<Record<string, RouteConfig>>;
}

export type { AdminListener, CheckListener, IssuerListener, Listeners } from './schema/listeners.ts';
export type { InsecureSettings } from './schema/output.ts';
export type { MatchRule } from './schema/routes.ts';
export type { EnvoySettings, Processes, RateLimits } from './schema/service.ts';
export type { RedisSettings, StoreSettings } from './schema/store.ts';
