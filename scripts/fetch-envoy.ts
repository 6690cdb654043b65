/**
 * Where the Envoy binary is: the tests need the newest and the oldest supported version exactly, the demonstration any one between.
 * Run as a program it fetches both and prints their paths.
 */
import { versionOf } from './binary-version.ts';
import { pinnedVersion, wheelBinary, type Wheel } from './wheel.ts';

export type EnvoyVersion = 'newest' | 'oldest';

const otherwise = 'set ENVOY_BIN to an Envoy 1.36 to 1.40';
const wheels: Readonly<Record<EnvoyVersion, Wheel>> = {
  newest: { requirements: 'envoy-newest.txt', binary: 'envoy', title: 'Envoy', otherwise },
  oldest: { requirements: 'envoy-oldest.txt', binary: 'envoy', title: 'Envoy', otherwise },
};

/** For tests: the path of exactly the pinned version. An Envoy of that very version in PATH serves too. */
export async function envoyBinary(version: EnvoyVersion = 'newest'): Promise<string> {
  const wheel = wheels[version];
  return (await versionOf('envoy')) === (await pinnedVersion(wheel)) ? 'envoy' : wheelBinary(wheel);
}

/** For the demonstration: ENVOY_BIN, else a supported Envoy in PATH, else the newest pinned one. @param asked ends a download. */
export async function anyEnvoyBinary(asked: AbortSignal): Promise<string> {
  const named = process.env['ENVOY_BIN'];
  if (named !== undefined && named !== '') {
    const version = await versionOf(named);
    if (!isSupported(version))
      throw new Error(`ENVOY_BIN: expected an Envoy 1.36 to 1.40, got ${version ?? 'no answer'} from ${named}`);
    return named;
  }
  return isSupported(await versionOf('envoy')) ? 'envoy' : wheelBinary(wheels.newest, asked);
}

function isSupported(version: string | undefined): boolean {
  return /^1\.(?:3[6-9]|40)\./.test(version ?? '');
}

if (import.meta.main) {
  for (const version of ['newest', 'oldest'] as const) process.stdout.write(`${await envoyBinary(version)}\n`);
}
