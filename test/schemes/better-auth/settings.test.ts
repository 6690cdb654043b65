/** What the configuration takes, and what it says when it does not (BA-29). */
import { describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { betterAuth } from '../../../src/schemes/better-auth/index.ts';
import { PER_ROUTE, settings, type Settings } from '../../../src/schemes/better-auth/settings.ts';
import { newKey } from './world.ts';

test('the defaults are those of the protocols', () => {
  expect(v.parse(settings, {})).toMatchObject({
    versions: ['v0', 'v1'],
    carriers: ['body', 'header'],
    bodyMethods: ['POST'],
    accessLifetimeMs: 900_000,
    refreshLifetimeMs: 43_200_000,
    challengeLifetimeMs: 60_000,
    accessWindowMs: 30_000,
    maxBodyBytes: 65_536,
    maxTokenChars: 8192,
    maxTokenBytes: 16_384,
    maxJsonDepth: 32,
    tokenCacheEntries: 10_000,
    allowUnsignedQuery: false,
    requireTargetMember: false,
    issuer: 'local',
    revocation: 'record',
    publishMarkers: false,
    v1: {
      pathPrefix: '',
      registration: 'open',
      maxDevices: 8,
      unusedAccountLifetimeMs: 30 * 86_400_000,
      recoveryGraceMs: 0,
    },
    v0: {
      pathPrefix: '/better-auth/v0',
      maxDevices: 8,
      registrationLifetimeMs: 3 * 86_400_000,
      allowWithoutRotation: true,
    },
  });
});

describe('refuses', () => {
  test.each<readonly [object, string]>([
    [{ accessWindow: 30 }, 'a duration from 1s to 30s'],
    [{ accessWindow: '31s' }, 'a duration from 1s to 30s'],
    [{ accessWindow: '30000' }, 'a duration from 1s to 30s'],
    [{ accessLifetime: 900 }, 'a duration from 1m to 24h'],
    [{ refreshLifetime: '5m' }, 'a duration from 15m to 30d'],
    [{ versions: [] }, 'at least one of v0, v1'],
    [{ versions: ['v2'] }, 'one of v0, v1'],
    [{ carriers: ['cookie'] }, 'one of body, header'],
    [{ bodyMethods: ['post'] }, 'a method in upper case'],
    [{ audience: 'api' }, 'an origin'],
    [{ defaultAttributes: { auth: {} } }, 'no member named auth'],
    [{ v1: { maxDevices: 13 } }, 'an integer from 1 to 12'],
    [{ v0: { maxDevices: 0 } }, 'an integer from 1 to 12'],
    [{ v1: { registration: 'maybe' } }, '"open", "token" or "closed"'],
    [{ v1: { pathPrefix: '/a/' } }, 'without a slash at the end'],
    [{ v0: { registrationLifetime: '8d' } }, 'a duration from 1d to 7d'],
    [{ v0: { passphraseParameters: '$argon2id$v=19$m=1024,t=1,p=1$' } }, 'Argon2id parameters'],
    [{ trustedAccessKeys: [newKey().word] }, 'with issuer: external, and only then'],
    [{ issuer: 'external', revocation: 'markers', versions: ['v1'] }, 'with issuer: external, and only then'],
    [{ issuer: 'external', trustedAccessKeys: [newKey().word], versions: ['v1'] }, 'revocation: markers'],
    [{ revocation: 'markers' }, 'versions: [v1] with revocation: markers'],
    // Nothing would put the marks of this issuer's own revocations.
    [{ revocation: 'markers', versions: ['v1'] }, 'with issuer: external, and only then'],
    [{ issuer: 'external', revocation: 'markers', versions: ['v1'], trustedAccessKeys: ['1AAI'] }, 'a CESR word 1AAI'],
    [{ limits: { peer: { rate: 200, burst: 400 } } }, 'a rate such as'],
  ])('%j: expected %s', (given, expected) => {
    const { success, issues = [] } = v.safeParse(settings, given);
    expect(success).toBe(false);
    expect(issues.map(({ message }) => message).join()).toContain(expected);
  });

  test('an unknown key at any depth', () => {
    for (const given of [{ x: 1 }, { v1: { x: 1 } }, { v0: { x: 1 } }, { limits: { x: 1 } }])
      expect(v.safeParse(settings, given).success).toBe(false);
  });
});

test('needs the ring keys of what it does, and none to judge tokens from elsewhere', () => {
  const uses = (given: object) => betterAuth.keyUses(v.parse(settings, given));
  expect(uses({})).toEqual(['response-signing', 'access-signing', 'pepper']);
  expect(uses({ versions: ['v1'] })).toEqual(['response-signing', 'access-signing']);
  expect(uses({ v0: { passphrase: false } })).toEqual(['response-signing', 'access-signing']);
  const external = { issuer: 'external', revocation: 'markers', versions: ['v1'], trustedAccessKeys: [newKey().word] };
  expect(uses(external)).toEqual([]);
});

test('what a route may override are members of the settings', () => {
  const parsed: Settings = v.parse(settings, {});
  for (const name of PER_ROUTE) expect(Object.keys(parsed)).toContain(name);
  expect(betterAuth.perRoute).toEqual(PER_ROUTE);
});
