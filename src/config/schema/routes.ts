/** `routes.<name>.*`: which schemes a request of this route must satisfy, and how strictly. */
import * as v from 'valibot';
import { origin } from '../../core/settings.ts';
import { choice, flag, list, required, setting, text, unset } from './fields.ts';

export const ROUTE_NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;
export const ROUTE_NAME_EXPECTED = 'a name of 1 to 63 of a-z 0-9 -, not beginning with -';

const HOST = 'a host such as "api.example.com" or "api.example.com:8443", lower case';

const match = v.strictObject({
  hosts: setting(
    list(text(/^([a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\])(:[1-9][0-9]{0,4})?$/, HOST), { max: 64, of: 'hosts' }),
    [],
    'Hosts, compared as a whole, port included where the request has one. Empty: any.',
  ),
  pathPrefix: setting(
    v.pipe(
      text(
        /^\/[\x21\x22\x24-\x3a\x3c-\x3e\x40-\x5b\x5d-\x7e]{0,255}$/,
        'a path in visible ASCII that begins with "/", without ? # ; \\',
      ),
      v.check(
        (prefix) => !/\/\/|\/\.{1,2}(\/|$)|%2[ef]|%5c/i.test(prefix),
        'a path without "//", "/./", "/../", %2e, %2f or %5c',
      ),
    ),
    '/',
    'Bytes that the path begins with; they must end at a `/`, at a `?` or at the end. The longest wins.',
  ),
  methods: setting(
    list(text(/^[A-Z][A-Z0-9-]{0,31}$/, 'a method such as "GET"'), { max: 32, of: 'methods' }),
    [],
    'Methods, upper case. Empty: any.',
  ),
});

export const route = v.strictObject({
  schemes: required(
    list(v.string('the name of a scheme'), { min: 1, max: 16, of: 'schemes' }),
    'Schemes in order. The first whose credentials are present decides; its refusal ends the request.',
  ),
  publicOrigins: unset(
    list(origin(), { min: 1, max: 64, of: 'origins' }),
    'Origins under which clients reach this route; a request for another is refused. HTTP/2 clients choose `:scheme` themselves, so what was signed is compared with these. Required unless `insecure.anyOrigin`.',
  ),
  body: setting(
    choice('required', 'digest', 'none'),
    'required',
    'Whether the proof covers the body. `required`: every byte. `digest`: a `content-digest` header that the upstream checks. `none`: nothing.',
  ),
  match: setting(
    v.pipe(v.array(match, 'a list of {hosts, pathPrefix, methods}'), v.maxLength(64, 'a list of at most 64 rules')),
    [],
    'Requests of this route, only for proxies that cannot name it in a context extension. Paths with `//`, dot segments, encoded slashes, `\\` or `;` match no rule but one that takes everything.',
  ),
  refusePathParameters: setting(
    flag(),
    true,
    'Whether `;` in the path is refused: servers disagree about what it means.',
  ),
  stripCredentials: setting(flag(), true, 'As `envoy.stripCredentials`, which is also its default.'),
  settings: setting(
    v.record(
      v.string(),
      v.pipe(
        v.record(v.string(), v.unknown(), 'a map of settings'),
        v.description(
          'Of this scheme: keys as under `schemes.<name>`, with their forms; the rest stays as it is there. A key whose meaning does not say that a route may set it is refused.',
        ),
      ),
      'a map of scheme names',
    ),
    {},
    'By scheme: settings that differ on this route. Only those that the scheme lets a route change.',
  ),
  storeFree: setting(
    choice('deny', 'allow'),
    'deny',
    'Whether schemes that need no store may go on while it is down, for `directory.staleOnFault`.',
  ),
  mode: setting(
    choice('enforce', 'shadow'),
    'enforce',
    '`shadow` judges and counts but lets every request pass, without an identity. Needs `insecure.allowShadow`.',
  ),
  tenant: setting(
    text(ROUTE_NAME, ROUTE_NAME_EXPECTED),
    'default',
    'Name space of credentials, challenges, sessions and spent proofs: those of one tenant are unknown to another.',
  ),
  realm: setting(
    text(/^[\x20-\x21\x23-\x5b\x5d-\x7e]{1,64}$/, '1 to 64 characters of visible ASCII or blanks, without " and \\'),
    'countersign',
    '`realm` of `www-authenticate`: tells a client which credentials are asked for.',
  ),
  audience: setting(
    list(origin(), { max: 64, of: 'origins' }),
    [],
    'Sites whose access tokens are accepted. Default: `issuer.audiences`.',
  ),
});

export type RouteSettings = v.InferOutput<typeof route>;
export type MatchRule = v.InferOutput<typeof match>;
