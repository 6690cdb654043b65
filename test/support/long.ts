/** Whether this is `npm run test:long`: the same tests with the figures of minutes, millions and tens of restarts. */
export const isLong = process.env['COUNTERSIGN_LONG'] === '1';
