/**
 * What a request with an access token costs: the whole judgement against the signature alone, which nobody can save who does not keep
 * verdicts. User cached, key imported, one process: `node bench/tokens.ts`.
 */
import type { SignatureAlg } from '../src/core/directory.ts';
import { createSignatures, generateKeyPair, sign, thumbprint } from '../src/crypto/signatures.ts';
import { encodeBase64url } from '../src/encoding/base64url.ts';
import { utf8 } from '../src/encoding/bytes.ts';
import { createKeyring } from '../src/keys/key-ring.ts';
import { addKey } from '../src/keys/ring-changes.ts';
import { systemClock } from '../src/core/clock.ts';
import { randomBytes } from '../src/crypto/random.ts';
import { mintToken } from '../src/tokens/mint.ts';
import { createTokenKeys } from '../src/tokens/token-keys.ts';
import { parseToken } from '../src/tokens/token.ts';
import { createVerifyAccessToken, type TokenRoute } from '../src/tokens/verify-access-token.ts';

const ROUNDS = 20_000;
const AUDIENCE = 'https://api.example.com';
const ISSUER = 'https://auth.example.com';

async function figuresOf(alg: SignatureAlg): Promise<readonly [name: string, us: number][]> {
  const { ring } = addKey([], { use: 'token-signing', alg, nowMs: 1, random: randomBytes });
  const signatures = createSignatures({ mode: 'sync' });
  const keys = createTokenKeys({ keyring: createKeyring(ring, systemClock), signatures });
  const { publicJwk } = generateKeyPair('Ed25519');
  const record = {
    v: 1,
    user: 'alice',
    epoch: 0,
    disabled: false,
    deleted: false,
    attributes: {},
    keys: [],
    updatedAt: 0,
  };
  const grant = {
    issuerUrl: ISSUER,
    audience: AUDIENCE,
    subject: 'alice',
    epoch: 0,
    keyThumbprint: encodeBase64url(thumbprint(publicJwk)),
    tenant: 'default',
    lifetimeMs: 600_000,
  };
  const nowMs = Date.now();
  const { text } = mintToken(keys.active(), grant, { nowMs, random: randomBytes });
  const verify = createVerifyAccessToken(
    { directory: { record: async () => record } as never, users: {} as never, skewMs: 5_000, issuerUrl: ISSUER },
    keys,
    { accounts: 'listed', maxLifetimeMs: 600_000, revoked: undefined },
  );
  const route: TokenRoute = {
    policy: { tenant: 'default', audience: [AUDIENCE] },
    isBound: false,
    call: { signal: { aborted: false }, stageDone() {}, proofAge() {} },
    charge() {},
  };
  const pair = generateKeyPair(alg);
  const message = utf8(text.slice(0, text.lastIndexOf('.')));
  const signature = sign(pair.privateJwk, message);
  return [
    ['signature alone', await usOf(() => signatures.verify({ alg, jwk: pair.publicJwk }, message, signature))],
    ['reading the token', await usOf(() => parseToken(text))],
    ['the whole judgement', await usOf(() => verify(text, route, nowMs))],
  ];
}

/** CPU microseconds of one run. */
async function usOf(run: () => unknown): Promise<number> {
  for (let count = 0; count < ROUNDS / 10; count += 1) await run();
  const before = process.cpuUsage();
  for (let count = 0; count < ROUNDS; count += 1) await run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / ROUNDS;
}

for (const alg of ['Ed25519', 'ES256'] as const) {
  for (const [name, us] of await figuresOf(alg)) console.log(`${alg.padEnd(8)} ${name.padEnd(20)} ${us.toFixed(1)} us`);
}
