/** The list of schemes: the one line that a new scheme adds on the server. */
import type { SchemeDefinition } from '../core/scheme.ts';
import { betterAuth } from './better-auth/index.ts';
import { challengeSignature } from './challenge-signature/index.ts';
import { clientChallenge } from './client-challenge/index.ts';
import { opaquePop } from './opaque-pop/index.ts';
import { timeScrambled } from './time-scrambled/index.ts';

export const schemes: readonly SchemeDefinition[] = [
  betterAuth,
  challengeSignature,
  clientChallenge,
  opaquePop,
  timeScrambled,
];
