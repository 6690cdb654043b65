/** The client of the seed document, line by line; only its language differs. It knows nothing of this project. */
import { createPrivateKey, createPublicKey, sign } from 'node:crypto';

interface SigningKey {
  readonly kty: string;
  readonly crv: string;
  readonly x: string;
  readonly d: string;
}

export async function authenticate(privateJwk: object, serverUrl: string): Promise<string> {
  const signingKey = createPrivateKey({ key: { ...(privateJwk as SigningKey) }, format: 'jwk' });
  const verifyKey = createPublicKey(signingKey).export({ format: 'jwk' });
  const publicKey = `0x${Buffer.from(verifyKey.x ?? '', 'base64url').toString('hex')}`;
  const timestamp = Math.trunc(Date.now() / 1000);
  const message = `ConnectOnion-Auth-${publicKey}-${timestamp}`;

  const signature = sign(null, Buffer.from(message), signingKey);

  const response = await fetch(`${serverUrl}/auth`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ public_key: publicKey, message, signature: signature.toString('hex') }),
  });

  return ((await response.json()) as { token: string }).token;
}
