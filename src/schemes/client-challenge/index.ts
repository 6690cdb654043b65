/** client-challenge, put together. Start with README.md; logins are judged in `login.ts`, requests in `verify.ts`. */
import { defineScheme, type Resources } from '../../core/scheme.ts';
import { Secret } from '../../core/secret.ts';
import { utf8 } from '../../encoding/bytes.ts';
import { createRevokedTokens } from '../../tokens/revoked-tokens.ts';
import { createTokenKeys, type SharedKeySettings } from '../../tokens/token-keys.ts';
import { createVerifyAccessToken } from '../../tokens/verify-access-token.ts';
import { revokeTokenEndpoint, SEED_PATHS, seedEndpoint, tokenEndpoint } from './endpoints.ts';
import { formatChallengeLine, SCHEME } from './message.ts';
import { settings as settingsSchema, type Settings } from './settings.ts';
import { createLoginState } from './state.ts';
import { verify } from './verify.ts';

const MIN_SECRET_BYTES = 32;

export const clientChallenge = defineScheme({
  name: SCHEME,
  settings: settingsSchema,
  perRoute: [],
  publicKeys: true,
  issuesTokens: true,
  keyUses: (settings) => (signsWithRing(settings) ? ['token-signing'] : []),
  neededScheme: ({ binding }) => (binding === 'off' ? undefined : 'dpop'),
  counters: {},

  create(settings, resources) {
    const { profiles, accounts, maxLifetimeMs, windowMs, futureMs, seedWindowMs, seedLabel, binding } = settings;
    if (signsWithRing(settings)) requireAlgorithm(settings, resources);
    const keys = createTokenKeys(resources, sharedKey(settings, resources));
    const revoked = settings.revokedTokens ? createRevokedTokens(resources) : undefined;
    const verifyAccessToken = createVerifyAccessToken(resources, keys, { accounts, maxLifetimeMs, revoked });
    const parts = { resources, accounts, state: createLoginState(resources), settings, keys };
    return {
      name: SCHEME,
      verify: (request, policy, call) => verify({ limits: resources.limits, verifyAccessToken }, request, policy, call),
      endpoints: [
        ...(profiles.includes('strict') ? [tokenEndpoint(parts)] : []),
        ...(profiles.includes('seed') ? SEED_PATHS.map((path) => seedEndpoint(path, parts)) : []),
        ...(revoked === undefined ? [] : [revokeTokenEndpoint(revoked)]),
      ],
      challenges: ({ realm }, refused) => [formatChallengeLine(realm, refused !== undefined)],
      discovery: { profiles, parameters: { windowMs, futureMs, seedWindowMs, seedLabel, accounts, binding } },
    };
  },
});

/** Not where the shared secret makes all tokens. */
function signsWithRing({ profiles, seedHs256 }: Settings): boolean {
  return profiles.includes('strict') || seedHs256 === undefined;
}

/** Other services were told what to expect. Later rotations are the operator's: a token goes by the key that made it. */
function requireAlgorithm({ algorithm }: Settings, { keyring }: Resources): void {
  const { alg } = keyring.active('token-signing');
  if ((alg === 'Ed25519' ? 'EdDSA' : alg) === algorithm) return;
  throw new Error(
    `schemes.${SCHEME}.algorithm: expected the algorithm of the active token-signing key, which is ${alg}, got "${algorithm}"`,
  );
}

function sharedKey({ seedHs256 }: Settings, { readSecret }: Resources): SharedKeySettings | undefined {
  if (seedHs256 === undefined) return undefined;
  const secret = new Secret(utf8(readSecret(seedHs256.secretFile).reveal()));
  if (secret.reveal().length < MIN_SECRET_BYTES)
    throw new Error(`schemes.${SCHEME}.seedHs256.secretFile: expected at least ${MIN_SECRET_BYTES} bytes`);
  return { kid: seedHs256.kid, secret };
}
