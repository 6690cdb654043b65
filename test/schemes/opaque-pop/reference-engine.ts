/**
 * OPAQUE-3DH over ristretto255 and SHA-512 by RFC 9807 itself, on another library's curve: a second server behind the product's interface
 * that takes its randomness from outside, so that the RFC's own vectors can be run, and a second client. Tests only.
 */
import { createHash, createHmac } from 'node:crypto';
import { ristretto255, ristretto255_oprf } from '@noble/curves/ed25519.js';
import { argon2id } from 'hash-wasm';
import { deny } from '../../../src/core/decision.ts';
import { Secret } from '../../../src/core/secret.ts';
import { constantTimeEqual } from '../../../src/crypto/equal.ts';
import { randomBytes } from '../../../src/crypto/random.ts';
import { concat, utf8 } from '../../../src/encoding/bytes.ts';
import type { OpaqueEngine } from '../../../src/schemes/opaque-pop/engine.ts';
import type { KeyStretching } from '../../../src/schemes/opaque-pop/message.ts';

type Bytes = Uint8Array;

export interface ReferenceOptions {
  readonly context?: Bytes;
  readonly clientIdentity?: Bytes;
  readonly serverIdentity?: Bytes;
  /** Each 32 bytes. */
  readonly maskingNonce?: Bytes;
  readonly serverNonce?: Bytes;
  readonly keyshareSeed?: Bytes;
  /** Of a made-up record, 64 bytes. */
  readonly maskingKey?: Bytes;
}

const NONE = new Uint8Array(0);
const { oprf } = ristretto255_oprf;

export function referenceEngine(options: ReferenceOptions = {}): OpaqueEngine {
  const { context = NONE, maskingNonce, serverNonce, keyshareSeed, maskingKey } = options;

  function evaluate(setup: Bytes, credentialId: string, blinded: Bytes): Bytes {
    const seed = expand(setup.subarray(0, 64), concat([utf8(credentialId), utf8('OprfKey')]), 32);
    const { secretKey } = oprf.deriveKeyPair(seed, utf8('OPAQUE-DeriveKeyPair'));
    return oprf.blindEvaluate(secretKey, blinded);
  }

  return {
    async registrationResponse(setup, credentialId, request) {
      const { publicKey } = serverKeys(setup.reveal());
      return orMalformed(() => concat([evaluate(setup.reveal(), credentialId, request), publicKey]));
    },
    async loginStart(setup, credentialId, given, ke1) {
      return orMalformed(() => {
        const { privateKey, publicKey, fakePublicKey } = serverKeys(setup.reveal());
        const record = given ?? concat([fakePublicKey, maskingKey ?? randomBytes(64), new Uint8Array(96)]);
        const clientPublicKey = record.subarray(0, 32);
        const nonce = maskingNonce ?? randomBytes(32);
        const pad = expand(record.subarray(32, 96), concat([nonce, utf8('CredentialResponsePad')]), 128);
        const credentialResponse = concat([
          evaluate(setup.reveal(), credentialId, ke1.subarray(0, 32)),
          nonce,
          xor(pad, concat([publicKey, record.subarray(96)])),
        ]);
        const own = keyshare(keyshareSeed ?? randomBytes(32));
        const ownNonce = serverNonce ?? randomBytes(32);
        const preamble = concat([
          utf8('OPAQUEv1-'),
          prefixed(context),
          prefixed(options.clientIdentity ?? clientPublicKey),
          ke1,
          prefixed(options.serverIdentity ?? publicKey),
          credentialResponse,
          ownNonce,
          own.publicKey,
        ]);
        const ikm = concat([
          times(own.privateKey, ke1.subarray(64)),
          times(privateKey, ke1.subarray(64)),
          times(own.privateKey, clientPublicKey),
        ]);
        const { serverMac, clientMac, sessionKey } = macs(ikm, preamble);
        return {
          ke2: concat([credentialResponse, ownNonce, own.publicKey, serverMac]),
          state: new Secret(concat([sessionKey, clientMac])),
        };
      });
    },
    async loginFinish(state, ke3) {
      const bytes = state.reveal();
      return constantTimeEqual(bytes.subarray(64), ke3) ? bytes.subarray(0, 64) : null;
    },
  };
}

