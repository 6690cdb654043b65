/** Makes server setups for the key ring. Only an operator's command calls this: a setup made by itself would void every registration. */
import { ready, server } from '@serenity-kit/opaque';
import { decodeBase64url } from '../../encoding/base64url.ts';

/** 128 bytes: OPRF seed, private key, public key for made-up records. Whoever loses it loses every password registered with it. */
export async function createSetup(): Promise<Uint8Array> {
  await ready;
  return decodeBase64url(server.createSetup()) ?? new Uint8Array(0);
}
