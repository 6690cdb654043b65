/**
 * The server's public keys, where clients and sidecars elsewhere learn them: over TLS, since nothing else vouches for a key.
 * A reply key of v1 is asked for by POST with an empty body that calls itself JSON, so neither is looked at.
 */
import type { Answer, Endpoint, EndpointCall } from '../../core/scheme.ts';
import { textDigest } from '../../crypto/blake3.ts';
import { utf8 } from '../../encoding/bytes.ts';
import type { Parts } from './parts.ts';

export function keyEndpoints({ settings, resources, serverKeys }: Parts): readonly Endpoint[] {
  const path = `${settings.v1.pathPrefix}/key/response`;
  const charge = ({ source }: EndpointCall) =>
    resources.limits.charge([{ bucket: 'peer', limit: settings.limits.peer, key: [source] }]);
  /** 48 characters, no quotes, no line feed: the very text that stands in `serverIdentity` of replies. */
  const responseKey = (call: EndpointCall): Answer => {
    charge(call);
    return {
      status: 200,
      body: utf8(serverKeys.responseKey().publicKey),
      headers: [['content-type', 'text/plain; charset=utf-8']],
    };
  };
  const ofV1: readonly Endpoint[] = settings.versions.includes('v1')
    ? [
        { listener: 'issuer', method: 'GET', path, bucket: 'own', handle: responseKey },
        { listener: 'issuer', method: 'POST', path, bucket: 'own', handle: responseKey },
      ]
    : [];
  return [
    ...ofV1,
    {
      listener: 'issuer',
      method: 'GET',
      path: '/better-auth/keys',
      bucket: 'own',
      handle(call) {
        charge(call);
        const response = serverKeys
          .published('response-signing')
          .map(({ publicKey, state }) => ({ publicKey, publicKeyDigest: textDigest(publicKey), state }));
        return {
          status: 200,
          body: { access: serverKeys.published('access-signing'), response },
          headers: [['cache-control', 'max-age=300']],
        };
      },
    },
  ];
}