/** The client of RFC 9807 with no context and no identities, and Argon2id over a salt of zeros. */
export function referenceClient(password: string, { memoryKib, iterations, parallelism }: KeyStretching) {
  const secret = utf8(password.normalize('NFC'));

  async function randomizedPassword(blind: Bytes, evaluated: Bytes): Promise<Bytes> {
    const output = oprf.finalize(secret, blind, evaluated);
    const stretched = await argon2id({
      password: output,
      salt: new Uint8Array(16),
      memorySize: memoryKib,
      iterations,
      parallelism,
      hashLength: 64,
      outputType: 'binary',
    });
    return hmac(NONE, concat([output, stretched]));
  }

  /** What a login finds in the envelope, a registration puts there. */
  function keysOf(randomized: Bytes, envelopeNonce: Bytes, serverPublicKey: Bytes) {
    const seed = expand(randomized, concat([envelopeNonce, utf8('PrivateKey')]), 32);
    const own = keyshare(seed);
    const authKey = expand(randomized, concat([envelopeNonce, utf8('AuthKey')]), 64);
    const cleartext = concat([serverPublicKey, prefixed(serverPublicKey), prefixed(own.publicKey)]);
    return { ...own, authTag: hmac(authKey, concat([envelopeNonce, cleartext])) };
  }

  return {
    startRegistration() {
      const { blind, blinded } = oprf.blind(secret);
      return {
        request: blinded,
        async finish(response: Bytes): Promise<Bytes> {
          const randomized = await randomizedPassword(blind, response.subarray(0, 32));
          const nonce = randomBytes(32);
          const { publicKey, authTag } = keysOf(randomized, nonce, response.subarray(32));
          return concat([publicKey, expand(randomized, utf8('MaskingKey'), 64), nonce, authTag]);
        },
      };
    },
    startLogin() {
      const { blind, blinded } = oprf.blind(secret);
      const own = keyshare(randomBytes(32));
      const ke1 = concat([blinded, randomBytes(32), own.publicKey]);
      return {
        ke1,
        /** Null: the password is wrong. */
        async finish(ke2: Bytes): Promise<{ ke3: Bytes; sessionKey: Bytes } | null> {
          const randomized = await randomizedPassword(blind, ke2.subarray(0, 32));
          const pad = expand(
            expand(randomized, utf8('MaskingKey'), 64),
            concat([ke2.subarray(32, 64), utf8('CredentialResponsePad')]),
            128,
          );
          const opened = xor(pad, ke2.subarray(64, 192));
          const serverPublicKey = opened.subarray(0, 32);
          const { privateKey, publicKey, authTag } = keysOf(randomized, opened.subarray(32, 64), serverPublicKey);
          if (!constantTimeEqual(authTag, opened.subarray(64))) return null;
          const preamble = concat([
            utf8('OPAQUEv1-'),
            prefixed(NONE),
            prefixed(publicKey),
            ke1,
            prefixed(serverPublicKey),
            ke2.subarray(0, 256),
          ]);
          const keyshareOfServer = ke2.subarray(224, 256);
          const ikm = concat([
            times(own.privateKey, keyshareOfServer),
            times(own.privateKey, serverPublicKey),
            times(privateKey, keyshareOfServer),
          ]);
          const { serverMac, clientMac, sessionKey } = macs(ikm, preamble);
          return constantTimeEqual(serverMac, ke2.subarray(256)) ? { ke3: clientMac, sessionKey } : null;
        },
      };
    },
  };
}

/** Section 6.4.2.2: the preamble is all that both sides have seen. */
function macs(ikm: Bytes, preamble: Bytes) {
  const prk = hmac(NONE, ikm);
  const seen = sha512(preamble);
  const handshake = expandLabel(prk, 'HandshakeSecret', seen);
  const serverMac = hmac(expandLabel(handshake, 'ServerMAC', NONE), seen);
  const clientMac = hmac(expandLabel(handshake, 'ClientMAC', NONE), sha512(concat([preamble, serverMac])));
  return { serverMac, clientMac, sessionKey: expandLabel(prk, 'SessionKey', seen) };
}

function serverKeys(setup: Bytes) {
  const privateKey = setup.subarray(64, 96);
  const publicKey = ristretto255.Point.BASE.multiply(scalar(privateKey)).toBytes();
  return { privateKey, publicKey, fakePublicKey: setup.subarray(96) };
}

function keyshare(seed: Bytes) {
  const { secretKey, publicKey } = oprf.deriveKeyPair(seed, utf8('OPAQUE-DeriveDiffieHellmanKeyPair'));
  return { privateKey: secretKey, publicKey };
}

function times(privateKey: Bytes, point: Bytes): Bytes {
  return ristretto255.Point.fromBytes(point).multiply(scalar(privateKey)).toBytes();
}

function scalar(bytes: Bytes): bigint {
  return bytes.reduceRight((value, byte) => value * 256n + BigInt(byte), 0n);
}

function sha512(bytes: Bytes): Bytes {
  return new Uint8Array(createHash('sha512').update(bytes).digest());
}

function hmac(key: Bytes, message: Bytes): Bytes {
  return new Uint8Array(createHmac('sha512', key).update(message).digest());
}

/** RFC 5869 section 2.3. */
function expand(prk: Bytes, info: Bytes, length: number): Bytes {
  let block: Bytes = NONE;
  let out: Bytes = NONE;
  for (let count = 1; out.length < length; count += 1) {
    block = hmac(prk, concat([block, info, Uint8Array.of(count)]));
    out = concat([out, block]);
  }
  return out.subarray(0, length);
}

function expandLabel(secret: Bytes, label: string, context: Bytes): Bytes {
  const name = utf8(`OPAQUE-${label}`);
  return expand(secret, concat([Uint8Array.of(0, 64, name.length), name, Uint8Array.of(context.length), context]), 64);
}

function prefixed(bytes: Bytes): Bytes {
  return concat([Uint8Array.of(bytes.length >> 8, bytes.length & 0xff), bytes]);
}

function xor(a: Bytes, b: Bytes): Bytes {
  return a.map((byte, index) => byte ^ (b[index] ?? 0));
}

function orMalformed<T>(run: () => T): T {
  try {
    return run();
  } catch {
    return deny('malformed', 'no valid points');
  }
}
