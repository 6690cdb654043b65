/** The scenes of the demonstration, in the order in which they are played; a new scheme adds one line. */
import { challengeSignatureScene } from './challenge-signature.ts';
import { clientChallengeScene } from './client-challenge.ts';
import { opaquePopScene } from './opaque-pop.ts';
import type { Scene } from './scene.ts';

export const scenes: readonly Scene[] = [challengeSignatureScene, clientChallengeScene, opaquePopScene];
