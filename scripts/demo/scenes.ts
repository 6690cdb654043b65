/** The scenes of the demonstration, in the order in which they are played; a new scheme adds one line. */
import { betterAuthScene } from './better-auth.ts';
import { challengeSignatureScene } from './challenge-signature.ts';
import { clientChallengeScene } from './client-challenge.ts';
import { opaquePopScene } from './opaque-pop.ts';
import { timeScrambledScene } from './time-scrambled.ts';
import type { Scene } from './scene.ts';

export const scenes: readonly Scene[] = [
  challengeSignatureScene,
  clientChallengeScene,
  opaquePopScene,
  betterAuthScene,
  timeScrambledScene,
];
