/** Before each test file: all properties share the run's seed, and `npm run test:long` tries a hundred times as many values. */
import * as fc from 'fast-check';
import { isLong } from './long.ts';

fc.configureGlobal({ seed: Number(process.env['COUNTERSIGN_SEED']), numRuns: isLong ? 10_000 : 100 });
